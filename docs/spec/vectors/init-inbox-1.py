"""Vectors of /cf/init/inbox/1, written from docs/spec/init-inbox-1.md.

Needs the packages `cryptography` (with ML-KEM) and `kyber-py`, which can encapsulate
with given randomness; what one encapsulates, the other opens. Writes
init-inbox-1.json beside itself.
"""

import hashlib
import json
import pathlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from kyber_py.ml_kem import ML_KEM_768

from identity import DAY, SCHEME, Identity

PROTOCOL = "/cf/init/inbox/1"


# Primitives.


def hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def label(purpose: str) -> bytes:
    return f"{PROTOCOL} {purpose}".encode()


def lp(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def seal(salt: bytes, secret: bytes, purpose: str, plaintext: bytes, additional: bytes) -> bytes:
    both = hkdf(salt, secret, label(purpose), 44)
    return AESGCM(both[:32]).encrypt(both[32:], plaintext, additional)


def dh(private: bytes, public: bytes) -> bytes:
    own = X25519PrivateKey.from_private_bytes(private)
    return own.exchange(X25519PublicKey.from_public_bytes(public))


def public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


# Protobuf, as far as it is needed: fields in ascending order, defaults left out.


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def message(*fields) -> bytes:
    out = b""
    for number, value in enumerate(fields, 1):
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, (bool, int)):
                out += varint(number << 3) + varint(int(item)) if item else b""
                continue
            data = item.encode() if isinstance(item, str) else item
            if data or isinstance(value, list):
                out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def agreement_key(key: dict) -> bytes:
    return message(key["public"], key["not_before"], key["not_after"], key["certificate"])


def point(p: dict) -> bytes:
    return message(p["locator"], bytes.fromhex(p["address"]), p["framing"])


def offer(o: dict) -> bytes:
    return message(
        o["protocol"], bytes.fromhex(o["id"]), bytes.fromhex(o["public"]), o["expires_at"], o["one_time"]
    )


# Padding.


def padme(length: int) -> int:
    if length <= 256:
        return 256
    e = length.bit_length() - 1
    s = e.bit_length()
    mask = (1 << (e - s)) - 1
    return (length + mask) & ~mask


def pad(data: bytes, length: int) -> bytes:
    assert len(data) + 4 <= length
    return (lp(data)).ljust(length, b"\0")


def case(now: int, spec: dict, invite: dict, keys: dict) -> dict:
    raya, saro = Identity(bytes.fromhex(keys["recipient_seed"])), Identity(bytes.fromhex(keys["sender_seed"]))
    spk, opk = bytes.fromhex(keys["signed_prekey"]), bytes.fromhex(keys["one_time_prekey"])
    token, tag = bytes.fromhex(keys["token"]), bytes.fromhex(keys["tag"])
    e, m = bytes.fromhex(keys["ephemeral"]), bytes.fromhex(keys["kem_randomness"])
    kem_seed = bytes.fromhex(keys["kem_seed"])
    kem = MLKEM768PrivateKey.from_seed_bytes(kem_seed)
    ek = kem.public_key().public_bytes_raw()
    ik_r, ik_s = raya.agreement_key(now), saro.agreement_key(now)
    bundle_id = bytes.fromhex(spec["id"])

    bundle = message(
        bundle_id,
        spec["generation"],
        SCHEME,
        raya.id,
        agreement_key(ik_r),
        public(spk),
        ek,
        public(opk) if opk else b"",
        token,
        [point(p) for p in spec["points"]],
        [offer(o) for o in spec["offers"]],
        spec["conversation_protocols"],
        spec["display_name"],
        spec["expires_at"],
        spec["initializations"],
    )
    signature = raya.sign(label("bundle").decode(), bundle)

    ss, ciphertext = ML_KEM_768._encaps_internal(ek, m)
    assert kem.decapsulate(ciphertext) == ss
    head = public(e) + bundle_id + ciphertext
    t0 = hashlib.sha256(lp(PROTOCOL.encode()) + lp(bundle) + lp(signature) + lp(head)).digest()

    dh1, dh2 = dh(e, public(spk)), dh(e, ik_r["public"])
    identity = pad(message(saro.id, agreement_key(ik_s)), 384)
    sealed_identity = seal(t0, dh1 + dh2 + ss, "identity", identity, t0)

    t1 = hashlib.sha256(t0 + lp(sealed_identity) + lp(identity)).digest()
    dh3 = saro.agreement_secret(now).exchange(X25519PublicKey.from_public_bytes(public(spk)))
    dh4 = dh(e, public(opk)) if opk else b""
    secret = hkdf(t1, dh1 + dh2 + dh3 + dh4 + ss, label("secret"), 32)
    conversation = bytes.fromhex(invite["conversation"])
    exported = hkdf(t1, secret, label("exported") + conversation, 32)

    plaintext = message(
        bytes.fromhex(invite["id"]),
        conversation,
        invite["conversation_protocol"],
        invite["specification"],
        bytes.fromhex(invite["parameters"]),
        bytes.fromhex(invite["offer"]),
        invite["chosen_from"],
        [point(p) for p in invite["points"]],
        [offer(o) for o in invite["offers"]],
        invite["sent_at"],
        invite["display_name"],
    )
    rest = len(head) + 16 + len(sealed_identity) + 16
    body_len = 84 + padme(max(4096, rest + 4 + len(plaintext) - 84))
    sealed_invite = seal(t1, secret, "invite", pad(plaintext, body_len - rest), t1)
    t2 = hashlib.sha256(t1 + lp(sealed_invite)).digest()

    body = seal(tag, token, "head", head, b"") + sealed_identity + sealed_invite
    assert len(body) == body_len
    keys_record = spk + kem_seed + opk
    signed_bundle = message(bundle, signature)
    record = (b"\x01\x01" if opk else b"\x01\x00") + keys_record + signed_bundle
    return {
        "now": now,
        "spec": spec,
        "invite": invite,
        "keys": keys,
        "bundle": signed_bundle.hex(),
        "head": head.hex(),
        "t0": t0.hex(),
        "dh1": dh1.hex(),
        "dh2": dh2.hex(),
        "dh3": dh3.hex(),
        "dh4": dh4.hex(),
        "ss": ss.hex(),
        "head_key_nonce": hkdf(tag, token, label("head"), 44).hex(),
        "identity_key_nonce": hkdf(t0, dh1 + dh2 + ss, label("identity"), 44).hex(),
        "identity": identity.hex(),
        "t1": t1.hex(),
        "secret": secret.hex(),
        "invite_key_nonce": hkdf(t1, secret, label("invite"), 44).hex(),
        "exported": exported.hex(),
        "precedence": t2.hex(),
        "body": body.hex(),
        "record_key": (b"b" + bundle_id).hex(),
        "record": record.hex(),
    }


