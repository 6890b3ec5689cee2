#!/usr/bin/env python3
"""Makes discovery-lan-1.json from docs/spec/discovery-lan-1.md."""

import hashlib
import json
import pathlib

LABEL = b"/cf/discovery/lan/1 instance\x00"


def lp(data):
    return len(data).to_bytes(2, "big") + data


def announcement(name, link, discovery, state):
    raw = link.encode()
    strings = [["txtvers", b"1".hex()], ["n", name.encode().hex()]]
    for at in range(0, len(raw), 250):
        strings.append([str(at // 250), raw[at : at + 250].hex()])
    inner = b"\x00" if state is None else b"\x01" + state
    kept = b"\x01" + lp(name.encode()) + lp(raw) + lp(discovery.encode()) + inner
    return {
        "name": name,
        "link": link,
        "instance": hashlib.sha256(LABEL + raw).hexdigest()[:16],
        "strings": strings,
        "discovery": discovery,
        "inner": None if state is None else state.hex(),
        "state": kept.hex(),
    }


def refused(why, kind, *strings):
    return {"why": why, "kind": kind, "strings": [[key, value.hex()] for key, value in strings]}


V, N, L = ("txtvers", b"1"), ("n", b"Raya"), ("0", b"x")
vectors = {
    "announcements": [
        announcement("Raya", "x", "/cf/discovery/link/1", None),
        announcement("Räya Vance", "board:" + "a" * 243, "/cf/discovery/short-link/1", b"kept"),
        announcement("R" * 64, "cfintro_1_" + "b" * 7990, "/cf/discovery/link/1", None),
    ],
    "refused": [
        refused("no strings", "malformed"),
        refused("no version", "malformed", N, L),
        refused("an empty version", "malformed", ("txtvers", b""), N, L),
        refused("a later version", "unsupported", ("txtvers", b"2"), N, L),
        refused("no name", "malformed", V, L),
        refused("an empty name", "malformed", V, ("n", b" "), L),
        refused("a name of two lines", "malformed", V, ("n", b"a\nb"), L),
        refused("a fingerprint's sign", "malformed", V, ("n", b"a#b"), L),
        refused("a name that is no text", "malformed", V, ("n", b"\xff"), L),
        refused("a name of 65 bytes", "malformed", V, ("n", b"a" * 65), L),
        refused("no link", "malformed", V, N),
        refused("no beginning of the link", "malformed", V, N, ("1", b"x")),
        refused("an empty link", "malformed", V, N, ("0", b"")),
        refused("a space in the link", "malformed", V, N, ("0", b"a b")),
        refused("a link that is no text", "malformed", V, N, ("0", b"\xff")),
        refused("letters that are not ASCII", "malformed", V, N, ("0", "ä".encode())),
        refused("65 strings", "malformed", V, N, L, *[(f"x{at}", b"") for at in range(62)]),
        refused(
            "a link of 8,001 bytes",
            "rejected",
            V,
            N,
            *[(str(at), b"a" * 250) for at in range(32)],
            ("32", b"a"),
        ),
    ],
}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")
