"""Vectors of /cf/discovery/directory/1, written from docs/spec/discovery-directory-1.md.

Needs the package `cryptography`. Writes discovery-directory-1.json beside itself: the
payloads that lie at a name's place, which bundles they give, and payloads there that
may not count.
"""

import hashlib
import json
import pathlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ID = b"/cf/discovery/directory/1"
IDENTITY = b"/cf/identity/ed25519/1"
NOW = 1_765_000_000_000
LATER = 1_800_000_000_000
LOCATOR = "memory:town"


def hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def varint(number: int) -> bytes:
    out = b""
    while number >= 128:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number: int, value) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    return varint(number << 3 | 2) + varint(len(value)) + value if value else b""


def padded_len(length: int) -> int:
    if length <= 256:
        return 256
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def key_of(number: int) -> Ed25519PrivateKey:
    seed = hashlib.sha256(b"identity %d" % number).digest()
    return Ed25519PrivateKey.from_private_bytes(hkdf(b"", seed, IDENTITY + b" signature", 32))


def content(bundles: list, expires_at: int) -> bytes:
    out = b""
    for protocol, bundle in bundles:
        out += field(1, field(1, protocol) + field(2, bundle))
    return out + field(2, expires_at)


def claim(owner: int, name: bytes, at: int, generation: int, said: bytes, signer=None) -> bytes:
    key = key_of(owner)
    signed = field(1, key.public_key().public_bytes_raw()) + field(2, name)
    signed += field(3, at) + field(4, generation) + field(5, said)
    signature = key_of(owner if signer is None else signer).sign(ID + b" claim\0" + signed)
    return field(1, signed) + field(2, signature)


def place(name: bytes) -> tuple:
    secret = hkdf(b"", name, ID + b" secret", 16)
    return secret, hkdf(b"", secret, ID + b" address", 32)


def seal(name: bytes, salt: bytes, text: bytes) -> bytes:
    secret, address = place(name)
    padded = len(text).to_bytes(4, "big") + text
    padded += bytes(padded_len(len(padded)) - len(padded))
    out = hkdf(salt, secret, ID + b" seal", 44)
    return salt + AESGCM(out[:32]).encrypt(out[32:], padded, address)


def salt(number: int) -> bytes:
    return hashlib.sha256(b"salt %d" % number).digest()


def main() -> None:
    one = [(b"/cf/init/inbox/1", b"a bundle")]
    two = [(b"/cf/init/inbox/2", bytes(3000)), (b"/cf/init/inbox/1", b"\xff")]
    old = content([(b"/cf/init/inbox/1", b"an older bundle")], LATER)
    name, other = b"raya", b"x." + b"y" * 60 + b"-9"
    cases = [
        # Two clients claim the name, one of them anew.
        (
            "cfdir_1_Raya@" + LOCATOR,
            name,
            [
                claim(1, name, NOW - 5, 7, old),
                claim(2, name, NOW - 3, 1, content(two, LATER)),
                claim(1, name, NOW - 4, 1, content(one, LATER)),
            ],
            [one, two],
        ),
        # A later generation of one millisecond; who no longer claims; who has expired.
        (
            "cfdir_1_" + other.decode() + "@" + LOCATOR,
            other,
            [
                claim(3, other, NOW, 2, content(two, LATER)),
                claim(3, other, NOW, 1, old),
                claim(4, other, NOW - 2, 1, old),
                claim(4, other, NOW - 1, 2, b""),
                claim(5, other, NOW - 1, 1, content(one, NOW)),
            ],
            [two],
        ),
    ]
    found = []
    for query, name_, claims, expected in cases:
        found.append(
            {
                "query": query,
                "address": place(name_)[1].hex(),
                "payloads": [seal(name_, salt(i), text).hex() for i, text in enumerate(claims)],
                "now": NOW,
                "answer": [
                    [{"protocol": p.decode(), "bundle": b.hex()} for p, b in bundles]
                    for bundles in expected
                ],
            }
        )
    good = claim(1, name, NOW, 1, content(one, LATER))
    refused = [
        ("another's signature", claim(1, name, NOW, 1, content(one, LATER), signer=2)),
        ("a claim to another name", claim(1, b"raya2", NOW, 1, content(one, LATER))),
        ("a name with capitals", claim(1, b"Raya", NOW, 1, content(one, LATER))),
        ("no bundle", claim(1, name, NOW, 1, content([], LATER))),
        ("a field more", good + field(3, 1)),
        ("expired", claim(6, name, NOW, 1, content(one, NOW))),
        ("no longer claimed", claim(7, name, NOW, 1, b"")),
    ]
    payloads = [{"why": w, "payload": seal(name, salt(90 + i), t).hex()} for i, (w, t) in enumerate(refused)]
    moved = seal(name, salt(99), good)
    payloads.append({"why": "changed", "payload": (moved[:-1] + bytes([moved[-1] ^ 1])).hex()})
    payloads.append({"why": "sealed for another name", "payload": seal(b"raya2", salt(98), good).hex()})
    vectors = {
        "protocol": ID.decode(),
        "found": found,
        "refused": {
            "query": "cfdir_1_raya@" + LOCATOR,
            "address": place(name)[1].hex(),
            "now": NOW,
            "payloads": payloads,
        },
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(vectors, indent=1) + "\n")


main()
