"""Vectors of /cf/identity/ed25519/1, written from docs/spec/identity.md.

Needs the package `cryptography`. Writes identity.json beside itself.
"""

import hashlib
import json
import pathlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SCHEME = "/cf/identity/ed25519/1"
DAY = 24 * 60 * 60 * 1000


def derive(seed: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, b"", info).derive(seed)


class Identity:
    def __init__(self, seed: bytes):
        self.seed = seed
        self.signing = Ed25519PrivateKey.from_private_bytes(derive(seed, f"{SCHEME} signature".encode()))
        self.id = self.signing.public_key().public_bytes_raw()

    def sign(self, label: str, data: bytes) -> bytes:
        return self.signing.sign(label.encode() + b"\0" + data)

    def agreement_secret(self, now: int) -> X25519PrivateKey:
        period = now // (30 * DAY)
        info = f"{SCHEME} agreement".encode() + period.to_bytes(8, "big")
        return X25519PrivateKey.from_private_bytes(derive(self.seed, info))

    def agreement_key(self, now: int) -> dict:
        period = now // (30 * DAY)
        public = self.agreement_secret(now).public_key().public_bytes_raw()
        not_before = period * 30 * DAY
        not_after = not_before + 90 * DAY - 1
        signed = public + not_before.to_bytes(8, "big") + not_after.to_bytes(8, "big")
        return {
            "public": public,
            "not_before": not_before,
            "not_after": not_after,
            "certificate": self.sign(f"{SCHEME} agreement key", signed),
        }


def fingerprint(participant: bytes) -> str:
    # The participant id is both key and stable identifier.
    digest = hashlib.sha512(b"\0\0" + participant + participant + participant).digest()
    for _ in range(5_199):
        digest = hashlib.sha512(digest + participant).digest()
    chunks = (digest[5 * n : 5 * n + 5] for n in range(6))
    return "".join(f"{int.from_bytes(chunk, 'big') % 100_000:05}" for chunk in chunks)


def safety_number(one: bytes, other: bytes) -> str:
    return "".join(sorted([fingerprint(one), fingerprint(other)]))


def main() -> None:
    saro, raya = Identity(bytes(range(32))), Identity(bytes(range(32, 64)))
    label, message = "/example/1 greeting", b"hello"
    keys = []
    # The first and the last millisecond of a period, and a time within one.
    for now in (680 * 30 * DAY, 681 * 30 * DAY - 1, 1_767_225_600_000):
        key = saro.agreement_key(now)
        peer = raya.agreement_key(now)["public"]
        shared = saro.agreement_secret(now).exchange(X25519PublicKey.from_public_bytes(peer))
        keys.append(
            {
                "now": now,
                "public": key["public"].hex(),
                "not_before": key["not_before"],
                "not_after": key["not_after"],
                "certificate": key["certificate"].hex(),
                "peer": peer.hex(),
                "shared": shared.hex(),
            }
        )
    vectors = {
        "scheme": SCHEME,
        "seed": saro.seed.hex(),
        "id": saro.id.hex(),
        "peer_seed": raya.seed.hex(),
        "signature": {
            "label": label,
            "bytes": message.hex(),
            "signature": saro.sign(label, message).hex(),
        },
        "agreement_keys": keys,
        "safety_numbers": [
            {"one": one.hex(), "other": other.hex(), "digits": safety_number(one, other)}
            for one, other in [(saro.id, raya.id), (raya.id, saro.id), (b"\1" * 32, b"\2" * 128)]
        ],
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(vectors, indent=2) + "\n")


if __name__ == "__main__":
    main()
