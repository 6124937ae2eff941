#!/usr/bin/env python3
"""Verifies a Tallystick evidence bundle with nothing but Python 3.

    python3 verify_bundle.py FILE.zip [--key VERIFIER_KEY]...

Written from FORMAT.md alone (sections 1 to 13, 16 and 19), which is in every bundle.
It knows nothing of the program that made the bundle. --key gives the signer's
key as you have it from elsewhere; without it the keys in the bundle are used,
and then nobody vouched for them.

Exit codes: 0 nothing wrong, 1 tampered, 2 something could not be checked,
3 no evidence bundle, or it could not be read.
"""

import base64
import datetime
import hashlib
import hmac
import re
import struct
import sys
import uuid

PER_MEMBER = 65536
MAX_DIRECTORY = MAX_MANIFEST = 16777216
MAX_MEMBERS = 65536
IN64 = 0xFFFFFFFF  # the value stands in 64 bits elsewhere
MAX_NOTE = 65536
MAX_TEXT = 1 << 20
MAX_FINDINGS = 100
MAX_SIGNATURES = 100
MAX_CHECKPOINTS = MAX_KEYS = 1024
MAX_LOGS, MAX_WITNESSES = 4096, 64
MAX_TREE = 1 << 60
CHUNK = 1 << 20
EMPTY_ROOT = hashlib.sha256(b"").digest()


class NotBundle(Exception):
    """The file is no evidence bundle."""


class Malformed(Exception):
    """Bytes that no encoder writes."""


class Unknown(Exception):
    """Bytes that newer software may have written."""


# --- Ed25519, RFC 8032 -----------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e, f = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    g, h = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, a):
    r = (0, 1, 1, 0)
    while n:
        if n & 1:
            r = add(r, a)
        a = add(a, a)
        n >>= 1
    return r


