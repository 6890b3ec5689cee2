"""Vectors of /cf/conversation/private/1, written from
docs/spec/conversation-private-1.md.

Needs the package `cryptography`. Writes conversation-private-1.json beside itself.
"""

import hashlib
import hmac
import json
import pathlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PROTOCOL = "/cf/conversation/private/1"


# Primitives.


def label(purpose: str) -> bytes:
    return f"{PROTOCOL} {purpose}".encode()


def hkdf(salt: bytes, secret: bytes, info: bytes, length: int = 32) -> bytes:
    return HKDF(hashes.SHA256(), length, salt or None, info).derive(secret)


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def agree(secret: bytes, public: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret).exchange(
        X25519PublicKey.from_public_bytes(public)
    )


def public(secret: bytes) -> bytes:
    key = X25519PrivateKey.from_private_bytes(secret).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def lp(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def fixed(name: str, length: int = 32) -> bytes:
    """Bytes for a vector: SHA-256 of a name."""
    return hashlib.sha256(name.encode()).digest()[:length]


# Protobuf.


def varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, value) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def plain(content_id: bytes, sent_at: int, points: list, content: bytes) -> bytes:
    out = field(1, content_id) if content_id else b""
    out += field(2, sent_at) if sent_at else b""
    for point in points:
        inner = field(1, point["locator"]) + field(2, bytes.fromhex(point["address"]))
        out += field(3, inner + field(3, point["framing"]))
    return out + field(16, content)


def reliable(
    sequence: int, acknowledged: int, bitmap: bytes, skipped: list, gone: int, body: bytes
) -> bytes:
    out = field(1, sequence) if sequence else b""
    out += field(2, acknowledged) if acknowledged else b""
    out += field(3, bitmap) if bitmap else b""
    out += field(4, b"".join(map(varint, skipped))) if skipped else b""
    out += field(5, gone) if gone else b""
    return out + body


# Derivations.


def origin(exported: bytes) -> dict:
    return {
        "root": hkdf(b"", exported, label("root key")),
        "initiator_header": hkdf(b"", exported, label("initiator header key")),
        "responder_header": hkdf(b"", exported, label("responder header key")),
        "session_id": hkdf(b"", exported, label("session id")),
        "standing_tag": hkdf(b"", exported, label("standing tag"), 16),
        "exporter": hkdf(b"", exported, label("exporter")),
    }


def ratchet(root: bytes, agreed: bytes) -> tuple:
    out = hkdf(root, agreed, label("ratchet"), 96)
    return out[:32], out[32:64], out[64:]


def message_key(chain: bytes) -> bytes:
    return mac(chain, label("message key"))


def next_chain(chain: bytes) -> bytes:
    return mac(chain, label("chain key"))


def tag_of(header_key: bytes, number: int) -> bytes:
    return mac(hkdf(b"", header_key, label("tag")), u32(number))[:16]


def seal_header(header_key: bytes, header: bytes, tag: bytes, salt: bytes) -> bytes:
    key = hkdf(b"", header_key, label("header"))
    return AESGCM(key).encrypt(salt[:12], header, tag)


def pad(text: bytes) -> bytes:
    length = len(text) + 1
    padded = 256
    if length > 256:
        exponent = length.bit_length() - 1
        mask = (1 << (exponent - exponent.bit_length())) - 1
        padded = (length + mask) & ~mask
    return text + b"\x80" + bytes(padded - length)


def seal_body(key: bytes, salt: bytes, header: bytes, tag: bytes, context: bytes, text: bytes):
    both = hkdf(salt, key, label("message"), 44)
    sealed = AESGCM(both[:32]).encrypt(both[32:], pad(text), tag + header + context)
    return salt + header + sealed


class Side:
    """One participant's session."""

    def __init__(self, exported: bytes, identities: tuple):
        self.origin = origin(exported)
        session_id = self.origin["session_id"]
        self.context = session_id + lp(identities[0]) + lp(identities[1])
        self.previous = 0
        self.number = 0

    @classmethod
    def initiator(cls, exported, identities, offered: bytes, own: bytes):
        side = cls(exported, identities)
        side.own = own
        side.root, side.chain, side.next_send = ratchet(side.origin["root"], agree(own, offered))
        side.header = side.origin["initiator_header"]
        return side

    @classmethod
    def responder(cls, exported, identities, offer: bytes, peer: bytes, own: bytes):
        side = cls(exported, identities)
        side.own = own
        root, _, _ = ratchet(side.origin["root"], agree(offer, peer))
        side.root, side.chain, side.next_send = ratchet(root, agree(own, peer))
        side.header = side.origin["responder_header"]
        return side

    def send(self, salt: bytes, text: bytes) -> dict:
        tag = tag_of(self.header, self.number)
        header = public(self.own) + u32(self.previous)
        sealed = seal_header(self.header, header, tag, salt)
        body = seal_body(message_key(self.chain), salt, sealed, tag, self.context, text)
        self.chain = next_chain(self.chain)
        self.number += 1
        return {"tag": tag, "body": body}

    def step(self, peer: bytes, own: bytes):
        """The step that the first frame of a new chain of the peer's causes."""
        root, _, _ = ratchet(self.root, agree(self.own, peer))
        self.header = self.next_send
        self.root, self.chain, self.next_send = ratchet(root, agree(own, peer))
        self.previous, self.number, self.own = self.number, 0, own


