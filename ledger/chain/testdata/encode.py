"""Recomputes the test vectors from FORMAT.md alone.

    python3 encode.py vectors.json

Uses the Python 3 standard library only. Exits 1 and says which vector differs.
"""

import datetime
import hashlib
import hmac
import json
import sys
import uuid

KINDS = (
    "ledger_opened account_opened account_changed transfer hold capture release reversal period_closed period_reopened"
    " currency_defined policy_adopted run decision balance_commitment erasure key_changed"
).split()
DIRECTIONS = {"debit": 1, "credit": 2}
TYPES = {"asset": 1, "liability": 2, "equity": 3, "revenue": 4, "expense": 5}
FROZEN = {"none": 0, "debits": 1, "credits": 2, "all": 3}


def unsigned(value, size):
    return int(value).to_bytes(size, "big")


def signed(value, size):
    return int(value).to_bytes(size, "big", signed=True)


def i64(value):
    return signed(value, 8)


def units(value):
    return signed(value, 16)


def identifier(value):
    return uuid.UUID(value).bytes


def digest(value):
    return bytes.fromhex(value)


def date(value):
    return signed((datetime.date.fromisoformat(value) - datetime.date(1970, 1, 1)).days, 4)


def truth(value):
    return b"\x01" if value else b"\x00"


def text(value):
    raw = value.encode("utf-8")
    return unsigned(len(raw), 2) + raw


def optional(value, encode):
    return truth(value is not None) + (encode(value) if value is not None else b"")


def listing(values, encode):
    return unsigned(len(values), 2) + b"".join(encode(v) for v in values)


def pair(value):
    return text(value[0]) + text(value[1])


def posting(p):
    return b"".join((
        identifier(p["account_id"]), unsigned(DIRECTIONS[p["direction"]], 1), text(p["currency"]), unsigned(p["scale"], 1),
        units(p["amount"]), units(p["pending_change"]), date(p["effective_date"]), i64(p["account_seq"]),
        units(p["posted"]), units(p["pending_debit"]), units(p["pending_credit"]),
    ))


def terms(t):
    return b"".join((
        text(t["name"]), text(t["origin"]), text(t["time_zone"]), signed(t["day_cutoff"], 4), text(t["base_currency"]),
        unsigned(t["base_scale"], 1), signed(t["value_days_back"], 4), signed(t["value_days_ahead"], 4),
    ))


def account(a):
    return b"".join((
        identifier(a["account_id"]), text(a["code"]), unsigned(TYPES[a["type"]], 1), text(a["currency"]), unsigned(a["scale"], 1),
        optional(a.get("min_balance"), units), optional(a.get("max_balance"), units), unsigned(FROZEN[a["frozen"]], 1),
        truth(a["closed"]), listing(a.get("tags", []), pair),
    ))


def entry(e):
    return b"".join((
        b"tallystick/entry", unsigned(1, 2), unsigned(1 + KINDS.index(e["kind"]), 2),
        identifier(e["ledger_id"]), i64(e["seq"]), digest(e["prev_hash"]), identifier(e["request_id"]), i64(e["recorded_at"]),
        date(e["booking_date"]), date(e["effective_date"]), identifier(e["actor"]), truth(e["prior_period"]),
        optional(e.get("ref_seq"), i64), optional(e.get("related_to"), identifier), optional(e.get("expires_at"), i64),
        optional(e.get("description"), digest), optional(e.get("reference"), digest), optional(e.get("metadata"), digest),
        listing(e.get("postings", []), posting), optional(e.get("ledger"), terms), optional(e.get("account"), account),
        listing(e.get("details", []), pair),
    ))


def balance(b):
    return b"".join((
        b"tallystick/state", unsigned(1, 2), identifier(b["ledger_id"]), i64(b["size"]), identifier(b["account_id"]), text(b["currency"]),
        unsigned(b["scale"], 1), i64(b["account_seq"]), units(b["posted"]), units(b["pending_debit"]), units(b["pending_credit"]),
    ))


def super_leaf(s):
    return b"".join((
        b"tallystick/super", unsigned(1, 2), identifier(s["ledger_id"]), text(s["origin"]), i64(s["size"]), digest(s["root"]), i64(s["recorded_at"]),
    ))


def leaf_hash(canonical):
    return hashlib.sha256(b"\x00" + canonical).digest()


def root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    left = 1
    while 2 * left < len(leaves):
        left *= 2
    return hashlib.sha256(b"\x01" + root(leaves[:left]) + root(leaves[left:])).digest()


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        vectors = json.load(f)
    wrong = []
    for name, field, encode in (("entries", "entry", entry), ("balances", "balance", balance), ("super_log", "leaf", super_leaf)):
        for v in vectors[name]:
            canonical = encode(v[field])
            if canonical.hex() != v["canonical"] or leaf_hash(canonical).hex() != v["hash"]:
                wrong.append(v["name"])
    for v in vectors["trees"]:
        if root([digest(leaf) for leaf in v["leaves"]]).hex() != v["root"]:
            wrong.append(v["name"])
    for v in vectors["commitments"]:
        message = bytes([v["tag"]]) + v["text"].encode("utf-8")
        if hmac.new(bytes.fromhex(v["salt"]), message, hashlib.sha256).hexdigest() != v["commitment"]:
            wrong.append(v["name"])
    for name in wrong:
        print("differs:", name)
    print(", ".join("%d %s" % (len(vectors[name]), name) for name in ("entries", "commitments", "balances", "trees", "super_log")) + ",", len(wrong), "wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
