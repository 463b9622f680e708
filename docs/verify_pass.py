#!/usr/bin/env python3
"""Verifies Doorman passes, written from docs/pass.md alone: Python's standard library, nothing of Doorman.

    verify_pass.py vectors/pass.json

checks the worked example: every digest, the tree, the statement, each pass, and that a change of anything is refused.
For real use take Ed25519 from a library (for example `cryptography`); the one below is RFC 8032's, slow and plain.
"""

import base64
import hashlib
import json
import re
import struct
import sys

HOP_BY_HOP = {
    "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-authenticate",
    "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}
MAX_LIFETIME_MS = 30_000


class Refused(Exception):
    pass


def sha256(data):
    return hashlib.sha256(data).digest()


# --- Ed25519 (RFC 8032 §5.1.7) ------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def point_add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    w, x, y, z = f - e, h - g, h + g, f + e
    return (w * x % P, y * z % P, x * y % P, w * z % P)


def point_multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = point_add(result, point)
        point, scalar = point_add(point, point), scalar >> 1
    return result


def point_decode(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - xx) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


BASE = point_decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_verifies(public, message, signature):
    a, r, s = point_decode(public), point_decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = point_multiply(s, BASE), point_add(r, point_multiply(h, a))
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


# --- Key sets -----------------------------------------------------------------------------------------------------


def b64url(text):
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise ValueError("not base64url without padding")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise ValueError("trailing bits")
    return data


def statement_keys(jwks):
    """The keys that may sign statements, by id. One bad key spoils the whole set."""
    keys = {}
    for key in jwks["keys"]:
        public = b64url(key["x"])
        if (key["kty"], key["crv"], key["alg"]) != ("OKP", "Ed25519", "EdDSA") or len(public) != 32:
            raise ValueError("not an Ed25519 key")
        if key["kid"] != sha256(public)[:8].hex():
            raise ValueError("kid is not the digest of the key")
        if key["doorman_use"] == "statement":
            keys[sha256(public)[:8]] = public
    return keys


# --- Claims, leaf, tree -------------------------------------------------------------------------------------------


def claims_bytes(c):
    out = b"\x02" + c["audit_id"] + struct.pack(">Q", c["expires_ms"]) + c["audience"] + struct.pack(">Q", c["fence"])
    for name in ("method", "region", "service", "selector", "actor", "subject"):
        text = c[name].encode()
        out += struct.pack(">H", len(text)) + text
    path, query = c["path"].encode(), c["query"]
    out += struct.pack(">I", len(path)) + path
    out += b"\0" * 33 if query is None else b"\x01" + sha256(query.encode())
    kind, length, digest = c["body"]
    return out + c["headers"] + bytes([kind]) + struct.pack(">Q", length) + digest


def leaf_hash(claims_sha256, record_sha256):
    return sha256(b"\x00" + claims_sha256 + record_sha256)


def node_hash(left, right):
    return sha256(b"\x01" + left + right)


def tree_root(leaves):
    """RFC 9162 §2.1.1."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(tree_root(leaves[:split]), tree_root(leaves[split:]))


def root_from_path(leaf, index, count, path):
    """RFC 9162 §2.1.3.2."""
    if index >= count:
        raise Refused("path")
    fn, sn, r = index, count - 1, leaf
    for p in path:
        if sn == 0:
            raise Refused("path")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise Refused("path")
    return r


def header_digest(headers):
    """Of all headers as they arrived, as (lower-case name, value)."""
    bound = [(n.lower(), v) for n, v in headers if n.lower() not in HOP_BY_HOP | {"doorman-pass"}]
    bound.sort(key=lambda header: header[0])  # stable: values of one name stay in their order
    return sha256(b"".join(n.encode() + b":" + v.encode("latin-1") + b"\n" for n, v in bound))


# --- The pass -----------------------------------------------------------------------------------------------------


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, count):
        if len(self.data) < count:
            raise Refused("malformed")
        head, self.data = self.data[:count], self.data[count:]
        return head

    def number(self, count):
        return int.from_bytes(self.take(count), "big")

    def text(self):
        try:
            return self.take(self.number(2)).decode()
        except UnicodeDecodeError:
            raise Refused("malformed") from None


def decode_pass(text):
    try:
        if len(text) > 8192:
            raise ValueError("too long")
        r = Reader(b64url(text))
    except ValueError:
        raise Refused("malformed") from None
    if r.number(1) != 1:
        raise Refused("malformed")
    p = {"audit_id": r.take(16), "expires_ms": r.number(8), "audience_hint": r.take(4)}
    flags = r.number(1)
    if flags >= 16:
        raise Refused("malformed")
    p["fence"] = r.number(8) if flags & 1 else 0
    p["actor"] = r.text()
    p["subject"] = r.text() if flags & 2 else p["actor"]
    p["body_prefix"] = r.number(8) if flags & 4 else None
    p["record"], p["index"] = r.take(32), r.number(4)
    steps = r.number(1)
    if steps > 32:
        raise Refused("malformed")
    p["path"] = [r.take(32) for _ in range(steps)]
    p["writer"], p["kid"], p["number"], p["previous"] = r.take(16), r.take(8), r.number(8), r.take(32)
    p["first_index"], p["count"], p["time_ms"] = r.number(8), r.number(4), r.number(8)
    p["peers"] = r.take(32) if flags & 8 else None
    p["signature"] = r.take(64)
    if r.data:
        raise Refused("malformed")
    return p


def statement_body(p, root):
    out = b"\x01" + p["writer"] + p["kid"] + struct.pack(">Q", p["number"]) + p["previous"] + root
    out += struct.pack(">QIQ", p["first_index"], p["count"], p["time_ms"])
    return out + (b"\x01" + p["peers"] if p["peers"] is not None else b"\x00")


def split_target(target):
    """Of a target that passed the rules of a door's path: region, service, selector, path, query."""
    path, mark, query = target.partition("?")
    match = re.fullmatch(r"/r/([^/]+)/([^/@]+)(?:@([^/]+))?(/.*)?", path)
    if not match:
        raise Refused("target")
    region, service, selector, rest = match.groups()
    return region, service, selector or "any", rest or "/", query if mark else None


class Proxy:
    """What one proxy process knows: its region, its boot id, its trusted keys, and which passes were used."""

    def __init__(self, region, boot_id, key_set):
        self.region, self.boot_id, self.keys, self.used = region, boot_id, statement_keys(key_set), set()

    def accept(self, pass_text, request, now_ms):
        p = decode_pass(pass_text)
        if p["audience_hint"] != self.boot_id[:4]:
            raise Refused("audience")
        if not 0 < p["expires_ms"] - now_ms <= MAX_LIFETIME_MS:
            raise Refused("expired")
        region, service, selector, path, query = split_target(request["target"])
        if region != self.region:
            raise Refused("region")
        body, prefix = request["body"], p["body_prefix"]
        if prefix is not None and len(body) < prefix:
            raise Refused("body")
        bound = (0, len(body), sha256(body)) if prefix is None else (1, prefix, sha256(body[:prefix]))
        claims = {
            "audit_id": p["audit_id"], "expires_ms": p["expires_ms"], "audience": self.boot_id, "fence": p["fence"],
            "method": request["method"], "region": region, "service": service, "selector": selector, "path": path,
            "query": query, "headers": header_digest(request["headers"]), "body": bound,
            "actor": p["actor"], "subject": p["subject"],
        }
        leaf = leaf_hash(sha256(claims_bytes(claims)), p["record"])
        body = statement_body(p, root_from_path(leaf, p["index"], p["count"], p["path"]))
        key = self.keys.get(p["kid"])
        if key is None:
            raise Refused("unknown_key")
        if not ed25519_verifies(key, b"doorman-statement-v1\0" + body, p["signature"]):
            raise Refused("signature")
        once = (p["writer"], p["first_index"] + p["index"])
        if once in self.used:
            raise Refused("used")
        self.used.add(once)
        return claims


# --- The worked example -------------------------------------------------------------------------------------------


def expect(condition, what):
    if not condition:
        sys.exit(f"the example does not hold: {what}")


def check_example(v):
    leaves = []
    for entry in v["entries"]:
        claims, record = bytes.fromhex(entry["claims"]), entry["record"].encode()
        # RFC 8785: sorted names, no spaces, integers only. Names in records are ASCII.
        canonical = json.dumps(json.loads(record), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        expect(canonical == record, "record is canonical")
        expect(sha256(claims).hex() == entry["claims_sha256"], "claims digest")
        expect(sha256(record).hex() == entry["record_sha256"], "record digest")
        leaves.append(leaf_hash(sha256(claims), sha256(record)))
        expect(leaves[-1].hex() == entry["leaf"], "leaf")
    expect(tree_root(leaves).hex() == v["statement"]["root"], "root")
    body, signature = bytes.fromhex(v["statement"]["body"]), bytes.fromhex(v["statement"]["signature"])
    expect(sha256(body).hex() == v["statement"]["hash"], "statement hash")
    known = sorted((bytes.fromhex(p["writer"].replace("-", "")), p["number"], p["hash"]) for p in v["peers"])
    peers = sha256(b"".join(w + struct.pack(">Q", n) + bytes.fromhex(h) for w, n, h in known))
    expect(body.endswith(b"\x01" + peers), "peers digest")
    (key,) = statement_keys(v["key_set"]).values()
    expect(ed25519_verifies(key, b"doorman-statement-v1\0" + body, signature), "statement signature")

    proxy, now_ms = v["proxy"], v["proxy"]["now_ms"]

    def verdict(pass_text, request, **other):
        told = {"region": proxy["region"], "boot_id": bytes.fromhex(proxy["boot_id"]), "key_set": v["key_set"]}
        at = other.pop("now_ms", now_ms)
        try:
            Proxy(**told | other).accept(pass_text, request, at)
            return "accepted"
        except Refused as refused:
            return str(refused)

    refusals = 0
    for index, sample in enumerate(v["passes"]):
        pass_text = sample["pass"]
        request = sample["request"] | {"body": base64.b64decode(sample["request"]["body"])}
        claims = Proxy(proxy["region"], bytes.fromhex(proxy["boot_id"]), v["key_set"]).accept(pass_text, request, now_ms)
        expect(claims_bytes(claims).hex() == v["entries"][index]["claims"], "claims rebuilt from the request")
        expect(claims["headers"].hex() == sample["headers_sha256"], "header digest")
        same = Proxy(proxy["region"], bytes.fromhex(proxy["boot_id"]), v["key_set"])
        same.accept(pass_text, request, now_ms)
        try:
            same.accept(pass_text, request, now_ms)
            sys.exit("a pass was good twice")
        except Refused as refused:
            expect(str(refused) == "used", "used")
        headers = request["headers"]
        for wanted, other_request, other in [
            ("signature", {"method": "DELETE"}, {}),
            ("signature", {"target": request["target"] + "x"}, {}),
            ("signature", {"headers": headers + [["x-tag", "c"]]}, {}),
            ("signature", {"headers": headers[::-1] + [["accept", "a"]]}, {}),
            ("signature", {"body": b"!" + request["body"][1:]}, {}),
            ("region", {}, {"region": "us"}),
            ("audience", {}, {"boot_id": b"another start..."}),
            ("signature", {}, {"boot_id": b"one proxy start?"}),
            ("expired", {}, {"now_ms": now_ms + 29_999}),
            ("expired", {}, {"now_ms": now_ms - 2}),
            ("unknown_key", {}, {"key_set": {"keys": []}}),
        ]:
            got = verdict(pass_text, request | other_request, **other)
            expect(got == wanted, f"{other_request or other}: {got} instead of {wanted}")
            refusals += 1
        data = b64url(pass_text)
        for at in range(0, len(data), 7):
            changed = bytes(b ^ (i == at) for i, b in enumerate(data))
            text = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
            expect(verdict(text, request) != "accepted", f"byte {at} of the pass changed")
            refusals += 1
        expect(verdict(pass_text, request | {"headers": headers + [["via", "x"]]}) == "signature", "an added header")
        expect(verdict(pass_text, request | {"headers": headers + [["keep-alive", "x"]]}) == "accepted", "hop by hop")
    print(f"{len(v['passes'])} passes accepted, {refusals} changed ones refused")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        check_example(json.load(file))
