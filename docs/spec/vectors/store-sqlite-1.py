"""Vectors of /cf/store/sqlite/1, written from docs/spec/store-sqlite-1.md.

Needs the package `cryptography`. Writes store-sqlite-1.json beside itself: two
whole stores, as rows, for the tests to put into a file and open.
"""

import hashlib
import hmac
import json
import pathlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

ID = b"/cf/store/sqlite/1"


def expand(master: bytes, info: bytes) -> bytes:
    return HKDFExpand(hashes.SHA256(), 32, info).derive(master)


def code(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def wrap(master: bytes, stretched: bytes, salt: bytes) -> bytes:
    label = ID + b" unlock"
    out = HKDF(hashes.SHA256(), 44, salt, label).derive(stretched)
    return AESGCM(out[:32]).encrypt(out[32:], master, label)


def place(master: bytes, namespace: bytes, key: bytes) -> bytes:
    place_key = expand(master, ID + b" place")
    space = code(place_key, b"\0" + namespace)[:12]
    if namespace.startswith(b"#"):
        return space + key
    return space + code(place_key, b"\1" + space + key)[:16]


def entry(master: bytes, namespace: bytes, key: bytes, value: bytes, nonce: bytes) -> bytes:
    plaintext = len(key).to_bytes(4, "big") + len(value).to_bytes(4, "big") + key + value
    plaintext += bytes(-len(plaintext) % 32)
    cipher = AESGCM(expand(master, ID + b" entry " + namespace))
    return nonce + cipher.encrypt(nonce, plaintext, place(master, namespace, key))


RECORDS = [
    (b"contacts", b"raya", b"likes tea"),
    (b"contacts", b"", b"an empty key"),
    (b"contacts/", b"raya", b""),
    (b"", b"\xff\xff", bytes(range(256))),
    (b"#log", (1).to_bytes(8, "big"), b"first"),
    (b"#log", (2**64 - 1).to_bytes(8, "big"), b"last"),
]


def rows(master: bytes) -> list:
    found = []
    for number, (namespace, key, value) in enumerate(RECORDS):
        nonce = hashlib.sha256(b"nonce %d" % number).digest()[:12]
        found.append({
            "namespace": namespace.hex(),
            "key": key.hex(),
            "value": value.hex(),
            "place": place(master, namespace, key).hex(),
            "entry": entry(master, namespace, key, value, nonce).hex(),
        })
    return found


def store(unlock: str, secret: bytes) -> dict:
    master = hashlib.sha256(b"master " + unlock.encode()).digest()
    salt = hashlib.sha256(b"salt " + unlock.encode()).digest()[:16]
    stretched = secret
    if unlock == "passphrase":
        stretched = Argon2id(salt=salt, length=32, iterations=2, lanes=2, memory_cost=64).derive(secret)
    return {
        "unlock": unlock,
        "secret": secret.hex(),
        "memory_kib": 64,
        "passes": 2,
        "lanes": 2,
        "salt": salt.hex(),
        "sealed": wrap(master, stretched, salt).hex(),
        "rows": rows(master),
    }


def main() -> None:
    vectors = {
        "application_id": 0x43467374,
        "user_version": 1,
        "schema": [
            "CREATE TABLE master (unlock TEXT NOT NULL, memory_kib INTEGER NOT NULL, passes INTEGER NOT NULL, "
            "lanes INTEGER NOT NULL, salt BLOB NOT NULL, sealed BLOB NOT NULL)",
            "CREATE TABLE entries (place BLOB PRIMARY KEY, entry BLOB NOT NULL) WITHOUT ROWID",
        ],
        "stores": [store("key", bytes(range(32))), store("passphrase", "tea with Raya ☕".encode())],
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")


main()
