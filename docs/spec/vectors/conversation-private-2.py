"""Vectors of /cf/conversation/private/2, written from
docs/spec/conversation-private-2.md and what it takes over from private/1.

Needs the packages `cryptography` (with ML-KEM) and `kyber-py`, which can encapsulate
with given randomness; what one encapsulates, the other opens. Writes
conversation-private-2.json beside itself.
"""

import importlib.util
import json
import pathlib

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from kyber_py.ml_kem import ML_KEM_768

PROTOCOL = "/cf/conversation/private/2"

here = pathlib.Path(__file__)
spec = importlib.util.spec_from_file_location(
    "private_1", here.with_name("conversation-private-1.py")
)
one = importlib.util.module_from_spec(spec)
spec.loader.exec_module(one)
# Every derivation of that script is now one of private/2.
one.PROTOCOL = PROTOCOL


def healing(root: bytes, agreed: bytes, shared: bytes) -> tuple:
    out = one.hkdf(root, agreed + shared, one.label("healing"), 96)
    return out[:32], out[32:64], out[64:]


def plain(content_id: bytes, sent_at: int, points: list, said: bytes, content: bytes) -> bytes:
    text = one.plain(content_id, sent_at, points, b"")[: -len(one.field(16, b""))]
    text += one.field(8, said) if said else b""
    return text + one.field(16, content)


def says_key(epoch: int, key: bytes) -> bytes:
    return one.field(1, epoch) + one.field(2, key)


def says_ciphertext(epoch: int, ciphertext: bytes) -> bytes:
    return one.field(1, epoch) + one.field(3, ciphertext)


class Side(one.Side):
    """One participant's session, whose chain may have begun with a mixed step."""

    mixed = False

    def send(self, salt: bytes, text: bytes) -> dict:
        previous = self.previous
        self.previous |= 0x80000000 if self.mixed else 0
        frame = super().send(salt, text)
        self.previous = previous
        return frame

    def step(self, peer: bytes, own: bytes, theirs: bytes = b"", ours: bytes = b""):
        """A step of the peer's that mixed `theirs`, and the own one that mixes `ours`."""

        def root_step(root, agreed, shared):
            return healing(root, agreed, shared) if shared else one.ratchet(root, agreed)

        root, _, _ = root_step(self.root, one.agree(self.own, peer), theirs)
        self.header = self.next_send
        self.root, self.chain, self.next_send = root_step(root, one.agree(own, peer), ours)
        self.previous, self.number, self.own = self.number, 0, own
        self.mixed = bool(ours)


def exchange() -> dict:
    """A key in a chain, the answer in the next, the mixed step, and one after it."""
    exported = one.fixed("exported of the exchange")
    identities = (b"Saro's identity key", b"Raya's identity key")
    offer = one.fixed("ratchet secret 0")
    saro_secrets = [one.fixed(f"initiator's ratchet secret {n}") for n in range(4)]
    raya_secrets = [one.fixed(f"responder's ratchet secret {n}") for n in range(3)]
    seed = one.fixed("d") + one.fixed("z")
    m = one.fixed("m")
    pair = MLKEM768PrivateKey.from_seed_bytes(seed)
    key = pair.public_key().public_bytes_raw()
    shared, ciphertext = ML_KEM_768._encaps_internal(key, m)
    assert pair.decapsulate(ciphertext) == shared
    saro = Side.initiator(exported, identities, one.public(offer), saro_secrets[0])
    raya = Side.responder(
        exported, identities, offer, one.public(saro_secrets[0]), raya_secrets[0]
    )
    point = {
        "locator": "memory:test",
        "address": b"Raya's point".hex(),
        "framing": "/cf/framing/tagged/1",
    }
    frames = []

    def send(name, side, content, said=b"", points=()):
        number = len(frames)
        salt = one.fixed(f"salt {number}", 16)
        content_id, sent_at = f"content {number}".encode(), 1800000000000 + number
        text = plain(content_id, sent_at, list(points), said, content)
        frames.append(
            {
                "from": name,
                "salt": salt,
                "content_id": content_id,
                "content": content,
                "sent_at": sent_at,
                "plaintext": text,
            }
            | side.send(salt, text)
        )

    asks, answers = says_key(1, key), says_ciphertext(1, ciphertext)
    send("responder", raya, b"hi", points=[point])
    saro.step(one.public(raya_secrets[0]), saro_secrets[1])
    send("initiator", saro, b"hello", asks)
    raya.step(one.public(saro_secrets[1]), raya_secrets[1])
    send("initiator", saro, b"the key again", asks)
    send("responder", raya, b"the answer", answers)
    saro.step(one.public(raya_secrets[1]), saro_secrets[2], ours=shared)
    send("responder", raya, b"the answer again", answers)
    send("initiator", saro, b"mixed")
    raya.step(one.public(saro_secrets[2]), raya_secrets[2], theirs=shared)
    send("initiator", saro, b"mixed, too")
    send("responder", raya, b"healed")
    saro.step(one.public(raya_secrets[2]), saro_secrets[3])
    send("initiator", saro, b"goes on")
    return {
        "exported": exported,
        "initiator": identities[0],
        "responder": identities[1],
        "offer_secret": offer,
        "offer": one.field(1, one.public(offer)),
        "parameters": one.field(1, one.public(saro_secrets[0])),
        "initiator_secrets": saro_secrets,
        "responder_secrets": raya_secrets,
        "responder_point": point,
        "kem_seed": seed,
        "kem_key": key,
        "kem_randomness": m,
        "kem_ciphertext": ciphertext,
        "kem_shared": shared,
        "frames": frames,
    }


def derivations() -> dict:
    root, agreed, shared = (one.fixed(name) for name in ("root key", "agreed", "shared"))
    healed = healing(root, agreed, shared)
    return one.derivations() | {
        "healing": {
            "root": root,
            "agreed": agreed,
            "shared": shared,
            "next_root": healed[0],
            "chain": healed[1],
            "next_header": healed[2],
        },
        "beginnings": [
            {"previous": 0, "mixed": False, "encoded": one.u32(0)},
            {"previous": 7, "mixed": True, "encoded": one.u32(0x80000007)},
            {"previous": 2**31 - 1, "mixed": True, "encoded": one.u32(2**32 - 1)},
        ],
    }


if __name__ == "__main__":
    vectors = {
        "protocol": PROTOCOL,
        "derivations": derivations(),
        "exchange": exchange(),
    }
    target = here.with_suffix(".json")
    target.write_text(json.dumps(one.printable(vectors), indent=1) + "\n")