def fill(byte: int, length: int) -> str:
    return bytes((byte + i) & 0xFF for i in range(length)).hex()


def main() -> None:
    now = 1_767_225_600_000
    town = {"locator": "memory:town", "address": fill(1, 32), "framing": "/cf/framing/tagged/1"}
    city = {"locator": "nats://chat.example:4222/city", "address": fill(2, 16), "framing": "/cf/framing/wap/1"}
    private_offer = {
        "protocol": "/cf/conversation/private/1",
        "id": fill(3, 16),
        "public": fill(4, 32),
        "expires_at": now + 30 * DAY,
        "one_time": False,
    }
    group_offer = dict(private_offer, protocol="/cf/conversation/group/1", id=fill(5, 16), public=fill(6, 700), one_time=True)
    spec = {
        "id": fill(7, 16),
        "points": [town, city],
        "offers": [private_offer, group_offer],
        "conversation_protocols": ["/cf/conversation/private/1", "/cf/conversation/group/1"],
        "initializations": ["/cf/init/inbox/2", "/cf/init/inbox/1"],
        "display_name": "Raya",
        "expires_at": now + 30 * DAY,
        "one_time": False,
        "generation": 3,
    }
    invite = {
        "id": fill(8, 16),
        "conversation": fill(9, 16),
        "conversation_protocol": "/cf/conversation/private/1",
        "specification": "https://example.org/private-1",
        "parameters": fill(10, 32),
        "offer": private_offer["id"],
        "chosen_from": spec["conversation_protocols"],
        "points": [dict(town, address=fill(11, 32))],
        "offers": [dict(private_offer, id=fill(12, 16), public=fill(13, 32))],
        "sent_at": now,
        "display_name": "Saro",
    }
    keys = {
        "recipient_seed": fill(20, 32),
        "sender_seed": fill(21, 32),
        "signed_prekey": fill(22, 32),
        "kem_seed": fill(23, 64),
        "one_time_prekey": "",
        "token": fill(24, 16),
        "ephemeral": fill(25, 32),
        "kem_randomness": fill(26, 32),
        "tag": fill(27, 16),
    }
    # The least that a bundle and an invite can hold, for one use, with parameters
    # that need a longer body; empty fields are left out of the encoding.
    bare_spec = dict(
        spec,
        id=fill(30, 16),
        points=[town],
        offers=[],
        conversation_protocols=[],
        initializations=[],
        display_name="",
        one_time=True,
        generation=0,
    )
    bare_invite = dict(
        invite,
        specification="",
        parameters=fill(31, 3000),
        offer="",
        chosen_from=[],
        points=[],
        offers=[],
        display_name="",
    )
    bare_keys = dict(keys, one_time_prekey=fill(32, 32), token=fill(33, 16), ephemeral=fill(34, 32), tag=fill(35, 16))
    vectors = {
        "protocol": PROTOCOL,
        "cases": [case(now, spec, invite, keys), case(now, bare_spec, bare_invite, bare_keys)],
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(vectors, indent=2) + "\n")


if __name__ == "__main__":
    main()
