"""Makes ds-segmented-1.json from the page docs/spec/ds-segmented-1.md.

Usage: python3 ds-segmented-1.py > ds-segmented-1.json
"""

import hashlib
import json


def digest(what, *parts):
    label = b"/cf/ds/segmented/1 " + what.encode()
    return hashlib.sha256(label + b"\0" + b"".join(parts)).digest()


def number(value, length=2):
    return value.to_bytes(length, "big")


def xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


def content_of(length, seed):
    """`length` bytes out of SHA-256(seed ‖ counter), four bytes each."""
    blocks = (hashlib.sha256(number(seed, 4) + number(n, 4)).digest() for n in range(length // 32 + 1))
    return b"".join(blocks)[:length]


def with_kind(kind, rest):
    return bytes([kind ^ digest("kind", rest[-32:])[0]]) + rest


def node_at(leaves, height, position):
    """A node of the tree, from its leaves: by recursion, unlike the program."""
    if position << height >= len(leaves):
        return bytes(32)
    if height == 0:
        return leaves[position]
    return digest(
        "node",
        node_at(leaves, height - 1, 2 * position),
        node_at(leaves, height - 1, 2 * position + 1),
    )


def depth_of(count):
    depth = 0
    while 1 << depth < count:
        depth += 1
    return depth


def cut(payload, limit):
    if len(payload) + 1 <= limit:
        return [with_kind(0, payload)]
    for depth in range(1, 17):
        size = limit - 37 - 32 * depth
        if size > 0:
            data = [payload[at : at + size] for at in range(0, len(payload), size)]
            if len(data) <= min(2**depth, 65535):
                break
    hashes = [digest("data", one) for one in data]
    leaves = [digest("leaf", number(index), one) for index, one in enumerate(hashes)]
    root = digest("root", number(len(data)), node_at(leaves, depth, 0))
    pieces = []
    for index, one in enumerate(data):
        way = [node_at(leaves, height, (index >> height) ^ 1) for height in range(depth)]
        header = root + number(index) + number(len(data)) + b"".join(way)
        mask = b"".join(
            digest("mask", hashes[index], bytes([block])) for block in range(len(header) // 32 + 1)
        )
        pieces.append(with_kind(depth, xor(header, mask) + one))
    return pieces


def payloads():
    for limit, length in (
        (128, 0),
        (128, 1),
        (128, 127),
        (160, 160),
        (256, 300),
        (256, 374),
        (256, 375),
        (256, 1000),
        (4096, 9000),
    ):
        pieces = cut(content_of(length, length), limit)
        yield {
            "limit": limit,
            "len": length,
            "seed": length,
            "pieces": [hashlib.sha256(piece).hexdigest() for piece in pieces],
            "first": pieces[0].hex() if length < 1000 else None,
        }


def hostile():
    limit = 256
    payload = content_of(300, 1)
    good = cut(payload, limit)
    one = good[0]

    def remade(depth, root, index, count, way, data):
        header = root + number(index) + number(count) + b"".join(way)
        seed = digest("data", data)
        mask = b"".join(digest("mask", seed, bytes([n])) for n in range(len(header) // 32 + 1))
        return with_kind(depth, xor(header, mask) + data)

    data = one[1 + 36 + 32 :]
    leaf = digest("leaf", number(0), digest("data", data))
    root_of = lambda count, top: digest("root", number(count), top)
    pair = digest("node", leaf, bytes(32))
    other = digest("leaf", number(1), digest("data", payload[len(data) :]))
    assert good[0] == remade(1, root_of(2, digest("node", leaf, other)), 0, 2, [other], data)
    cases = {
        "nothing": (b"", "malformed"),
        "a kind of 17": (with_kind(17, bytes(1000)[: limit - 1]), "malformed"),
        "a header without data": (with_kind(1, bytes(36 + 32)), "malformed"),
        "one part of one": (remade(1, root_of(1, pair), 0, 1, [bytes(32)], data), "malformed"),
        "no part of none": (remade(1, root_of(0, pair), 0, 0, [bytes(32)], data), "malformed"),
        "an index that is the count": (
            remade(1, root_of(2, pair), 2, 2, [bytes(32)], data),
            "malformed",
        ),
        "three parts in a tree of two": (
            remade(1, root_of(3, pair), 0, 3, [bytes(32)], data),
            "malformed",
        ),
        "another count than the root has": (
            remade(2, root_of(3, pair), 0, 4, [bytes(32)] * 2, data),
            "wrong",
        ),
        "another index than the leaf has": (
            remade(1, root_of(2, pair), 1, 2, [bytes(32)], data),
            "wrong",
        ),
        "other data": (
            remade(1, root_of(2, digest("node", leaf, other)), 0, 2, [other], b"other"),
            "wrong",
        ),
        "the data changed under its mask": (one[:-40] + bytes(1) + one[-39:], "malformed"),
    }
    for reason, (piece, how) in cases.items():
        yield {"reason": reason, "piece": piece.hex(), "counted": how}


def locators():
    for inner, limit in (("memory:town", 1048576), ("memory:village", 65536)):
        name = digest("locator", number(limit, 8), inner.encode())[:16].hex()
        yield {"inner": inner, "max_payload_len": limit, "locator": "segmented:" + name}


print(
    json.dumps(
        {
            "protocol": "/cf/ds/segmented/1",
            "payloads": list(payloads()),
            "hostile": list(hostile()),
            "locators": list(locators()),
        },
        indent=1,
    )
)
