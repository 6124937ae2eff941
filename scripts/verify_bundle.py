#!/usr/bin/env python3
"""Verifies a Tallystick evidence bundle with nothing but Python 3.

    python3 verify_bundle.py FILE.zip [--key VERIFIER_KEY]...

Written from FORMAT.md alone (sections 1 to 10 and 19), which is in every bundle.
It knows nothing of the program that made the bundle. --key gives the signer's
key as you have it from elsewhere; without it the keys in the bundle are used,
and then nobody vouched for them.

Exit codes: 0 nothing wrong, 1 tampered, 2 something could not be checked,
3 no evidence bundle, or it could not be read.
"""

import base64
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
    # R = s·B − k·A, compared as bytes.
    x, y, z, t = add(times(s, BASE), times(L - k, a) if k else (0, 1, 1, 0))
    zi = pow(z, P - 2, P)
    x, y = x * zi % P, y * zi % P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


# --- C2SP signed notes -----------------------------------------------------------

def parse_key(text):
    """A verifier key: (name, id, public key)."""
    name, digits, encoded = (text.split("+", 2) + ["", ""])[:3]
    raw = base64.b64decode(encoded, validate=True)
    if len(raw) != 33 or raw[0] != 1:
        raise ValueError("%r is no Ed25519 verifier key" % text)
    ident = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if ident.hex() != digits:
        raise ValueError("the id of %r is not that of its key" % text)
    return name, ident, raw[1:]


def split_note(note):
    """The text of a signed note and its signatures: (name, id, bytes)."""
    text, blank, rest = note.rpartition(b"\n\n")
    if not blank or not rest.endswith(b"\n"):
        raise ValueError("no signed note")
    signatures = []
    lines = rest[:-1].split(b"\n")
    if len(lines) > MAX_SIGNATURES:
        raise ValueError("more than %d signatures" % MAX_SIGNATURES)
    for line in lines:
        match = re.fullmatch("— ([^ +]+) ([A-Za-z0-9+/=]+)", line.decode())
        raw = base64.b64decode(match.group(2), validate=True) if match else b""
        if len(raw) < 5:
            raise ValueError("no signature line: %r" % line)
        signatures.append((match.group(1), raw[:4], raw[4:]))
    return text + b"\n", signatures


def signers(note, keys):
    """Those of keys that have signed, and whether one of theirs does not verify."""
    text, signatures = split_note(note)
    good, bad = [], False
    for name, ident, signature in signatures:
        for key in keys:
            if key[:2] == (name, ident):
                if ed25519(key[2], text, signature):
                    good.append("%s+%s" % (name, ident.hex()))
                else:
                    bad = True
    return good, bad


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
        if not text.endswith("\n"):
            raise Malformed("no end of line")
        self.lines = text[:-1].split("\n")
        first = self.lines.pop(0)
        if first != "tallystick/bundle/v1":
            if first.startswith("tallystick/bundle/"):
                raise Unknown("a bundle of another version: %.64s" % first)
            raise Malformed("it begins with %.64r" % first)
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
        if re.search("[\x00-\x1f\x7f-\x9f]", self.origin + self.source):
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

    def take(self, pattern):
        line = self.lines.pop(0) if self.lines else ""
        match = re.fullmatch(pattern, line)
        if match is None:
            raise Malformed("%.64r where %.32r belongs" % (line, pattern))
        return match.groups()


# --- Entries, sections 1 to 8 ----------------------------------------------------

