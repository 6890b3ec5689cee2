"""Vectors of /cf/discovery/short-link/1, written from docs/spec/discovery-short-link-1.md.

Needs the package `cryptography`. Writes discovery-short-link-1.json beside itself:
links and the payloads that lie where they point to.
"""

import base64
import hashlib
import json
import pathlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ID = b"/cf/discovery/short-link/1"
IDENTITY = b"/cf/identity/ed25519/1"


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


def publication(seed: bytes, generation: int, bundles: list, expires_at: int) -> tuple:
    key = Ed25519PrivateKey.from_private_bytes(hkdf(b"", seed, IDENTITY + b" signature", 32))
    owner = key.public_key().public_bytes_raw()
    content = b""
    for protocol, bundle in bundles:
        content += field(1, field(1, protocol) + field(2, bundle))
    content += field(2, expires_at)
    signed = field(1, owner) + field(2, generation) + field(3, content)
    signature = key.sign(ID + b" publication\0" + signed)
    return owner, field(1, signed) + field(2, signature)


def seal(secret: bytes, salt: bytes, text: bytes) -> bytes:
    padded = len(text).to_bytes(4, "big") + text
    padded += bytes(padded_len(len(padded)) - len(padded))
    out = hkdf(salt, secret, ID + b" seal", 44)
    address = hkdf(b"", secret, ID + b" address", 32)
    return salt + AESGCM(out[:32]).encrypt(out[32:], padded, address)


def link(secret: bytes, owner: bytes, locator: bytes) -> str:
    packed = secret + hashlib.sha256(owner).digest()[:16]
    packed += hashlib.sha256(ID + b" checksum\0" + packed + locator).digest()[:4]
    return "cfshort_1_" + base64.urlsafe_b64encode(packed).decode().rstrip("=") + "." + locator.decode()


def vector(number: int, bundles: list, generation: int) -> dict:
    draw = lambda what: hashlib.sha256(b"%s %d" % (what, number)).digest()
    secret, salt, locator = draw(b"secret")[:16], draw(b"salt"), b"memory:town"
    expires_at = 1_800_000_000_000
    owner, text = publication(draw(b"identity"), generation, bundles, expires_at)
    return {
        "link": link(secret, owner, locator),
        "locator": locator.decode(),
        "address": hkdf(b"", secret, ID + b" address", 32).hex(),
        "payload": seal(secret, salt, text).hex(),
        "expires_at": expires_at,
        "bundles": [{"protocol": p.decode(), "bundle": b.hex()} for p, b in bundles],
    }


def main() -> None:
    vectors = [
        vector(1, [(b"/cf/init/inbox/1", b"a bundle")], 1),
        vector(2, [(b"/cf/init/inbox/2", bytes(3000)), (b"/cf/init/inbox/1", b"\xff")], 2**63),
    ]
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(vectors, indent=1) + "\n")


main()
