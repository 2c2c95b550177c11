"""Check an evidence bundle of Backstory.

    python verify.py BUNDLE.zip [PUBLIC-KEY ...]

It needs Python 3.11 and nothing else, no network, and nothing of Backstory. Without public keys it
trusts the one in the bundle: compare what it prints with the key you were given elsewhere.
Exit code 0: every event was sealed under a signed checkpoint, and no byte was changed. 1: not so.
"""

# ruff: noqa: T201 - an auditor runs this file alone, and reads what it prints

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import sys
import zipfile
from datetime import datetime, timedelta
from uuid import UUID

EVENTS, KEYS, MANIFEST, CHECKPOINT = "events.jsonl", "keys.txt", "manifest.txt", "checkpoint.txt"
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
DASH = "\N{EM DASH} "

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)
KEY_BYTES = 32

Point = tuple[int, int, int, int]


class BundleWrong(Exception):
    """The bundle proves nothing; the message says why."""


def add(a: Point, b: Point) -> Point:
    """The sum of two points of the curve (RFC 8032, 5.1.4)."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    w, x, y, z = f - e, h - g, h + g, f + e
    return w * x % P, y * z % P, x * y % P, w * z % P


def times(factor: int, point: Point) -> Point:
    """A point added to itself so many times."""
    found = NEUTRAL
    while factor:
        if factor & 1:
            found = add(found, point)
        point, factor = add(point, point), factor >> 1
    return found


def decoded(encoded: bytes) -> Point:
    """The point that 32 bytes stand for (RFC 8032, 5.1.3)."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if len(encoded) != KEY_BYTES or y >= P:
        raise BundleWrong("a key or signature is no point of the curve")
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        raise BundleWrong("a key or signature is no point of the curve")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = decoded((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def signed(public: bytes, text: bytes, signature: bytes) -> bool:
    """Whether Ed25519 says so (RFC 8032, 5.1.7)."""
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 2 * KEY_BYTES or s >= ORDER:
        return False
    hashed = hashlib.sha512(signature[:32] + public + text).digest()
    k = int.from_bytes(hashed, "little") % ORDER
    a, b = times(s, BASE), add(decoded(signature[:32]), times(k, decoded(public)))
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def from_base64(text: str) -> bytes:
    """Bytes that were written in the one way there is."""
    found = base64.b64decode(text, validate=True)
    if base64.b64encode(found).decode() != text:
        raise BundleWrong("base64 that could be written otherwise")
    return found


def opened(note: bytes, keys: list[str]) -> str:
    """The text of a signed note (c2sp.org/signed-note) that one of the keys has signed."""
    text, blank, signatures = note.decode().rpartition("\n\n")
    for key in keys:
        name, id_, encoded = key.split("+", 2)
        public = from_base64(encoded)
        if hashlib.sha256(name.encode() + b"\n" + public).hexdigest()[:8] != id_:
            raise BundleWrong(f"{key} is no public key")
        for line in signatures.splitlines():
            if blank and line.startswith(f"{DASH}{name} "):
                found = from_base64(line.rpartition(" ")[2])
                if found[:4].hex() == id_ and public[0] == 1:
                    if not signed(public[1:], f"{text}\n".encode(), found[4:]):
                        raise BundleWrong(f"the signature of {key} is wrong")
                    return text
    raise BundleWrong("no key that is trusted has signed it")


def leaf_hash(event: dict[str, object]) -> bytes:
    """The leaf of an event: each field with its length before it."""
    fields = [b"backstory.leaf.v1"]
    for name in ("position", "version", "recorded_at", "occurred_at"):
        value = event[name]
        if isinstance(value, str):
            value = (datetime.fromisoformat(value) - EPOCH) // timedelta(microseconds=1)
        fields.append(int(str(value)).to_bytes(8, "big", signed=True))
    ids = ("event_id", "stream_id", "actor", "correlation_id", "causation_id")
    fields += [UUID(str(event[name])).bytes if event[name] else b"" for name in ids]
    fields += [str(event["type"]).encode(), str(event["stored"]).encode()]
    content = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return hashlib.sha256(b"\x00" + content).digest()


def root_above(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """Where an inclusion proof leads to (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise BundleWrong("an event lies outside of the tree")
    last, found = size - 1, leaf
    for step in proof:
        if not last:
            raise BundleWrong("a proof is too long")
        if index & 1 or index == last:
            found = hashlib.sha256(b"\x01" + step + found).digest()
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + step).digest()
        index, last = index >> 1, last >> 1
    if last:
        raise BundleWrong("a proof is too short")
    return found


def packed(files: dict[str, bytes]) -> bytes:
    """The one archive that holds these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def unpacked(bundle: bytes) -> dict[str, bytes]:
    """The files of a bundle; raises `BundleWrong` if it is not the archive `packed` makes."""
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except Exception as error:  # noqa: BLE001 - bytes of any kind fail in any way
        raise BundleWrong(f"this is no whole archive: {error}") from None
    if packed(files) != bundle:
        raise BundleWrong("bytes between the files of the archive were changed")
    return files


def check(bundle: bytes, keys: list[str]) -> list[str]:
    """What a bundle proves, in sentences; raises `BundleWrong` if a byte is not what it was."""
    files = unpacked(bundle)
    try:
        return checked(files, keys or files[KEYS].decode().split())
    except BundleWrong:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        raise BundleWrong(f"the bundle is not whole: {type(error).__name__}: {error}") from None


def checked(files: dict[str, bytes], keys: list[str]) -> list[str]:
    """`check`, for files taken out."""
    _, *listed = opened(files[MANIFEST], keys).splitlines()
    found = [
        f"{hashlib.sha256(content).hexdigest()}  {name}"
        for name, content in files.items()
        if name != MANIFEST
    ]
    if listed != found:
        raise BundleWrong("a file is not the one that was signed")
    text = opened(files[CHECKPOINT], keys)
    shape = re.fullmatch(r"([^\n]+)\n(\d+)\n([^\n]+)", text)
    if shape is None:
        raise BundleWrong("the checkpoint is none")
    size, root = int(shape[2]), from_base64(shape[3])
    events = [json.loads(line) for line in files[EVENTS].decode().splitlines()]
    for event in events:
        proof = [from_base64(step) for step in event["proof"]]
        if root_above(leaf_hash(event), event["leaf"], size, proof) != root:
            raise BundleWrong(f"the event at position {event['position']} was not sealed")
    return [
        f"{len(events)} events are among the {size} that {shape[1]} has sealed.",
        *(f"Trusted: {key}" for key in keys),
    ]


def main(arguments: list[str]) -> int:
    """See the top of this file."""
    if not arguments:
        print(__doc__)
        return 2
    try:
        with open(arguments[0], "rb") as file:  # noqa: PTH123 - whoever reads this knows `open`
            said = check(file.read(), arguments[1:])
    except (BundleWrong, OSError) as error:
        print(f"NOT proved: {error}")
        return 1
    print(*said, "Proved.", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