LATEST = 253402300799999999
LOWEST = -(2**127)
POSTING = {4: 1, 5: 1, 6: 1, 7: 1, 8: 1}
#          ref_seq: must; related_to, expires_at: may; ledger, account: must
REF, RELATED, EXPIRES = {6, 7, 8, 10, 16}, {4, 5, 14}, {5}
CURRENCY, CODE = re.compile(b"[A-Z0-9]{1,16}"), re.compile(b"[a-z0-9._-]+(:[a-z0-9._-]+)*")


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

    def optional(self, field, *args):
        return field(*args) if self.flag() else None

    def text(self, low, high):
        b = self.take(self.int(2))
        try:
            s = b.decode()
        except UnicodeDecodeError:
            raise Malformed("no UTF-8") from None
        if not low <= len(b) <= high or re.search("[\x00-\x1f\x7f-\x9f]", s):
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
        self.postings = [self.posting(r) for _ in range(r.int(2))]
        self.origin = r.optional(self.terms, r)
        self.account = r.optional(self.attributes, r)
        self.details = {}
        before = ""
        for _ in range(r.int(2)):
            name, value = r.text(1, 64), r.text(1, 1024)
            if name <= before:
                raise Malformed("details out of order")
            self.details[name], before = value, name
        if r.at != len(b):
            raise Malformed("bytes behind the end")
        k = self.kind
        if not 1 <= k <= 17:
            raise Unknown("kind %d" % k)
        n = len(self.postings)
        wrong = (
            (k == 1) != (self.seq == 0) or self.seq < 0 or (self.seq == 0 and any(self.prev))
            or (not 2 <= n <= 500 if k in POSTING else n > 0) or (prior and k not in POSTING)
            or (k in REF) != (self.ref is not None) or (related is not None and k not in RELATED)
            or (expires is not None and k not in EXPIRES) or (self.origin is not None) != (k == 1)
            or (self.account is not None) != (k in (2, 3))
            or (self.ref is not None and not 0 <= self.ref < self.seq))
        if wrong:
            raise Malformed("fields that its kind does not have, or lacks")

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
        before, n = "", r.int(2)
        for _ in range(n):
            key = r.text(1, 64)
            r.text(0, 255)
            if key <= before:
                raise Malformed("tags out of order")
            before = key
        if not CODE.fullmatch(code) or len(code) > 128 or not 1 <= kind <= 5 or frozen > 3 or n > 32:
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
            text = note
            if b"\n\n" in note:
                text = split_note(note)[0]
            self.m = Manifest(text.decode())
        except Unknown as e:
            return self.incomplete.append("the manifest: %s" % e)
        except (Malformed, ValueError) as e:
            return self.manifest_differs("manifest", str(e))
        self.read_keys()
        if text is not note:
            # No tree proves what a manifest says of files: the keys that a bundle
            # brings do not count here when others were given.
            good, bad = signers(note, self.trusted)
            if bad:
                self.manifest_differs("manifest", "its signature does not verify")
            self.manifest_signed = good
        self.read_checkpoints()
        self.read_files()
        self.read_proofs()
        self.read_entries()
        self.check_roots()
        self.check_texts()
        self.check_balances()

    manifest_signed = ()

    def read_keys(self):
        own = []
        try:
            if "keys" in self.m.members and "keys" in self.a.members:
                own += self.a.read("keys", 1 << 20).decode().removesuffix("\n").split("\n")
            if "policy" in self.m.members and "policy" in self.a.members:
                for line in self.a.read("policy", 1 << 20).decode().splitlines():
                    words = line.split()
                    if words[:1] == ["log"]:
                        own.append(words[1])
            own = [parse_key(k) for k in own]
        except (ValueError, IndexError) as e:
            self.incomplete.append("the keys in the bundle: %s" % e)
            own = []
        self.keys = self.given + own
        self.trusted = self.given or own
        if not self.trusted:
            self.incomplete.append("signatures: the bundle brings no key and none was given; give the signer's with --key")

    def read_checkpoints(self):
        for path in self.m.members:
            if not path.startswith("checkpoints/"):
                continue
            match = re.fullmatch("checkpoints/([1-9][0-9]{0,18})", path)
            size = int(match.group(1)) if match else 0
            if not 1 <= size <= self.m.size or path not in self.a.members:
                self.manifest_differs(path, "no checkpoint of a size in the bundle")
                continue
            try:
                self.read_checkpoint(size, path)
            except (ValueError, UnicodeDecodeError) as e:
                self.find("CHECKPOINT_BAD_SIGNATURE", path, str(e))
        if self.m.size not in self.checkpoints:
            self.manifest_differs("checkpoints/%d" % self.m.size, "nobody signed what is in the bundle")

    def read_checkpoint(self, size, path):
        note = self.a.read(path, MAX_NOTE)
        text, _ = split_note(note)
        match = re.fullmatch("([^\n]+)\n%s\n([A-Za-z0-9+/]{43}=)\n" % NUMBER, text.decode())
        if match is None:
            raise ValueError("no checkpoint")
        root = base64.b64decode(match.group(3), validate=True)
        if int(match.group(2)) != size:
            self.manifest_differs(path, "a checkpoint of size " + match.group(2))
            return
        self.checkpoints[size] = root
        if match.group(1) != self.m.origin:
            self.find("ORIGIN_MISMATCH", path, match.group(1))
        keys = self.trusted if size == self.m.size else self.keys
        good, bad = signers(note, [k for k in keys if k[0] == match.group(1)])
        if bad:
            self.find("CHECKPOINT_BAD_SIGNATURE", path, "the checkpoint is not what its signer signed")
        elif not good and keys:
            self.find("CHECKPOINT_UNKNOWN_KEY", path, "not signed by a key that is trusted")
        given = set("%s+%s" % (k[0], k[1].hex()) for k in self.trusted)
        self.signed.append((size, [g if g in given else g + " (a key that the bundle alone names)" for g in good]))

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
                proof = [base64.b64decode(line, validate=True) for line in self.a.read(path, 64 * 45).split()]
                good = consistent(*sizes, *[self.checkpoints[s] for s in sizes], proof)
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
            member, seq = Tree(), first
            try:
                for leaf in leaves(self.a.chunks(path)):
                    digest = hashlib.sha256(b"\x00" + leaf).digest()
                    if self.m.commitment and self.m.commitment[1] == seq:
                        self.at_commit = dict(self.accounts)
                    self.entry(seq, leaf, digest, texts)
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
        try:
            e = Entry(leaf)
        except Unknown as x:
            self.incomplete.append("%s: %s" % (where, x))
            e = None
        except Malformed as x:
            self.find("ENTRY_MALFORMED", where, str(x))
            e = None
        if e is None:
            self.before = (0, -10**9)
            if len(leaf) >= 124:
                self.header(where, seq, leaf[20:36], int.from_bytes(leaf[36:44], "big"), leaf[44:76], before)
            if texts:
                texts.skip(seq)
            return
        self.header(where, seq, e.ledger, e.seq, e.prev, before)
        if self.before and (e.recorded < self.before[0] or e.booking < self.before[1]):
            self.find("TIME_REGRESSION", where, "dated before the entry that precedes it")
        self.before = e.recorded, e.booking
        if e.postings:
            self.postings(where, seq, e)
        if e.kind == 1 and e.origin != self.m.origin:
            self.find("ORIGIN_MISMATCH", where, e.origin)
        elif e.kind == 2:
            ident, code, currency = e.account
            if ident in self.accounts:
                self.find("ACCOUNT_STATE_MISMATCH", where, "account %s is opened a second time" % code)
            else:
                self.accounts[ident] = (currency, 0, 0, 0, 0)
        elif e.kind == 15:
            self.newest_commit = seq
            if self.m.commitment and self.m.commitment[0] == seq:
                self.commit = e.details
        elif e.kind == 16:
            self.erased.add(e.ref)
        if texts:
            texts.check(seq, e.commitments)

    def header(self, where, seq, ledger, said, prev, before):
        if ledger != self.m.ledger.bytes:
            self.find("LEDGER_ID_MISMATCH", where, str(uuid.UUID(bytes=ledger)))
        if said != seq:
            self.find("SEQ_GAP", where, "it says %d" % said)
        if before is not None and prev != before:
            self.find("CHAIN_BREAK", where, "it follows %s, and %s stands before it" % (prev.hex(), before.hex()))

    def postings(self, where, seq, e):
        sums, met = {}, set()
        for account, side, currency, amount, change, account_seq, posted, debit, credit in e.postings:
            fits = {5: amount == 0 and change > 0, 6: change < 0, 7: amount == 0 and change < 0}.get(e.kind, amount > 0 and change == 0)
            if not fits or account in met:
                self.find("ENTRY_MALFORMED", where, "figures that its kind does not have, or an account that stands twice")
            met.add(account)
            sign = 1 if side == 1 else -1
            s = sums.setdefault(currency, [0, 0])
            s[0], s[1] = s[0] + sign * amount, s[1] + sign * change
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
        for (code, _), (amount, change) in sums.items():
            if amount or change:
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
            if t[0] != t[1] or t[2] != t[3]:
                self.find("CURRENCY_NOT_ZERO", "the whole bundle", code.decode())
        if self.newest_commit > (self.m.commitment[0] if self.m.commitment else 0):
            self.manifest_differs("entry %d" % self.newest_commit, "the newest commitment to balances, and the manifest names another or none")
        if self.m.commitment:
            self.check_commitment(*self.m.commitment)
        if "balances" not in self.m.members or "balances" not in self.a.members:
            if "balances" not in self.m.members and "balances" not in self.a.members:
                self.incomplete.append("balances: the bundle shows none")
            return
        want = [self.leaf(self.m.size, k, self.accounts[k]) for k in sorted(self.accounts)]
        tree, differ = Tree(), 0
        try:
            for n, leaf in enumerate(leaves(self.a.chunks("balances"))):
                tree.append(hashlib.sha256(b"\x00" + leaf).digest())
                differ += n >= len(want) or leaf != want[n]
        except Malformed as e:
            return self.manifest_differs("balances", str(e))
        if differ or tree.size != len(want):
            self.find("PROJECTION_MISMATCH", "balances", "%d of %d are not those that the entries give" % (differ, tree.size))
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
        for ident in sorted(at):
            tree.append(hashlib.sha256(b"\x00" + self.leaf(size, ident, at[ident])).digest())
        want = {"size": str(size), "accounts": str(len(at)), "root": tree.root().hex()}
        for (code, scale), t in self.totals(at).items():
            want["posted." + code.decode()] = decimal(t[0], scale)
            want["pending." + code.decode()] = decimal(t[2], scale)
        if want != self.commit:
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
        out.write("- witnesses; holds, reversals, limits, periods; the details of entries; requests that stand twice\n")
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
                keys.append(parse_key(args.pop(0)))
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