def derivations() -> dict:
    exported = fixed("exported")
    root, agreed = fixed("root key"), fixed("agreed")
    chain, header_key = fixed("chain key"), fixed("header key")
    key, salt = fixed("message key"), fixed("salt", 16)
    stepped = ratchet(root, agreed)
    both = hkdf(salt, key, label("message"), 44)
    tag = tag_of(header_key, 5)
    header = fixed("ratchet key") + u32(7)
    return {
        "origin": {"exported": exported} | origin(exported),
        "ratchet": {
            "root": root,
            "agreed": agreed,
            "next_root": stepped[0],
            "chain": stepped[1],
            "next_header": stepped[2],
        },
        "chain": {
            "chain": chain,
            "message_key": message_key(chain),
            "next_chain": next_chain(chain),
        },
        "header": {
            "header_key": header_key,
            "tags": [
                {"number": number, "tag": tag_of(header_key, number)}
                for number in (0, 1, 5, 4294967295)
            ],
            "ratchet_key": header[:32],
            "previous": 7,
            "number": 5,
            "salt": salt,
            "sealed": seal_header(header_key, header, tag, salt),
        },
        "message": {"message_key": key, "salt": salt, "key": both[:32], "nonce": both[32:]},
    }


def exchange() -> dict:
    """Both sides speak first; then the initiator makes a step, and the responder."""
    exported = fixed("exported of the exchange")
    identities = (b"Saro's identity key", b"Raya's identity key")
    offer, first, second = (fixed(f"ratchet secret {n}") for n in range(3))
    third, fourth = fixed("ratchet secret 3"), fixed("ratchet secret 4")
    saro = Side.initiator(exported, identities, public(offer), first)
    raya = Side.responder(exported, identities, offer, public(first), second)
    point = {
        "locator": "memory:test",
        "address": b"Raya's point".hex(),
        "framing": "/cf/framing/tagged/1",
    }
    frames = []

    def send(name, side, content_id, content, sent_at, points=()):
        salt = fixed(f"salt {len(frames)}", 16)
        text = plain(content_id, sent_at, list(points), content)
        frames.append(
            {
                "from": name,
                "salt": salt,
                "content_id": content_id,
                "content": content,
                "sent_at": sent_at,
            }
            | side.send(salt, text)
        )

    send("initiator", saro, b"a", b"hello", 1800000000000)
    send("initiator", saro, b"b", b"", 1800000000001)
    send("responder", raya, b"c", b"hi", 1800000000002, [point])
    saro.step(public(second), third)
    send("initiator", saro, b"d", b"x" * 300, 1800000000003)
    raya.step(public(third), fourth)
    send("responder", raya, b"e", bytes(1000), 1800000000004)
    return {
        "exported": exported,
        "initiator": identities[0],
        "responder": identities[1],
        "offer_secret": offer,
        "offer": field(1, public(offer)),
        "parameters": field(1, public(first)),
        "initiator_secrets": [first, third],
        "responder_secrets": [second, fourth],
        "responder_point": point,
        "frames": frames,
        "export": {
            "label": "/example/1 upgrade",
            "secret": hkdf(
                b"", origin(exported)["exporter"], label("export") + b"\x00/example/1 upgrade"
            ),
        },
    }


def reliable_frames() -> list:
    def frame(sequence, acknowledged, bitmap, skipped, body, gone=0, **what):
        return {
            "sequence": sequence,
            "acknowledged": acknowledged,
            "bitmap": bitmap,
            "skipped": skipped,
            "gone": gone,
            "content": what.get("content"),
            "close": what.get("close", False),
            "read": what.get("read"),
            "typing": what.get("typing"),
            "bundles": what.get("bundles"),
            "encoded": reliable(sequence, acknowledged, bitmap, skipped, gone, body),
        }

    read = [b"first", b"second"]
    bundles = [(b"/cf/init/inbox/1", b"a bundle"), (b"/cf/init/psk/1", b"another")]
    bundle = [field(1, field(1, protocol) + field(2, bytes_)) for protocol, bytes_ in bundles]
    return [
        frame(1, 0, b"", [], b""),
        frame(2, 1, b"", [], field(16, b"hello"), content=b"hello"),
        frame(0, 300, b"\x05", [], b""),
        frame(70000, 3, b"\x00\x80", [68000, 69999], field(16, b""), content=b""),
        frame(0, 4, b"", [], field(17, b""), close=True),
        frame(3, 4, b"", [], field(16, b"again"), gone=300, content=b"again"),
        frame(4, 4, b"", [], field(18, b"".join(field(1, id_) for id_ in read)), read=read),
        frame(0, 4, b"", [], field(19, field(1, 1)), typing=True),
        frame(0, 4, b"", [], field(19, b""), typing=False),
        frame(
            5,
            4,
            b"",
            [],
            field(20, b"".join(bundle)),
            bundles=[[protocol.decode(), bytes_] for protocol, bytes_ in bundles],
        ),
    ]


def printable(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: printable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable(inner) for inner in value]
    return value


if __name__ == "__main__":
    vectors = {
        "protocol": PROTOCOL,
        "derivations": derivations(),
        "exchange": exchange(),
        "reliable": reliable_frames(),
    }
    target = pathlib.Path(__file__).with_suffix(".json")
    target.write_text(json.dumps(printable(vectors), indent=1) + "\n")
