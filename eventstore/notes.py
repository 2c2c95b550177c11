"""Signed notes (c2sp.org/signed-note) with Ed25519, and the keys that sign them.

A note is a text, a blank line, and a line for each signature:

    — NAME base64(id of the key, four bytes | signature of the text)

A verifier key, `NAME+ID+base64(01 | public key)`, is what an auditor is given to trust.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from eventstore.keys import replace_secret_file, secret_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

ED25519 = b"\x01"
DASH = "\N{EM DASH} "
SIGNATURES_MAX = 100
VERIFIER = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)")
VARIABLE = "BACKSTORY_SIGNING_KEYS"


class NoteWrong(ValueError):
    """The note is not one, or no key that is trusted has signed it."""


class SigningKeyWrong(ValueError):
    """What should be signing keys is something else."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key, under the name of who signs with it."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """A verifier key as it is written."""
        found = VERIFIER.fullmatch(text.strip())
        try:
            decoded = base64.b64decode(found[3], validate=True) if found else b""
        except binascii.Error:
            decoded = b""
        if found is None or decoded[:1] != ED25519 or len(decoded) != 33:  # noqa: PLR2004 - 1 + 32
            raise SigningKeyWrong(
                f"{text.strip()[:80]!r} is no verifier key NAME+ID+KEY of Ed25519"
            )
        verifier = cls(found[1], decoded[1:])
        if verifier.id.hex() != found[2]:
            raise SigningKeyWrong(f"the id {found[2]} is not that of the key of {found[1]}")
        return verifier

    @property
    def id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        key = base64.b64encode(ED25519 + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{key}"


def sign(text: str, name: str, keys: Iterable[Ed25519PrivateKey]) -> str:
    """A note: the text, which ends in a newline, signed with each key."""
    lines = []
    for key in keys:
        verifier = Verifier(name, key.public_key().public_bytes_raw())
        signature = base64.b64encode(verifier.id + key.sign(text.encode())).decode()
        lines.append(f"{DASH}{name} {signature}\n")
    return f"{text}\n{''.join(lines)}"


def opened(note: str, verifiers: Iterable[Verifier]) -> str:
    """The text of a note that one of these keys has signed; raises `NoteWrong` otherwise."""
    text, blank, signatures = note.rpartition("\n\n")
    lines = signatures.removesuffix("\n").split("\n")
    if not blank or not signatures.endswith("\n") or len(lines) > SIGNATURES_MAX:
        raise NoteWrong("this is no signed note: a text, an empty line, lines with signatures")
    if any(ord(char) < ord(" ") for char in note if char != "\n"):
        raise NoteWrong("a signed note has no control characters")
    text += "\n"
    known = {(verifier.name, verifier.id): verifier for verifier in verifiers}
    good = False
    for line in lines:
        name, id, signature = _signature(line)
        if (name, id) in known:
            public = Ed25519PublicKey.from_public_bytes(known[name, id].public)
            try:
                public.verify(signature, text.encode())
            except InvalidSignature:
                raise NoteWrong(f"the signature of {name} is not over this text") from None
            good = True
    if not good:
        raise NoteWrong("no key that is trusted has signed this note")
    return text


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(DASH).partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not line.startswith(DASH) or not name or len(decoded) <= 4:  # noqa: PLR2004 - the id
        raise NoteWrong(f"{line[:80]!r} is no line of a signature")
    return name, decoded[:4], decoded[4:]


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys of a log: those it signs with, and those it once did.

    They are `signing.key` beside the master key, or `BACKSTORY_SIGNING_KEYS`: a key a line (or
    separated by commas), each 64 hex digits; or, where the secret was destroyed, a verifier key.
    The first one gave the log its name.
    """

    origin: str
    signers: tuple[Ed25519PrivateKey, ...]
    verifiers: tuple[Verifier, ...]

    @classmethod
    def of(cls, directory: Path) -> Self:
        """The keys of a workspace; the first one is made when there is none."""
        given = os.environ.get(VARIABLE)
        return cls.parse(given.split(",") if given else _lines(directory))

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Keys as they are written."""
        keys = [_key(line.strip()) for line in lines if line.strip()]
        if not any(isinstance(key, Ed25519PrivateKey) for key in keys):
            raise SigningKeyWrong("there is no key to sign with: 64 hex digits, one key a line")
        first = keys[0]
        origin = first.name if isinstance(first, Verifier) else _named_after(first)
        return cls(
            origin,
            tuple(key for key in keys if isinstance(key, Ed25519PrivateKey)),
            tuple(key if isinstance(key, Verifier) else _public(origin, key) for key in keys),
        )

    def sign(self, text: str) -> str:
        """The text as a note; every key signs, so that who knows only an older one can go on."""
        return sign(text, self.origin, self.signers)


def rotate(directory: Path, *, retire: bool = False) -> SigningKeys:
    """Sign with a new key as well; with `retire`, destroy the secrets of the older ones."""
    if os.environ.get(VARIABLE):
        raise SigningKeyWrong(f"the keys come from {VARIABLE}: change them there")
    before = SigningKeys.of(directory)
    older = map(str, before.verifiers) if retire else _lines(directory)
    lines = [*(line.strip() for line in older), os.urandom(32).hex()]
    replace_secret_file(directory / "signing.key", "\n".join(lines) + "\n")
    return SigningKeys.of(directory)


def _lines(directory: Path) -> list[str]:
    return secret_file(directory / "signing.key").splitlines()


def _key(line: str) -> Ed25519PrivateKey | Verifier:
    if re.fullmatch(r"[0-9a-fA-F]{64}", line):
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(line))
    if "+" not in line:  # whatever it is, it may be half a secret
        raise SigningKeyWrong("a signing key is 64 hex digits, or NAME+ID+KEY once it is retired")
    return Verifier.parse(line)


def _named_after(key: Ed25519PrivateKey) -> str:
    return f"backstory/{sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]}"


def _public(name: str, key: Ed25519PrivateKey) -> Verifier:
    return Verifier(name, key.public_key().public_bytes_raw())
