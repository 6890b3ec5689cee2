"""Vectors of /cf/init/psk/1, written from docs/spec/init-psk-1.md.

Needs the package `cryptography`. Writes init-psk-1.json beside itself.
"""

import hashlib
import json
import pathlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PROTOCOL = b"/cf/init/psk/1"
DAY = 24 * 60 * 60 * 1000


def hkdf(salt, key, info, length):
    return HKDF(hashes.SHA256(), length, salt, info).derive(key)


def seal(salt, key, purpose, plaintext, additional):
    both = hkdf(salt, key, PROTOCOL + b" " + purpose, 44)
    return AESGCM(both[:32]).encrypt(both[32:], plaintext, additional)


def lp(data):
    return len(data).to_bytes(4, "big") + data


def transcript(prefix, *parts):
    return hashlib.sha256(prefix + b"".join(lp(part) for part in parts)).digest()


# Protobuf: fields in ascending order, defaults left out.


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def field(number, value):
    if isinstance(value, list):
        return b"".join(
            varint(number << 3 | 2) + varint(len(item)) + item
            for item in (i.encode() if isinstance(i, str) else i for i in value)
        )
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    value = value.encode() if isinstance(value, str) else value
    return field(number, [value]) if value else b""


def message(*fields):
    return b"".join(field(number, value) for number, value in enumerate(fields, 1))


def h(text):
    return bytes.fromhex(text)


def point(p):
    return message(p["locator"], h(p["address"]), p["framing"])


def offer(o):
    return message(o["protocol"], h(o["id"]), h(o["public"]), o["expires_at"], int(o["one_time"]))


def bundle_message(s):
    return message(
        h(s["id"]),
        s["generation"],
        int(s["one_time"]),
        [point(p) for p in s["points"]],
        [offer(o) for o in s["offers"]],
        s["conversation_protocols"],
        s["display_name"],
        s["expires_at"],
        s["initializations"],
    )


def invite_message(i):
    return message(
        h(i["id"]),
        h(i["conversation"]),
        i["conversation_protocol"],
        i["specification"],
        h(i["parameters"]),
        h(i["offer"]),
        i["chosen_from"],
        [point(p) for p in i["points"]],
        [offer(o) for o in i["offers"]],
        i["sent_at"],
        i["display_name"],
    )


def padme(length):
    if length <= 256:
        return 256
    e = length.bit_length() - 1
    mask = (1 << (e - e.bit_length())) - 1
    return (length + mask) & ~mask


def case(now, spec, invite, keys):
    psk, bundle_salt = h(keys["psk"]), h(keys["bundle_salt"])
    tag, salt = h(keys["tag"]), h(keys["salt"])
    bundle = bundle_salt + seal(bundle_salt, psk, b"bundle", bundle_message(spec), PROTOCOL)
    head = seal(tag + salt, psk, b"head", h(spec["id"]), b"")
    t0 = transcript(b"", PROTOCOL, bundle, h(spec["id"]), tag, salt)
    plaintext = lp(invite_message(invite))
    fixed = 32 + 32 + 16
    body_len = 84 + padme(max(fixed + len(plaintext), 84 + 4096) - 84)
    sealed = seal(t0, psk, b"invite", plaintext.ljust(body_len - fixed, b"\0"), t0)
    body = salt + head + sealed
    assert len(body) == body_len
    return {
        "now": now,
        "spec": spec,
        "invite": invite,
        "keys": keys,
        "bundle": bundle.hex(),
        "record_key": (b"b" + h(spec["id"])).hex(),
        "record": (b"\1" + bundle).hex(),
        "seen_key": (b"s" + h(spec["id"]) + salt).hex(),
        "t0": t0.hex(),
        "exported": hkdf(
            t0, psk, PROTOCOL + b" exported" + h(invite["conversation"]), 32
        ).hex(),
        "body": body.hex(),
        "precedence": transcript(t0, sealed).hex(),
    }


def fill(byte, length):
    return bytes((byte + i) & 0xFF for i in range(length)).hex()


def main():
    now = 1_767_225_600_000
    town = {"locator": "memory:town", "address": fill(1, 32), "framing": "/cf/framing/tagged/1"}
    city = {"locator": "nats://chat.example:4222/city", "address": fill(2, 16), "framing": "/cf/framing/wap/1"}
    private = {
        "protocol": "/cf/conversation/private/1",
        "id": fill(3, 16),
        "public": fill(4, 32),
        "expires_at": now + 30 * DAY,
        "one_time": True,
    }
    spec = {
        "id": fill(7, 16),
        "points": [town, city],
        "offers": [private],
        "conversation_protocols": ["/cf/conversation/private/1", "/cf/conversation/group/1"],
        "initializations": ["/cf/init/inbox/1", "/cf/init/psk/1"],
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
        "offer": private["id"],
        "chosen_from": spec["conversation_protocols"],
        "points": [dict(town, address=fill(11, 32))],
        "offers": [dict(private, id=fill(12, 16), public=fill(13, 32))],
        "sent_at": now,
        "display_name": "Saro",
    }
    keys = {"psk": fill(20, 32), "bundle_salt": fill(21, 32), "tag": fill(22, 16), "salt": fill(23, 32)}
    # The least that a bundle and an invite can hold, for one use, with parameters
    # that need a longer body.
    bare_spec = dict(
        spec, id=fill(30, 16), points=[town], offers=[], conversation_protocols=[],
        initializations=[], display_name="", one_time=True, generation=0,
    )
    bare_invite = dict(
        invite, specification="", parameters=fill(31, 5000), offer="", chosen_from=[],
        points=[], offers=[], display_name="",
    )
    bare_keys = {"psk": fill(40, 32), "bundle_salt": fill(41, 32), "tag": fill(42, 16), "salt": fill(43, 32)}
    vectors = {
        "protocol": PROTOCOL.decode(),
        "cases": [case(now, spec, invite, keys), case(now, bare_spec, bare_invite, bare_keys)],
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")


main()
