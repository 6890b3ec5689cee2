"""Vectors of the content types, written from docs/spec/content.md.

Needs nothing but Python. Writes content.json beside itself.
"""

import json
import pathlib

DOMAIN = 0x6366


def varint(number: int) -> bytes:
    out = b""
    while number >= 128:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number: int, value) -> bytes:
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    return varint(number << 3 | 2) + varint(len(value)) + value if value else b""


def message(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def frame(tag: int, payload: bytes, domain: int = DOMAIN) -> str:
    return (field(1, domain) + field(2, tag) + field(3, payload)).hex()


def main() -> None:
    saro, digest = bytes(range(32)), bytes(range(100, 132))
    reference = field(1, saro) + field(2, "m1")
    anonymous = field(2, b"\xff")
    vectors = {
        "text": frame(1, field(1, "Hello, Raya ☕")),
        "reply": frame(1, field(1, "Yes") + message(2, reference)),
        "empty_text": frame(1, b""),
        "reaction": frame(2, message(1, reference) + field(2, "👍")),
        "reaction_removed": frame(2, message(1, anonymous) + field(2, "👍") + field(3, 1)),
        "edit": frame(3, field(1, "m1") + field(2, "Hello, dear Raya")),
        "delete": frame(4, field(1, "m1")),
        "receipt": frame(5, message(1, reference) + message(1, anonymous)),
        "attachment": frame(6, field(1, "map.png") + field(2, "image/png") + field(3, 70_000)
                            + field(4, digest) + field(5, "m2") + field(6, "The way")),
        "unknown_type": frame(99, b"from a later version"),
        "unknown_domain": frame(1, b"\x01\x02", domain=0),
        "text_of_a_later_version": frame(1, field(1, "Hello") + field(9, "unheard of")),
        "refused": {
            "no frame": b"rubbish".hex(),
            "no tag": frame(0, b"x"),
            "no utf-8": frame(1, field(1, b"\xff\xfe")),
            "a reaction to nothing": frame(2, field(2, "👍")),
            "an empty reaction": frame(2, message(1, reference)),
            "an edit of nothing": frame(3, field(2, "Hello")),
            "a long id": frame(4, field(1, "x" * 65)),
            "a long reaction": frame(2, message(1, reference) + field(2, "x" * 65)),
            "a short digest": frame(6, field(1, "map.png") + field(4, b"x") + field(5, "m2")),
            "a path": frame(6, field(1, "../map.png") + field(4, digest) + field(5, "m2")),
            "no name": frame(6, field(4, digest) + field(5, "m2")),
        },
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")


main()
