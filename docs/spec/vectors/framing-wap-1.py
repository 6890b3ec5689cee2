"""Makes framing-wap-1.json from the page docs/spec/framing-wap-1.md.

Usage: python3 framing-wap-1.py > framing-wap-1.json
"""

import hashlib
import json

TAG = bytes(range(0xA0, 0xB0))
STANDING = bytes(range(0x10, 0x20))


def varint(value, length=None):
    """Base 128, least significant group first; `length` forces a longer form."""
    groups = []
    while value or not groups or (length and len(groups) < length):
        groups.append(value & 0x7F)
        value >>= 7
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


def field(number, value, length=None):
    return bytes([number << 3 | 2]) + varint(len(value), length) + value


def salt_of(payload):
    return int.from_bytes(
        hashlib.blake2s(b"/cf/framing/wap/1 salt\0" + payload).digest()[:4], "big"
    )


def hint_of(salt, standing):
    return hashlib.blake2s(salt.to_bytes(4, "big") + standing).hexdigest().encode()


def salt_field(salt):
    """Zero is not written."""
    return b"\x10" + varint(salt) if salt else b""


def envelope(tag, standing, body):
    payload = tag + body
    salt = salt_of(payload)
    return field(1, hint_of(salt, standing)) + salt_field(salt) + field(3, payload)


def max_body_len(max_payload_len):
    """By trial: the longest body whose envelope fits with the longest salt."""
    length = max_payload_len
    while length and 66 + 6 + 1 + len(varint(16 + length)) + 16 + length > max_payload_len:
        length -= 1
    return length


def envelopes():
    for standing in (STANDING, TAG):
        for length in (1, 2, 111, 112, 300, 16367, 16368, 65536):
            body = b"\x5c" * length
            payload = envelope(TAG, standing, body)
            yield {
                "tag": TAG.hex(),
                "standing": standing.hex(),
                "body_byte": "5c",
                "body_len": length,
                "salt": salt_of(TAG + body),
                "head": payload[: len(payload) - length].hex(),
                "payload_len": len(payload),
            }


def limits():
    for limit in (0, 74, 89, 90, 91, 92, 201, 202, 203, 1024, 16441, 16442, 16460, 65536, 1048576):
        yield {"max_payload_len": limit, "max_body_len": max_body_len(limit)}


def malformed():
    payload = TAG + b"body"
    salt = salt_of(payload)
    hint, number, last = field(1, hint_of(salt, STANDING)), salt_field(salt), field(3, payload)
    good = hint + number + last
    upper = field(1, hint_of(salt, STANDING).upper())
    short = field(1, hint_of(salt, STANDING)[:63])
    cases = {
        "nothing": b"",
        "no hint": number + last,
        "no salt": hint + last,
        "no payload": hint + number,
        "a payload that is a tag alone": hint + salt_field(salt_of(TAG)) + field(3, TAG),
        "a hint in capitals": upper + number + last,
        "a hint of 63 digits": short + number + last,
        "a hint that is no hexadecimal": field(1, b"g" * 64) + number + last,
        "a hint that is no text": field(1, b"\xff" * 64) + number + last,
        "another salt": hint + salt_field(salt ^ 1) + last,
        "a salt that is zero and written": hint + b"\x10\x00" + last,
        "a salt in more bytes than needed": hint + b"\x10" + varint(salt, 6) + last,
        "a salt of 33 bits": hint + b"\x10" + varint(salt | 1 << 32) + last,
        "another order": last + hint + number,
        "the hint twice": hint + good,
        "the payload twice": good + last,
        "a further field": good + field(4, b"more"),
        "a trailing zero byte": good + b"\0",
        "a payload length of two bytes": hint + number + field(3, payload, 2),
        "a payload cut short": good[:-1],
    }
    for reason, payload in cases.items():
        yield {"reason": reason, "payload": payload.hex()}


print(
    json.dumps(
        {
            "protocol": "/cf/framing/wap/1",
            "envelopes": list(envelopes()),
            "limits": list(limits()),
            "malformed": list(malformed()),
        },
        indent=1,
    )
)
