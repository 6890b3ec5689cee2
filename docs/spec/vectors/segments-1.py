"""Makes segments-1.json from docs/spec/segments-1.md alone."""

import json
import pathlib

BYTES, LARGE = 260 * 1024, 64 * 1024 * 1024


def varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, value) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    return varint(number << 3 | 2) + varint(len(value)) + value


def segment(content_id: bytes, length: int, offset: int, part: bytes, large: bool) -> bytes:
    # A field of no bytes is left out.
    ids = field(1, content_id) if content_id else b""
    parts = field(4, part) if part else b""
    return field(17, ids + field(2, length) + field(3, offset) + parts + field(5, int(large)))


def subject(number: int, content_id: bytes) -> bytes:
    return field(number, field(1, content_id) if content_id else b"")


def segments() -> list:
    all_of_them = [
        (b"letter", 100, 0, bytes(range(100)), False),
        (b"letter", 90, 64, b"z" * 26, False),
        (b"film", LARGE, LARGE - 1, b"!", True),
        (b"x" * 64, 70_000, 32, b"y" * 32, True),
    ]
    names = ("content_id", "len", "offset", "part", "large")
    return [dict(zip(names, one)) | {"encoded": segment(*one)} for one in all_of_them]


def subjects() -> list:
    kinds = {"whole": 18, "refused": 19, "cancelled": 20}
    return [
        {"kind": kind, "content_id": b"letter", "encoded": subject(number, b"letter")}
        for kind, number in kinds.items()
    ]


def contents() -> list:
    return [
        {"content": b"hello", "encoded": field(16, b"hello")},
        {"content": b"", "encoded": field(16, b"")},
        # As before this layer was there.
        {"content": b"hello", "encoded": b"hello"},
        {"content": b"", "encoded": b""},
        {"content": field(1, 7) + field(2, b"x"), "encoded": field(1, 7) + field(2, b"x")},
    ]


def refused() -> list:
    part = b"p" * 32
    return [
        {"why": "two bodies", "encoded": field(16, b"") + subject(18, b"a")},
        {"why": "no id", "encoded": subject(19, b"")},
        {"why": "a long id", "encoded": subject(20, b"i" * 65)},
        {"why": "no id", "encoded": segment(b"", 64, 0, part, True)},
        {"why": "no part", "encoded": segment(b"a", 64, 0, b"", True)},
        {"why": "a short part", "encoded": segment(b"a", 64, 0, b"p" * 31, True)},
        {"why": "beyond the end", "encoded": segment(b"a", 64, 33, part, True)},
        {"why": "far beyond", "encoded": segment(b"a", 64, 2**64 - 1, part, True)},
        {"why": "too long", "encoded": segment(b"a", LARGE + 1, 0, part, True)},
        {"why": "too long for bytes", "encoded": segment(b"a", BYTES + 1, 0, part, False)},
    ]


def part_ids() -> list:
    def part_id(number, offset, length):
        numbers = number.to_bytes(8) + offset.to_bytes(4) + length.to_bytes(4)
        return {"number": number, "offset": offset, "len": length, "id": b"\0seg" + numbers}

    return [part_id(0, 0, 100), part_id(70_000, LARGE - 1, 1)]


def printable(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: printable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [printable(inner) for inner in value]
    return value


if __name__ == "__main__":
    vectors = {
        "contents": contents(),
        "segments": segments(),
        "subjects": subjects(),
        "unknown": {"number": 900, "encoded": field(900, b"from the future")},
        "refused": refused(),
        "part_ids": part_ids(),
    }
    target = pathlib.Path(__file__).with_suffix(".json")
    target.write_text(json.dumps(printable(vectors), indent=1) + "\n")
