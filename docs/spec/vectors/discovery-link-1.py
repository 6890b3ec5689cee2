"""Makes discovery-link-1.json from the page docs/spec/discovery-link-1.md.

Usage: python3 discovery-link-1.py > discovery-link-1.json
"""

import base64
import hashlib
import json

EXPIRES_AT = 1_800_000_000_000
KINDS = {"NewerVersion": "Unsupported", "Expired": "Rejected"}


def varint(value):
    groups = []
    while value or not groups:
        groups.append(value & 0x7F)
        value >>= 7
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


def field(number, value):
    if isinstance(value, int):
        return bytes([number << 3]) + varint(value)
    return bytes([number << 3 | 2]) + varint(len(value)) + value


def bundle(protocol, data):
    return field(1, field(1, protocol.encode()) + field(2, data))


def content(bundles, expires_at):
    return b"".join(bundle(*entry) for entry in bundles) + field(2, expires_at)


def link(data, checksum=None, length=None):
    if checksum is None:
        checksum = hashlib.sha256(b"/cf/discovery/link/1 checksum\x00" + data).digest()[:8]
    if length is None:
        length = len(data)
    packed = length.to_bytes(4, "big") + checksum + data
    return "cfintro_1_" + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def links():
    sets = [
        ([("/cf/init/inbox/1", b"bundle")], EXPIRES_AT),
        ([("/cf/init/inbox/2", b"\xff\xfe\xfd"), ("/cf/init/inbox/1", b"\x00")], 1),
        ([("/example/init/psk/1", bytes(range(256)))], 2**64 - 1),
    ]
    for bundles, expires_at in sets:
        data = content(bundles, expires_at)
        yield {
            "bundles": [{"protocol": p, "bundle": b.hex()} for p, b in bundles],
            "expires_at": str(expires_at),
            "content": data.hex(),
            "link": link(data),
        }


def refused():
    one = ("/cf/init/inbox/1", b"bundle")
    data = content([one], EXPIRES_AT)
    good = link(data)
    head, expiry = bundle(*one), field(2, EXPIRES_AT)
    cases = [
        ("NotALink", "nothing", ""),
        ("NotALink", "another text", "https://chat.example/raya"),
        ("NotALink", "another case", good.upper()),
        ("NewerVersion", "version 2", good.replace("_1_", "_2_", 1)),
        ("Character", "a line break inside", good[:40] + "\n" + good[40:]),
        ("Character", "padding", good + "="),
        ("Truncated", "the prefix alone", "cfintro_1_"),
        ("Truncated", "half", good[: len(good) // 2]),
        ("Truncated", "one character less", good[:-1]),
        ("Appended", "one character more", good + "A"),
        ("Damaged", "two characters exchanged", good[:30] + good[31] + good[30] + good[32:]),
        ("Damaged", "another checksum", link(data, bytes(8))),
        ("Damaged", "a length that no link has", link(data, None, 2**32 - 1)),
        ("Content", "no bundle", link(expiry)),
        ("Content", "an empty bundle", link(content([("/cf/init/inbox/1", b"")], EXPIRES_AT))),
        ("Content", "an id that is not one", link(content([("inbox", b"bundle")], EXPIRES_AT))),
        ("Content", "one id twice", link(head + head + expiry)),
        ("Content", "17 bundles", link(content([(f"/a/{n}", b"b") for n in range(17)], EXPIRES_AT))),
        ("Content", "another order", link(expiry + head)),
        ("Content", "the expiry twice", link(head + expiry + expiry)),
        ("Content", "a further field", link(data + field(3, 1))),
        ("Content", "a trailing byte", link(data + b"\x00")),
        ("Content", "not protobuf", link(b"\xff" * 20)),
    ]
    for error, reason, text in cases:
        yield {"text": text, "now": "0", "error": error, "reason": reason}
    for now, reason in ((EXPIRES_AT, "at its expiry"), (2**64 - 1, "much later")):
        yield {"text": good, "now": str(now), "error": "Expired", "reason": reason}
    yield {"text": link(head), "now": "0", "error": "Expired", "reason": "no expiry, which is 0"}


cases = list(refused())
for case in cases:
    case["kind"] = KINDS.get(case["error"], "Malformed")
print(json.dumps(
    {"protocol": "/cf/discovery/link/1", "links": list(links()), "refused": cases},
    indent=1,
))