def recover_x(y, sign):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def point(b):
    y = int.from_bytes(b, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = recover_x(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def ed25519(public, message, signature):
    """Reports whether the signature is one on the message by the key."""
    if len(public) != 32 or len(signature) != 64:
        return False
    a, s = point(public), int.from_bytes(signature[32:], "little")
    if a is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    # R = s·B − k·A, compared as bytes. A may have a part of small order: −k is not L − k.
    x, y, z, t = add(times(s, BASE), times(k, (P - a[0], a[1], 1, P - a[3])))
    zi = pow(z, P - 2, P)
    x, y = x * zi % P, y * zi % P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


# --- C2SP signed notes -----------------------------------------------------------

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
SPACE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


def unbase64(text):
    """Base64 with padding and without loose bits: one spelling for all bytes."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("base64 in another spelling: %.64r" % text)
    return raw


def valid_name(name):
    return name != "" and "+" not in name and SPACE.search(name) is None


def parse_key(text, types=(1,)):
    """A verifier key: (name, id, public key, type). Type 1 is a signer's; 4 is a
    witness's, and so is 6, which is not Ed25519."""
    name, digits, encoded = (text.split("+", 2) + ["", ""])[:3]
    raw = unbase64(encoded)
    if not raw or raw[0] not in types or len(raw) != (1313 if raw[0] == 6 else 33) or not valid_name(name):
        raise ValueError("%.300r is no verifier key" % text)
    ident = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if ident.hex() != digits:
        raise ValueError("the id of %.300r is not that of its key" % text)
    if raw[0] != 6:
        sign, y = raw[32] >> 7, int.from_bytes(raw[1:], "little") & (1 << 255) - 1
        if y >= P or sign and y in (1, P - 1):
            raise ValueError("the bytes of %.300r are no point as RFC 8032 writes it" % text)
    return name, ident, raw[1:], raw[0]


def split_note(note):
    """The text of a signed note and its signatures: (name, id, bytes)."""
    text, blank, rest = note.rpartition(b"\n\n")
    if not blank or not rest.endswith(b"\n"):
        raise ValueError("no signed note")
    signatures, met = [], set()
    lines = rest[:-1].split(b"\n")
    if len(lines) > MAX_SIGNATURES:
        raise ValueError("more than %d signatures" % MAX_SIGNATURES)
    for line in lines:
        match = re.fullmatch("— ([^ ]+) ([A-Za-z0-9+/=]+)", line.decode())
        if match is None or len(line) > MAX_NOTE or CONTROL.search(match.group(1)) or not valid_name(match.group(1)):
            raise ValueError("no signature line: %.300r" % line)
        name, raw = match.group(1), unbase64(match.group(2))
        if len(raw) < 5:
            raise ValueError("no signature line: %.300r" % line)
        if (name, raw[:4]) in met:
            raise ValueError("a second signature by the key %.300s" % name)
        met.add((name, raw[:4]))
        signatures.append((name, raw[:4], raw[4:]))
    return text + b"\n", signatures


def verifies(key, text, signature):
    """Reports whether the signature is one on the text; a witness's has a time before it."""
    if key[3] == 1:
        return ed25519(key[2], text, signature)
    seconds = int.from_bytes(signature[:8], "big")
    return seconds <= LATEST // 10**6 and ed25519(key[2], b"cosignature/v1\ntime %d\n" % seconds + text, signature[8:])


def signers(note, keys):
    """Those of keys that have signed, and those whose signature does not verify."""
    text, signatures = split_note(note)
    good, bad = [], []
    for name, ident, signature in signatures:
        for key in keys:
            if key[:2] == (name, ident):
                (good if verifies(key, text, signature) else bad).append(key)
    return good, bad


def key_id(key):
    return "%s+%s" % (key[0], key[1].hex())


class Policy:
    """C2SP tlog-policy, section 13. Everything it says must be understood."""

    def __init__(self, text):
        self.keys, self.named, self.grouped, self.quorum = [], {}, set(), None
        for line in text.split("\n"):
            if re.search("[\x00-\x08\x0a-\x1f\x7f]", line):
                raise ValueError("a control character in the policy: %.300r" % line)
            fields = [f for f in re.split("[ \t]+", line) if f]
            if fields and not fields[0].startswith("#") and not self.take(fields[0], fields[1:]):
                raise ValueError("no line of a policy: %.300r" % line)
        if self.quorum is None:
            raise ValueError("a policy without a quorum")

    def take(self, statement, fields):
        if statement == "log" and 1 <= len(fields) <= 2:
            return self.key(parse_key(fields[0]), [k for k in self.keys if k[3] == 1], MAX_LOGS)
        if statement == "witness" and 2 <= len(fields) <= 3:
            key = parse_key(fields[1], (4, 6))
            witnesses = [k for k in self.keys if k[3] != 1]
            return all(k[2] != key[2] for k in witnesses) and self.key(key, witnesses, MAX_WITNESSES) and self.name(fields[0], key[:2])
        if statement == "group" and len(fields) >= 3:
            members = fields[2:]
            if len(set(members)) != len(members) or any(m not in self.named or m in self.grouped for m in members):
                return False
            self.grouped.update(members)
            wanted = {"any": "1", "all": str(len(members))}.get(fields[1], fields[1])
            if not re.fullmatch("[1-9][0-9]?", wanted) or int(wanted) > len(members):
                return False
            return self.name(fields[0], (int(wanted), members))
        if statement == "quorum" and len(fields) == 1 and self.quorum is None:
            self.quorum = fields[0]
            return fields[0] == "none" or fields[0] in self.named
        return False

    def key(self, key, others, most):
        self.keys.append(key)
        return len(others) < most and all(k[:2] != key[:2] for k in others)

    def name(self, name, what):
        if name == "none" or name in self.named or len(self.named) == MAX_WITNESSES:
            return False
        self.named[name] = what
        return True

    def met(self, good, name=None):
        """Reports whether the keys in good are a quorum."""
        name = name or self.quorum
        if name == "none":
            return True
        first, second = self.named[name]
        if isinstance(first, str):
            return any(k[:2] == (first, second) for k in good)
        return sum(self.met(good, m) for m in second) >= first


# --- Merkle tree, RFC 6962 -------------------------------------------------------

def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """Complete subtrees, largest first: (leaves, root)."""

    def __init__(self):
        self.parts, self.size = [], 0

    def append(self, root, leaves=1):
        self.parts.append((leaves, root))
        self.size += leaves
        while len(self.parts) > 1 and self.parts[-1][0] == self.parts[-2][0]:
            (n, right), (_, left) = self.parts.pop(), self.parts.pop()
            self.parts.append((2 * n, node(left, right)))

    def root(self):
        if not self.parts:
            return EMPTY_ROOT
        root = self.parts[-1][1]
        for _, left in reversed(self.parts[:-1]):
            root = node(left, root)
        return root


def consistent(first, second, first_root, second_root, proof):
    """RFC 9162, 2.1.4.2."""
    if first & (first - 1) == 0:
        proof = [first_root] + proof
    if not proof:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while fn & 1 == 0 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr == first_root and sr == second_root and sn == 0


# --- Container, section 19.1 -----------------------------------------------------

PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


def valid_path(path):
    return len(path) <= 128 and PATH.fullmatch(path) is not None and all(s.strip(".") for s in path.split("/"))


class Archive:
    """Members one behind the other, then one directory, then its end."""

    def __init__(self, f):
        self.f = f
        self.size = f.seek(0, 2)
        self.members = {}
        if self.size < 22:
            raise NotBundle("it has %d bytes" % self.size)
        end = self.at(self.size - 22, 22)
        signature, disks, here, count, length, offset, comment = struct.unpack("<IIHHIIH", end)
        if signature != 0x06054B50 or comment:
            raise NotBundle("no directory at its end: it is no ZIP, was cut short, or something was appended")
        limit, several = self.size - 22, disks != 0 or here != count
        if count == 0xFFFF or length == IN64 or offset == IN64:
            limit -= 76
            if limit < 0:
                raise NotBundle("no room for a 64-bit directory")
            said = (count, 0xFFFF), (length, IN64), (offset, IN64)
            record = self.at(limit, 76)
            signature, rest, _, disks, here, count, length, offset = struct.unpack("<IQIQQQQQ", record[:56])
            locator, disk, place, total = struct.unpack("<IIQI", record[56:])
            if (signature, rest, locator, place) != (0x06064B50, 44, 0x07064B50, limit):
                raise NotBundle("its 64-bit directory is not where it says")
            several = several or disks != 0 or here != count or disk != 0 or total != 1
            for (value, wide), value64 in zip(said, (count, length, offset)):
                if value not in (wide, value64):
                    raise NotBundle("its 64-bit end record says something else than the other")
        if several:
            raise NotBundle("its directory is said to go on in other files")
        if length > MAX_DIRECTORY or count > MAX_MEMBERS + 1:
            raise NotBundle("a directory of %d bytes for %d files" % (length, count))
        if offset + length != limit:
            raise NotBundle("its directory is not where it says")
        self.read_directory(self.at(offset, length), count, offset)
        if "manifest" not in self.members:
            raise NotBundle("it has no manifest")

    def at(self, offset, length):
        self.f.seek(offset)
        b = self.f.read(length)
        if len(b) != length:
            raise NotBundle("it is cut short at byte %d" % offset)
        return b

    def read_directory(self, b, count, limit):
        at, place = 0, 0
        for _ in range(count):
            if len(b) - at < 46:
                raise NotBundle("its directory is cut short")
            (signature, _, _, flags, method, _, _, packed, size, n, extra, comment, _, _,
             offset) = struct.unpack("<IHHHHIIIIHHHIII", b[at:at + 46])
            name, more = b[at + 46:at + 46 + n], b[at + 46 + n:at + 46 + n + extra]
            at += 46 + n + extra
            if signature != 0x02014B50 or at > len(b):
                raise NotBundle("its directory is damaged")
            path = name.decode("latin-1")
            size, packed, offset = self.wide(path, more, size, packed, offset)
            if path in self.members:
                raise NotBundle("the name %r stands twice" % path)
            if not valid_path(path):
                raise NotBundle("the name %.128r is none that a bundle has" % path)
            if method != 0 or packed != size or flags & ~0x808:
                raise NotBundle("%s is compressed or encrypted; a bundle's members are stored" % path)
            if comment:
                raise NotBundle("%s has a comment" % path)
            if offset != place:
                raise NotBundle("%s begins at byte %d, and not at %d: members overlap, or have something between them" % (path, offset, place))
            place = self.member(name, path, flags, place, size, limit)
        if at != len(b):
            raise NotBundle("its directory is longer than its files")
        if place != limit:
            raise NotBundle("%d bytes before its directory belong to no member" % (limit - place))

    def member(self, name, path, flags, place, size, limit):
        """Takes a member, and returns where it ends."""
        begin = place + 30 + len(name)
        end = begin + size
        if end > limit:
            raise NotBundle("%s would overlap the directory" % path)
        header, behind = self.at(place, begin - place), flags & 8
        signature, _, said, method, _, _, packed, unpacked, n, extra = struct.unpack("<IHHHIIIIHH", header[:30])
        sizes = 0 if behind else size
        if (signature, said, method, packed, unpacked, n, extra, header[30:]) != (0x04034B50, flags, 0, sizes, sizes, len(name), 0, name):
            raise NotBundle("the local header of %s says something else" % path)
        self.members[path] = (begin, size)
        if behind:
            form = "<IIII" if size < IN64 else "<IIQQ"
            signature, _, packed, unpacked = struct.unpack(form, self.at(end, struct.calcsize(form)))
            if (signature, packed, unpacked) != (0x08074B50, size, size):
                raise NotBundle("the sizes behind the data of %s are others" % path)
            end += struct.calcsize(form)
        return end

    @staticmethod
    def wide(path, extra, size, packed, offset):
        """The 64-bit values, of which the extra field has those that are IN64."""
        values = [size, packed, offset]
        if extra:
            if len(extra) < 4 or struct.unpack("<HH", extra[:4]) != (1, len(extra) - 4):
                raise NotBundle("%s has an extra field that is not the one of 64-bit sizes" % path)
            extra = extra[4:]
        for i in range(3):
            if values[i] == IN64:
                if len(extra) < 8:
                    raise NotBundle("the 64-bit sizes of %s are not there" % path)
                values[i], extra = struct.unpack("<Q", extra[:8])[0], extra[8:]
        if extra and (offset == IN64 or extra != struct.pack("<Q", values[2])):
            raise NotBundle("the 64-bit sizes of %s are not the ones it needs" % path)
        return values

    def read(self, path, most):
        offset, size = self.members[path]
        if size > most:
            raise ValueError("%s has %d bytes, more than make sense" % (path, size))
        return self.at(offset, size)

    def chunks(self, path):
        offset, size = self.members[path]
        while size:
            n = min(size, CHUNK)
            yield self.at(offset, n)
            offset, size = offset + n, size - n


def leaves(chunks):
    """The leaves of a member that is a list of them."""
    b, at = b"", 0
    for chunk in chunks:
        b, at = b[at:] + chunk, 0
        while len(b) - at >= 2:
            n = b[at] << 8 | b[at + 1]
            if len(b) - at - 2 < n:
                break
            yield b[at + 2:at + 2 + n]
            at += 2 + n
    if at != len(b):
        raise Malformed("bytes behind the last leaf, or too few")


# --- Manifest, section 19.2 ------------------------------------------------------

NUMBER = "(0|[1-9][0-9]{0,18})"
HASH = "([0-9a-f]{64})"


class Manifest:
    def __init__(self, text):
        first, end, rest = text.partition(b"\n")
        if first != b"tallystick/bundle/v1" or not end:
            if first.startswith(b"tallystick/bundle/") and end:
                raise Unknown("a bundle of another version: %.64r" % first)
            raise Malformed("it begins with %.64r" % first)
        if rest and not rest.endswith(b"\n"):
            raise Malformed("no end of line")
        self.lines = rest.decode().split("\n")[:-1]
        self.ledger = uuid.UUID(self.take("ledger ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")[0])
        self.origin = self.take("origin (.+)")[0]
        self.size = int(self.take("size " + NUMBER)[0])
        self.head = bytes.fromhex(self.take("head " + HASH)[0])
        self.root = bytes.fromhex(self.take("root " + HASH)[0])
        self.texts = self.take("texts (all|none)")[0] == "all"
        self.commitment = None
        if self.lines and self.lines[0].startswith("commitment "):
            seq, size = self.take("commitment %s %s" % (NUMBER, NUMBER))
            self.commitment = int(seq), int(size)
            if not self.commitment[1] <= self.commitment[0] < self.size:
                raise Malformed("a commitment beyond the entries")
        self.source = self.take("from (.+)")[0]
        if not 1 <= self.size <= MAX_MEMBERS * PER_MEMBER or len(self.origin.encode()) > 255 or len(self.source.encode()) > 255:
            raise Malformed("a size out of bounds, or a text that is too long")
        if CONTROL.search(self.origin + self.source):
            raise Malformed("a control character")
        self.members, before = {}, ""
        if len(self.lines) > MAX_MEMBERS:
            raise Malformed("too many files")
        while self.lines:
            if self.lines[0].startswith("tree "):
                count, size, digest, path = self.take("tree %s %s %s (.+)" % (NUMBER, NUMBER, HASH))
            else:
                (size, digest, path), count = self.take("file %s %s (.+)" % (NUMBER, HASH)), None
            if not valid_path(path) or path == "manifest" or path <= before:
                raise Malformed("%r is no name, or out of order" % path)
            self.members[path] = (None if count is None else int(count), int(size), bytes.fromhex(digest))
            before = path
        if sum(p.startswith("checkpoints/") for p in self.members) > MAX_CHECKPOINTS:
            raise Malformed("too many checkpoints")

    def take(self, pattern):
        line = self.lines.pop(0) if self.lines else ""
        match = re.fullmatch(pattern, line)
        if match is None:
            raise Malformed("%.64r where %.32r belongs" % (line, pattern))
        return match.groups()


# --- Entries, sections 1 to 8 ----------------------------------------------------

LATEST = 253402300799999999
LOWEST = -(2**127)
HIGHEST = 2**127 - 1
POSTING = {4: 1, 5: 1, 6: 1, 7: 1, 8: 1}
#          ref_seq: must; related_to, expires_at: may; ledger, account: must
REF, RELATED, EXPIRES = {6, 7, 8, 10, 16}, {4, 5, 14}, {5}
CURRENCY, CODE = re.compile(b"[A-Z0-9]{1,16}"), re.compile(b"[a-z0-9._-]+(:[a-z0-9._-]+)*")


def is_date(text):
    try:
        return bool(re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) and datetime.date(*map(int, text.split("-"))))
    except ValueError:
        return False


def is_number(text):
    return re.fullmatch(NUMBER, text) is not None and int(text) < 2**63


SYNTAX = {
    "number": is_number,
    "loss": lambda text: text == "unknown" or is_number(text),
    "scale": lambda text: is_number(text) and int(text) <= 18,
    "hash": re.compile(HASH).fullmatch,
    "uuid": re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch,
    "date": is_date,
    "currency": re.compile("[A-Z0-9]{1,16}").fullmatch,
    "account": lambda text: len(text) <= 128 and CODE.fullmatch(text.encode()),
    "amount": lambda text: len(text) <= 60 and re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", text) and (text[0] != "-" or text.strip("-0.")),
    "word": re.compile("[a-z0-9_]{1,64}").fullmatch,
    "text": lambda text: True,
}

# Section 8: the details of a kind; ! stands at those that it must have, and a
# name with a dot is followed by a currency code.
DETAILS = {kind: dict(pair.split(":") for pair in pairs.split()) for kind, pairs in {
    1: "lost_entries:loss! lost_reason:word! predecessor_checkpoint_sha256:hash! predecessor_origin:text! predecessor_root:hash! predecessor_size:number!",
    4: "rate:text",
    5: "rate:text",
    6: "rate:text",
    9: "closing_seq:number period_end:date! retain_account.:account through_seq:number! trial_balance_sha256:hash",
    10: "period_end:date!",
    11: "code:currency! name:text! scale:scale!",
    12: "effective_from:date! name:text! policy_sha256:hash! version:text",
    13: "as_of:date! calendar_sha256:hash critical:number! decisions_sha256:hash head:hash! inputs_sha256:hash policy_sha256:hash rates_sha256:hash"
        " read_from:number! reports_sha256:hash! result:word! run_id:uuid! size:number! statements_sha256:hash warnings:number!",
    14: "action:word! amount:amount currency:currency entry_seq:number outcome:word run_id:uuid subject:text! supersedes:number",
    15: "accounts:number! pending.:amount posted.:amount root:hash! size:number!",
    16: "basis:word! case:text",
    17: "action:word! key_id:text! overlap_until:date public_key:text role:word! scopes:text",
}.items()}


class Reader:
    def __init__(self, b):
        self.b, self.at = b, 0

    def take(self, n):
        if len(self.b) - self.at < n:
            raise Malformed("cut short")
        self.at += n
        return self.b[self.at - n:self.at]

    def int(self, n, signed=False):
        return int.from_bytes(self.take(n), "big", signed=signed)

    def units(self):
        v = self.int(16, True)
        if v == LOWEST:
            raise Malformed("an amount of −2^127")
        return v

    def flag(self):
        v = self.int(1)
        if v > 1:
            raise Malformed("a byte that is neither 0 nor 1")
        return v == 1

    def count(self, most):
        n = self.int(2)
        if n > most:
            raise Malformed("a count beyond its bound")
        return n

    def optional(self, field, *args):
        return field(*args) if self.flag() else None

    def text(self, low, high):
        b = self.take(self.int(2))
        try:
            s = b.decode()
        except UnicodeDecodeError:
            raise Malformed("no UTF-8") from None
        if not low <= len(b) <= high or CONTROL.search(s):
            raise Malformed("a text that is too long or has control characters")
        return s

    def date(self):
        v = self.int(4, True)
        if not -719162 <= v <= 2932896:
            raise Malformed("a date beyond the calendar")
        return v

    def time(self):
        v = self.int(8, True)
        if not 0 <= v <= LATEST:
            raise Malformed("a time beyond the calendar")
        return v

    def currency(self):
        code = self.take(self.int(2))
        scale = self.int(1)
        if not CURRENCY.fullmatch(code) or scale > 18:
            raise Malformed("a currency of another form")
        return code, scale


class Entry:
    def __init__(self, b):
        r = Reader(b)
        if r.take(16) != b"tallystick/entry":
            raise Malformed("no entry")
        version = r.int(2)
        if version != 1:
            raise Unknown("format version %d" % version)
        if len(b) > 65535:
            raise Malformed("too long")
        self.kind = r.int(2)
        self.ledger, self.seq, self.prev, self.request = r.take(16), r.int(8, True), r.take(32), r.take(16)
        self.recorded, self.booking = r.time(), r.date()
        r.date()
        r.take(16)
        prior = r.flag()
        self.ref = r.optional(r.int, 8, True)
        related, expires = r.optional(r.take, 16), r.optional(r.time)
        self.commitments = [r.optional(r.take, 32) for _ in range(3)]
        self.postings = [self.posting(r) for _ in range(r.count(500))]
        self.origin = r.optional(self.terms, r)
        self.account = r.optional(self.attributes, r)
        self.details, self.unknown = {}, []
        before, size = "", 0
        for _ in range(r.count(512)):
            name, value = r.text(1, 64), r.text(1, 1024)
            size += 4 + len(name.encode()) + len(value.encode())
            if name.encode() <= before.encode() or size > 32768:
                raise Malformed("details out of order, or too long")
            self.details[name], before = value, name
        if r.at != len(b):
            raise Malformed("bytes behind the end")
        k = self.kind
        if ((k == 1) != (self.seq == 0) or self.seq < 0 or (self.seq == 0 and any(self.prev))
                or (self.ref is not None and not 0 <= self.ref < self.seq)):
            raise Malformed("a seq that it cannot have, or act on")
        if not 1 <= k <= 17:
            raise Unknown("kind %d" % k)
        n = len(self.postings)
        wrong = (
            (n < 2 if k in POSTING else n > 0) or (prior and k not in POSTING)
            or (k in REF) != (self.ref is not None) or (related is not None and k not in RELATED)
            or (expires is not None and k not in EXPIRES) or (self.origin is not None) != (k == 1)
            or (self.account is not None) != (k in (2, 3)))
        if wrong:
            raise Malformed("fields that its kind does not have, or lacks")
        self.check_details()

    def check_details(self):
        """Section 8. A detail that is not known is for newer software to judge."""
        rules, known = DETAILS.get(self.kind, {}), False
        for name, value in self.details.items():
            stem, dot, code = name.partition(".")
            if dot and not CURRENCY.fullmatch(code.encode()):
                raise Malformed("detail %r" % name)
            rule = rules.get(stem + dot)
            if rule is None:
                self.unknown.append(name)
            elif not SYNTAX[rule.rstrip("!")](value):
                raise Malformed("detail %s: %.64r is no %s" % (name, value, rule))
            else:
                known = True
        if (self.kind != 1 or known) and any(rule.endswith("!") and name not in self.details for name, rule in rules.items()):
            raise Malformed("a detail that its kind must have is missing")

    @staticmethod
    def posting(r):
        account, side = r.take(16), r.int(1)
        currency = r.currency()
        amount, change = r.units(), r.units()
        r.date()
        seq = r.int(8, True)
        posted, debit, credit = r.units(), r.units(), r.units()
        if side not in (1, 2) or amount < 0 or seq < 1 or debit < 0 or credit < 0:
            raise Malformed("a posting out of bounds")
        return account, side, currency, amount, change, seq, posted, debit, credit

    @staticmethod
    def terms(r):
        r.text(1, 64)
        origin = r.text(1, 255)
        r.text(1, 64)
        cutoff = r.int(4, True)
        r.currency()
        if not 0 <= cutoff <= 86399 or r.int(4, True) < 0 or r.int(4, True) < 0:
            raise Malformed("ledger terms out of bounds")
        return origin

    @staticmethod
    def attributes(r):
        ident, code = r.take(16), r.take(r.int(2))
        kind = r.int(1)
        currency = r.currency()
        r.optional(r.units)
        r.optional(r.units)
        frozen = r.int(1)
        r.flag()
        before = b""
        for _ in range(r.count(32)):
            key = r.text(1, 64).encode()
            r.text(0, 255)
            if key <= before:
                raise Malformed("tags out of order")
            before = key
        if not CODE.fullmatch(code) or len(code) > 128 or not 1 <= kind <= 5 or frozen > 3:
            raise Malformed("an account out of bounds")
        return ident, code.decode(), currency


def decimal(units, scale):
    digits = str(abs(units)).rjust(scale + 1, "0")
    text = digits[:-scale] + "." + digits[-scale:] if scale else digits
    return "-" + text if units < 0 else text


# --- The verification ------------------------------------------------------------

class Verification:
    def __init__(self, archive, keys):
        self.a, self.given = archive, keys
        self.findings, self.incomplete, self.infos, self.total = [], [], 0, 0
        self.m = None
        self.checkpoints, self.roots, self.signed = {}, {}, []
        self.accounts, self.entries, self.texts, self.proofs = {}, 0, 0, 0
        self.opened, self.codes, self.policy = {}, {}, None
        self.before, self.head, self.commit, self.at_commit = None, bytes(32), None, None
        self.newest_commit = 0
        self.erased, self.missing = set(), []

    def find(self, code, where, what):
        self.total += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append("%s  %s: %s" % (where, code, what))

    def manifest_differs(self, path, what):
        self.find("BUNDLE_MANIFEST_MISMATCH", path, what)

    def run(self):
        try:
            note = self.a.read("manifest", MAX_MANIFEST)
            end = note.rfind(b"\n\n")
            self.m = Manifest(note if end < 0 else note[:end + 1])
        except Unknown as e:
            return self.incomplete.append("the manifest: %s" % e)
        except (Malformed, ValueError) as e:
            return self.manifest_differs("manifest", str(e))
        self.read_keys()
        if end >= 0:
            self.read_manifest_signatures(note)
        self.read_checkpoints()
        self.read_files()
        self.read_proofs()
        self.read_entries()
        self.check_roots()
        self.check_texts()
        self.check_balances()

    manifest_signed = ()

    def read_manifest_signatures(self, note):
        """No tree proves what a manifest says of files: the keys that a bundle brings do not count here when others were given."""
        try:
            good, bad = signers(note, [k for k in self.trusted if k[3] == 1])
        except ValueError as e:
            return self.manifest_differs("manifest", str(e))
        if bad:
            self.manifest_differs("manifest", "its signature does not verify")
        else:
            self.manifest_signed = [key_id(k) for k in good]

    def read_keys(self):
        try:
            own = self.own_keys()
        except ValueError as e:
            self.incomplete.append("the keys in the bundle: %s" % e)
            own, self.policy = [], None
        self.keys = self.given + [k for k in own if all(k[:2] != g[:2] for g in self.given)]
        self.trusted = self.given or own
        if not self.trusted:
            self.incomplete.append("signatures: the bundle brings no key and none was given; give the signer's with --key")

    def own_keys(self):
        """The keys of the bundle, and its policy, which counts where no key was given."""
        own = []
        if "keys" in self.m.members and "keys" in self.a.members:
            lines = self.a.read("keys", MAX_KEYS * 1024).decode().removesuffix("\n").split("\n")
            if len(lines) > MAX_KEYS:
                raise ValueError("more than %d keys" % MAX_KEYS)
            for key in map(parse_key, lines):
                if any(k[:2] == key[:2] for k in own):
                    raise ValueError("the key %s stands twice" % key_id(key))
                own.append(key)
        if "policy" not in self.m.members or "policy" not in self.a.members:
            return own
        policy = Policy(self.a.read("policy", 1 << 20).decode(errors="surrogateescape"))
        if not self.given:
            self.policy = policy
        for key in policy.keys:
            if key[3] == 6 and self.policy:
                self.policy = None
                self.incomplete.append("witnesses: the bundle's policy has keys of another type than FORMAT.md")
            elif key[3] != 6 and all(k[:2] != key[:2] for k in own):
                own.append(key)
        return own

    def read_checkpoints(self):
        newest = False
        for path in self.m.members:
            if not path.startswith("checkpoints/"):
                continue
            match = re.fullmatch("checkpoints/([1-9][0-9]{0,18})", path)
            size = int(match.group(1)) if match else 0
            if not 1 <= size <= self.m.size or path not in self.a.members:
                self.manifest_differs(path, "no checkpoint of a size in the bundle")
                continue
            try:
                note = self.a.read(path, MAX_NOTE)
            except ValueError as e:
                self.manifest_differs(path, str(e))
                continue
            newest = newest or size == self.m.size
            try:
                self.read_checkpoint(size, path, note)
            except ValueError as e:
                self.find("CHECKPOINT_BAD_SIGNATURE", path, str(e))
        if not newest:
            self.manifest_differs("checkpoints/%d" % self.m.size, "nobody signed what is in the bundle")

    def read_checkpoint(self, size, path, note):
        text, _ = split_note(note)
        match = re.fullmatch("([^\n]+)\n%s\n([A-Za-z0-9+/]{43}=)\n" % NUMBER, text.decode())
        if match is None or len(match.group(1).encode()) > 255 or CONTROL.search(match.group(1)) or int(match.group(2)) > MAX_TREE:
            raise ValueError("no checkpoint")
        origin, said, root = match.group(1), int(match.group(2)), unbase64(match.group(3))
        if said == 0 and root != EMPTY_ROOT:
            raise ValueError("no checkpoint of an empty tree")
        keys = self.trusted if size == self.m.size else self.keys
        good, bad = signers(note, keys)
        logs = [k for k in good if k[3] == 1]
        if bad:
            if logs and all(k[3] != 1 for k in bad):
                self.find("COSIGNATURE_INVALID", path, "the cosignature is not for this checkpoint")
            else:
                self.find("CHECKPOINT_BAD_SIGNATURE", path, "the checkpoint is not what its signer signed")
        elif keys and all(k[0] != origin for k in logs):
            self.find("CHECKPOINT_UNKNOWN_KEY", path, "not signed by a key that is trusted")
        elif keys and size == self.m.size and self.policy and not self.policy.met(good):
            self.find("WITNESS_QUORUM_NOT_MET", path, "fewer witnesses have cosigned it than the policy wants")
        if origin != self.m.origin:
            self.find("ORIGIN_MISMATCH", path, origin)
        if said != size:
            return self.manifest_differs(path, "a checkpoint of size %d" % said)
        self.checkpoints[size] = root
        mine = [k[:2] for k in self.trusted]
        self.signed.append((size, [key_id(k) + ("" if k[:2] in mine else " (a key that the bundle alone names)") for k in good]))

    def in_entries(self, path):
        match = re.fullmatch("(entries|texts)/([0-9]{8})", path)
        if match is None or (match.group(1) == "texts" and not self.m.texts):
            return False
        return int(match.group(2)) * PER_MEMBER < self.m.size

    def read_files(self):
        for path in self.a.members:
            if path != "manifest" and path not in self.m.members:
                self.manifest_differs(path, "not in the manifest")
        for path, (count, size, digest) in self.m.members.items():
            if path not in self.a.members:
                self.manifest_differs(path, "listed, and not in the bundle")
                continue
            if self.a.members[path][1] != size:
                self.manifest_differs(path, "%d bytes, listed with %d" % (self.a.members[path][1], size))
            if path == "balances" or (path.startswith("entries/") and self.in_entries(path)):
                continue
            if path.startswith("entries/") or count is not None:
                self.manifest_differs(path, "it does not belong there")
                continue
            sha = hashlib.sha256()
            for chunk in self.a.chunks(path):
                sha.update(chunk)
            if sha.digest() != digest:
                self.manifest_differs(path, "SHA-256 %s, listed with %s" % (sha.hexdigest(), digest.hex()))

    def read_proofs(self):
        for path in self.m.members:
            if not path.startswith("consistency/") or path not in self.a.members:
                continue
            match = re.fullmatch("consistency/([1-9][0-9]*)-([1-9][0-9]*)", path)
            sizes = [int(s) for s in match.groups()] if match else [0, 0]
            if not sizes[0] < sizes[1] or any(s not in self.checkpoints for s in sizes):
                self.manifest_differs(path, "no proof between two checkpoints of the bundle")
                continue
            try:
                lines = self.a.read(path, 64 * 45).decode().split("\n")
                proof = [unbase64(line) for line in lines[:-1]]
                good = (lines[-1] == "" and all(len(h) == 32 for h in proof)
                        and consistent(*sizes, *[self.checkpoints[s] for s in sizes], proof))
            except ValueError:
                good = False
            if not good:
                self.find("CONSISTENCY_PROOF_INVALID", path, "it does not show that the later checkpoint extends the earlier one")
            self.proofs += good

    def read_entries(self):
        tree, whole = Tree(), True
        for i in range((self.m.size + PER_MEMBER - 1) // PER_MEMBER):
            path, first = "entries/%08d" % i, i * PER_MEMBER
            want = min(PER_MEMBER, self.m.size - first)
            if path not in self.a.members or path not in self.m.members:
                self.manifest_differs(path, "not in the bundle and its manifest both")
                whole, self.before = False, None
                continue
            texts = self.open_texts(i)
            member, seq, self.skipped = Tree(), first, 0
            try:
                for leaf in leaves(self.a.chunks(path)):
                    digest = hashlib.sha256(b"\x00" + leaf).digest()
                    if self.m.commitment and self.m.commitment[1] == seq:
                        self.at_commit = dict(self.accounts)
                    self.entry(seq + self.skipped, leaf, digest, texts)
                    member.append(digest)
                    seq += 1
                    if whole and seq in self.checkpoints and member.size < PER_MEMBER:
                        part = Tree()
                        part.parts = tree.parts + member.parts
                        self.roots[seq] = part.root()
            except Malformed as e:
                self.manifest_differs(path, str(e))
            if texts:
                texts.finish()
            count, _, root = self.m.members[path]
            if (count, root) != (want, member.root()) or member.size != want:
                self.manifest_differs(path, "%d entries with root %s, listed with %s and %s" % (member.size, member.root().hex(), count, root.hex()))
            whole = whole and member.size == want
            if whole and want == PER_MEMBER:
                tree.append(member.root(), PER_MEMBER)
                self.roots[tree.size] = tree.root()

    def entry(self, seq, leaf, digest, texts):
        where = "entry %d" % seq
        before, self.head = self.head if self.before or seq == 0 else None, digest
        self.entries += 1
        skipped = self.skipped
        times = self.header(where, seq, leaf, before)
        seq += self.skipped - skipped
        where = "entry %d" % seq
        try:
            e = Entry(leaf)
        except Unknown as x:
            self.incomplete.append("%s: %s" % (where, x))
            e = None
        except Malformed as x:
            self.find("ENTRY_MALFORMED", where, str(x))
            e = None
        self.before = times or (0, -10**9)
        if e is None:
            if texts:
                texts.skip(seq)
            return
        self.incomplete += ["%s: detail %s of kind %d" % (where, name, e.kind) for name in e.unknown]
        if e.postings:
            self.postings(where, seq, e)
        if e.kind == 1 and e.origin != self.m.origin:
            self.find("ORIGIN_MISMATCH", where, e.origin)
        elif e.kind == 2:
            ident, code, currency = e.account
            if ident in self.opened:
                self.find("ACCOUNT_STATE_MISMATCH", where, "account %s is opened a second time" % code)
            else:
                self.accounts.setdefault(ident, (currency, 0, 0, 0, 0))
                self.opened[ident] = seq
                self.codes.setdefault(code, []).append(seq)
        elif e.kind == 15:
            self.newest_commit = seq
            if self.m.commitment and self.m.commitment[0] == e.seq:
                self.commit = e.details
        elif e.kind == 16:
            self.erased.add(e.ref)
        if texts:
            texts.check(seq, e.commitments)

    def header(self, where, seq, leaf, before):
        """Checks what stands at the same place in every entry of version 1, and returns its times."""
        if len(leaf) < 124 or leaf[:18] != b"tallystick/entry\x00\x01":
            return None
        ledger, said, prev, _, recorded, booking = struct.unpack(">16sq32s16sqi", leaf[20:104])
        if said < 0:
            return None
        if ledger != self.m.ledger.bytes:
            self.find("LEDGER_ID_MISMATCH", where, str(uuid.UUID(bytes=ledger)))
            if seq == 0:
                self.manifest_differs("manifest", "its ledger is %s, and entry 0 is of %s" % (self.m.ledger, uuid.UUID(bytes=ledger)))
        if said != seq:
            self.find("SEQ_GAP", where, "it says %d" % said)
            if seq < said < self.m.size:
                self.skipped += said - seq  # one finding for all that are missing
        if before is not None and prev != before:
            self.find("CHAIN_BREAK", where, "it follows %s, and %s stands before it" % (prev.hex(), before.hex()))
        if self.before and (recorded < self.before[0] or booking < self.before[1]):
            self.find("TIME_REGRESSION", where, "dated before the entry that precedes it")
        return recorded, booking

    def postings(self, where, seq, e):
        sums, met = {}, set()
        for account, side, currency, amount, change, account_seq, posted, debit, credit in e.postings:
            fits = {5: amount == 0 and change > 0, 6: change < 0, 7: amount == 0 and change < 0}.get(e.kind, amount > 0 and change == 0)
            if not fits or account in met:
                self.find("ENTRY_MALFORMED", where, "figures that its kind does not have, or an account that stands twice")
            met.add(account)
            sign = 1 if side == 1 else -1
            s = sums.setdefault(currency, {1: [0, 0], 2: [0, 0]})[side]
            s[0], s[1] = s[0] + amount, s[1] + change
            name, was = uuid.UUID(bytes=account), self.accounts.get(account)
            if was is None:
                self.find("ACCOUNT_MISSING", where, "%s was not opened before this entry" % name)
                was = (currency, 0, 0, 0, 0)
            if currency != was[0]:
                self.find("CURRENCY_MISMATCH", where, "account %s" % name)
            if account_seq != was[1] + 1:
                self.find("ACCOUNT_SEQ_GAP", where, "account %s: %d after %d" % (name, account_seq, was[1]))
            elif (posted, debit, credit) != (was[2] + sign * amount, was[3] + (side == 1) * change, was[4] + (side == 2) * change):
                self.find("BALANCE_CHAIN_BREAK", where, "account %s" % name)
            self.accounts[account] = (was[0], account_seq, posted, debit, credit)
        for (code, _), s in sums.items():
            if s[1] != s[2] or any(abs(v) > HIGHEST for v in s[1] + s[2]):
                self.find("UNBALANCED_ENTRY", where, "debits and credits in %s differ" % code.decode())

    def check_roots(self):
        for size, root in sorted(self.checkpoints.items()):
            if self.roots.get(size) != root:
                got = self.roots[size].hex() if size in self.roots else "no tree of that size"
                self.find("CHECKPOINT_ROOT_MISMATCH", "entry %d" % (size - 1), "signed %s, here %s" % (root.hex(), got))
        if self.roots.get(self.m.size, self.m.root) != self.m.root or self.head != self.m.head:
            self.manifest_differs("manifest", "root or head are not those of the entries")

    def open_texts(self, i):
        path = "texts/%08d" % i
        if not self.m.texts:
            return None
        if path not in self.a.members and path not in self.m.members:
            return Texts(self, path, iter(()))
        if path not in self.a.members or path not in self.m.members:
            self.manifest_differs(path, "not in the bundle and its manifest both")
            return Texts(self, path, iter(()))
        return Texts(self, path, self.a.chunks(path))

    def check_texts(self):
        for seq, name in self.missing:
            if seq in self.erased:
                self.infos += 1
            else:
                self.find("PAYLOAD_MISSING", "entry %d" % seq, "its %s is not in the bundle, and no erasure is on record" % name)

    def leaf(self, size, ident, state):
        (code, scale), seq, posted, debit, credit = state
        b = b"tallystick/state" + struct.pack(">H", 1) + self.m.ledger.bytes + struct.pack(">q", size) + ident
        b += struct.pack(">H", len(code)) + code + struct.pack(">Bq", scale, seq)
        return b + b"".join(v.to_bytes(16, "big", signed=True) for v in (posted, debit, credit))

    def totals(self, accounts):
        totals = {}
        for (currency, _, posted, debit, credit) in accounts.values():
            t = totals.setdefault(currency, [0, 0, 0, 0])
            t[0], t[1] = t[0] + max(posted, 0), t[1] + max(-posted, 0)
            t[2], t[3] = t[2] + debit, t[3] + credit
        return totals

    def check_balances(self):
        for (code, scale), t in self.totals(self.accounts).items():
            if max(t) > HIGHEST:
                self.incomplete.append("totals of %s beyond 128 bits" % code.decode())
            elif t[0] != t[1] or t[2] != t[3]:
                self.find("CURRENCY_NOT_ZERO", "the whole bundle", code.decode())
        for code, opened in self.codes.items():
            for seq in opened[1:]:
                self.find("ACCOUNT_STATE_MISMATCH", "entry %d" % seq, "the code %s is that of an account opened at entry %d" % (code, opened[0]))
        if self.newest_commit > (self.m.commitment[0] if self.m.commitment else 0):
            self.manifest_differs("entry %d" % self.newest_commit, "the newest commitment to balances, and the manifest names another or none")
        if self.m.commitment:
            self.check_commitment(*self.m.commitment)
        if "balances" not in self.m.members or "balances" not in self.a.members:
            if "balances" not in self.m.members and "balances" not in self.a.members:
                self.incomplete.append("balances: the bundle shows none")
            return
        want = [self.leaf(self.m.size, k, self.accounts[k]) for k in sorted(self.opened)]
        tree, differ = Tree(), 0
        try:
            for n, leaf in enumerate(leaves(self.a.chunks("balances"))):
                tree.append(hashlib.sha256(b"\x00" + leaf).digest())
                differ += n < len(want) and leaf != want[n]
            whole = True
        except Malformed as e:
            self.manifest_differs("balances", str(e))
            whole = False
        if differ or whole and tree.size != len(want):
            self.find("PROJECTION_MISMATCH", "balances", "%d of %d are not those that the entries give" % (differ, tree.size))
        if not whole:
            return
        count, _, root = self.m.members["balances"]
        if (count, root) != (tree.size, tree.root()):
            self.manifest_differs("balances", "%d accounts with root %s" % (tree.size, tree.root().hex()))

    def check_commitment(self, seq, size):
        if self.at_commit is None:
            self.incomplete.append("the balance commitment of entry %d" % seq)
        if self.commit is None:
            return self.manifest_differs("entry %d" % seq, "no commitment to balances, and the manifest says so")
        if self.at_commit is None:
            return
        at, tree = self.at_commit, Tree()
        for ident in sorted(k for k in at if self.opened.get(k, size) < size):
            tree.append(hashlib.sha256(b"\x00" + self.leaf(size, ident, at[ident])).digest())
        want = [("size", str(size)), ("accounts", str(tree.size)), ("root", tree.root().hex())]
        said = {name: value for name, value in self.commit.items() if name in dict(want) or name.startswith(("posted.", "pending."))}
        for (code, scale), t in self.totals(at).items():
            names = ["posted." + code.decode(), "pending." + code.decode()]
            if max(t) > HIGHEST:
                self.incomplete.append("totals of %s beyond 128 bits at entry %d" % (code.decode(), seq))
                for name in names:
                    said.pop(name, None)
            else:
                want += zip(names, (decimal(t[0], scale), decimal(t[2], scale)))
        if len(want) != len(said) or dict(want) != said:  # in two scales a currency has two totals
            self.find("BALANCE_COMMITMENT_MISMATCH", "entry %d" % seq, "it commits to other balances than the entries before it give")

    def report(self, out):
        if self.total:
            out.write("TAMPERED: %d findings\n\n" % self.total)
        elif self.incomplete:
            out.write("INCOMPLETE\n\n")
        elif self.given:
            out.write("VERIFIED: it is what was signed, and holds\n\n")
        else:
            out.write("VERIFIED, BY ITS OWN KEYS: it holds; who signed it is up to you to find out\n\n")
        for f in self.findings:
            out.write("  %s\n" % f)
        if self.m:
            out.write("origin     %s\nsize       %d\nroot       %s\n" % (self.m.origin, self.m.size, self.m.root.hex()))
            out.write("read       %d entries, %d accounts, %d texts (%d erased on record), %d consistency proofs\n" % (
                self.entries, len(self.accounts), self.texts, self.infos, self.proofs))
            for size, good in sorted(self.signed):
                out.write("signed     size %d by %s\n" % (size, ", ".join(good) or "nobody that is known"))
            out.write("manifest   signed by %s\n" % (", ".join(self.manifest_signed) or "nobody that is known"))
            if not self.total and not self.incomplete:
                for (code, scale), t in sorted(self.totals(self.accounts).items()):
                    out.write("balances   %s: debits %s = credits %s\n" % (code.decode(), decimal(t[0], scale), decimal(t[1], scale)))
        out.write("\nNOT CHECKED\n")
        for what in self.incomplete:
            out.write("- COULD NOT BE READ OR UNDERSTOOD: %s\n" % what)
        if not self.policy:
            out.write("- witnesses: no policy of the bundle counts\n")
        out.write("- holds, reversals, limits, periods; requests that stand twice\n")
        out.write("- what was appended since, and whether others are shown the same\n")
        if not self.given:
            out.write("- whose keys these are: compare them with those that the operator publishes elsewhere\n")
        return 1 if self.total else 2 if self.incomplete else 0


class Texts:
    """The texts of a member of entries, read beside them."""

    NAMES = ("description", "reference", "metadata")

    def __init__(self, v, path, chunks):
        self.v, self.path, self.chunks, self.b, self.at = v, path, chunks, b"", 0
        self.seq, self.salt, self.texts = -1, b"", ()
        self.next()

    def take(self, n, begin=False):
        while len(self.b) - self.at < n:
            chunk = next(self.chunks, None)
            if chunk is None:
                if begin and self.at == len(self.b):
                    return None
                raise Malformed("a text that is cut short")
            self.b, self.at = self.b[self.at:] + chunk, 0
        self.at += n
        return self.b[self.at - n:self.at]

    def next(self):
        before = self.seq
        try:
            head = self.take(40, True)
            if head is None:
                self.seq = None
                return
            self.seq, self.salt = int.from_bytes(head[:8], "big", signed=True), head[8:]
            texts = []
            for _ in range(3):
                n = int.from_bytes(self.take(4), "big")
                if n > MAX_TEXT + 1:
                    raise Malformed("a text of %d bytes" % (n - 1))
                texts.append(self.take(n - 1) if n else None)
            self.texts = texts
            if self.seq <= before:
                raise Malformed("texts out of order")
        except Malformed as e:
            self.v.manifest_differs(self.path, str(e))
            self.seq = None

    def stray(self):
        self.v.find("COMMITMENT_MISMATCH", "entry %d" % self.seq, "texts of an entry that is not there")
        self.next()

    def skip(self, seq):
        if self.seq == seq:
            self.next()

    def check(self, seq, commitments):
        while self.seq is not None and self.seq < seq:
            self.stray()
        here = self.texts if self.seq == seq else (None, None, None)
        for tag, (commitment, text) in enumerate(zip(commitments, here), 1):
            name = self.NAMES[tag - 1]
            if commitment is None:
                if text is not None:
                    self.v.find("COMMITMENT_MISMATCH", "entry %d" % seq, "a %s that the entry does not commit to" % name)
            elif text is None:
                self.v.missing.append((seq, name))
            else:
                self.v.texts += 1
                if hmac.new(self.salt, bytes([tag]) + text, hashlib.sha256).digest() != commitment:
                    self.v.find("COMMITMENT_MISMATCH", "entry %d" % seq, "its %s is not the one that it commits to" % name)
        self.skip(seq)

    def finish(self):
        while self.seq is not None:
            self.stray()


def main(args):
    keys, files = [], []
    try:
        while args:
            arg = args.pop(0)
            if arg == "--key" and args:
                key = parse_key(args.pop(0))
                keys += [key] if key not in keys else []
            elif arg.startswith("-"):
                raise ValueError("unknown option %s" % arg)
            else:
                files.append(arg)
        if len(files) != 1:
            raise ValueError("usage: verify_bundle.py FILE.zip [--key VERIFIER_KEY]...")
        with open(files[0], "rb") as f:
            v = Verification(Archive(f), keys)
            v.run()
        return v.report(sys.stdout)
    except NotBundle as e:
        print("verify_bundle.py: %s is no evidence bundle: %s" % (files[0], e), file=sys.stderr)
    except (OSError, ValueError) as e:
        print("verify_bundle.py: %s" % e, file=sys.stderr)
    return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
