"""Makes framing-tagged-1.json from the page docs/spec/framing-tagged-1.md.

Usage: python3 framing-tagged-1.py > framing-tagged-1.json
"""

import json

TAG = bytes(range(0xA0, 0xB0))


def varint(value, length=None):
    """Base 128, least significant group first; `length` forces a longer form."""
    groups = []
    while value or not groups or (length and len(groups) < length):
        groups.append(value & 0x7F)
        value >>= 7
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


def field(number, value, length=None):
    return bytes([number << 3 | 2]) + varint(len(value), length) + value


def envelope(tag, body):
    return field(1, tag) + field(2, body)


def max_body_len(max_payload_len):
    """By trial: the longest body whose envelope fits."""
    length = max_payload_len
    while length and 18 + 1 + len(varint(length)) + length > max_payload_len:
        length -= 1
    return length


def envelopes():
    for length in (1, 2, 127, 128, 300, 16383, 16384, 65536):
        payload = envelope(TAG, b"\x5c" * length)
        yield {
            "tag": TAG.hex(),
            "body_byte": "5c",
            "body_len": length,
            "head": payload[: len(payload) - length].hex(),
            "payload_len": len(payload),
        }


def limits():
    for limit in (
        0, 19, 20, 21, 22, 146, 147, 148, 149, 150, 1024,
        16403, 16404, 16405, 16406, 16407, 65536, 1048576, 2097174, 2097175,
    ):
        yield {"max_payload_len": limit, "max_body_len": max_body_len(limit)}


def malformed():
    good = envelope(TAG, b"body")
    tag, body = field(1, TAG), field(2, b"body")
    cases = {
        "nothing": b"",
        "a tag alone": tag,
        "a body alone": body,
        "an empty body": tag + field(2, b""),
        "a tag of 15 bytes": field(1, TAG[:15]) + body,
        "a tag of 17 bytes": field(1, TAG + b"\0") + body,
        "another order": body + tag,
        "the tag twice": tag + tag + body,
        "the body twice": tag + body + body,
        "a further field": good + field(3, b"more"),
        "a further field in between": tag + field(3, b"more") + body,
        "a further field that is a number": good + b"\x18\x01",
        "a trailing zero byte": good + b"\0",
        "a tag length of two bytes": field(1, TAG, 2) + body,
        "a body length of two bytes": tag + field(2, b"body", 2),
        "a body length of ten bytes": tag + field(2, b"body", 10),
        "a key of two bytes": tag + b"\x92\x00" + body[1:],
        "the body's length one too many": tag + b"\x12\x05body",
        "the body's length one too few": tag + b"\x12\x03body",
        "the body's length the largest there is": tag + b"\x12" + varint(2**64 - 1) + b"body",
        "a length that does not end": tag + b"\x12" + b"\xff" * 12,
        "one byte less": good[:-1],
        "another wire type": tag + b"\x10\x04body",
    }
    for reason, payload in cases.items():
        yield {"reason": reason, "payload": payload.hex()}


print(json.dumps(
    {
        "protocol": "/cf/framing/tagged/1",
        "envelopes": list(envelopes()),
        "limits": list(limits()),
        "malformed": list(malformed()),
    },
    indent=1,
))
