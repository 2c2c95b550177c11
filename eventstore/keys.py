"""Keys: one per person for personal fields, and one for hashes that uniqueness works on.

Personal values are sealed with AES-256-GCM under the key of the person they are about. Those keys
are kept outside the log, wrapped by the workspace's master key, which never enters the database.
A destroyed key is a person forgotten: the ciphertexts, and all that was proved over them, stay.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import threading
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    import psycopg
    from psycopg.rows import DictRow

PREFIX = "enc1:"
NONCE_BYTES = 12
KEY_BYTES = 32
CACHED_KEYS_MAX = 100_000
CIPHERS_MAX = 2_000
"""A cipher takes 2.5 kB and 3 µs to make, a key 0.2 kB: few ciphers are kept, of many keys."""

LOAD = "SELECT subject, wrapped FROM subject_key WHERE subject = ANY(%b::uuid[])"
LOAD_OR_MAKE = """
    WITH made AS (
        INSERT INTO subject_key (subject, wrapped)
        SELECT subject, wrapped FROM unnest(%b::uuid[], %b::bytea[]) AS new(subject, wrapped)
        WHERE NOT EXISTS (SELECT FROM subject_key WHERE subject_key.subject = new.subject)
    )
    SELECT subject, wrapped FROM subject_key WHERE subject = ANY(%b::uuid[])
"""
"""Returns those that were there before; the statement does not see what it makes itself."""


class MasterKeyLost(Exception):
    """The master key of the workspace is not the one its data was sealed with."""


def master_key(directory: Path) -> bytes:
    """The workspace's master key: `BACKSTORY_MASTER_KEY` (64 hex digits), or a file of its own.

    The file is made once, readable by its owner only; two processes that start at once agree.
    """
    given = os.environ.get("BACKSTORY_MASTER_KEY")
    if given:
        return bytes.fromhex(given)
    return bytes.fromhex(secret_file(directory / "master.key").strip())


def secret_file(path: Path) -> str:
    """What a file of secrets says; one that is not there is made, with a secret of 32 bytes."""
    if not path.exists():
        draft = _draft(path, os.urandom(32).hex() + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii")


def replace_secret_file(path: Path, text: str) -> None:
    """Let a file of secrets say something else: a crash leaves the old one or the new one."""
    _draft(path, text).replace(path)


def _draft(path: Path, text: str) -> Path:
    """A file beside another one, readable by its owner only, and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft


class Keyring:
    """Seals and opens personal values; makes keyed hashes.

    Keys of subjects are read and made through `table`, inside the caller's transaction when they
    are made, so that no event is stored whose key is not.
    """

    def __init__(self, master: bytes) -> None:
        if len(master) != 32:  # noqa: PLR2004 - AES-256
            raise MasterKeyLost("the master key must be 64 hex digits (32 bytes)")
        self._wrap = AESGCM(hmac.digest(master, b"wrap subject keys", "sha256"))
        self._hash = hmac.digest(master, b"keyed hashes", "sha256")
        self.fingerprint = hmac.digest(master, b"fingerprint", "sha256").hex()[:16]
        self._known: OrderedDict[UUID, bytes | None] = OrderedDict()
        self._cipher = lru_cache(CIPHERS_MAX)(AESGCM)
        self._destroyed: set[UUID] = set()
        self._guard = threading.Lock()

    def keyed_hash(self, kind: str, value: str) -> bytes:
        """What stands for a value where only equality matters; useless without the master key."""
        # A third of the time of an HMAC, of which every command needs two or three.
        text = f"{kind}\x1f{value}".encode()
        return hashlib.blake2b(text, key=self._hash, digest_size=32).digest()

    def encrypt(self, subject: UUID, event_id: UUID, field: str, plaintext: str) -> str:
        """`plaintext` (JSON) sealed for one field of one event, as text the log can hold."""
        return self.seal(subject, event_id, {field: plaintext.encode()})[field]

    def seal(
        self, subject: UUID, event_id: UUID, plaintexts: Mapping[str, bytes]
    ) -> dict[str, str]:
        """`encrypt` for several fields of one event."""
        with self._guard:
            key = self._known.get(subject)
            if subject in self._destroyed:
                key = os.urandom(KEY_BYTES)  # nobody keeps it: what it seals, opens nowhere
        if key is None:
            raise KeyError(f"no key loaded for subject {subject}")
        cipher, event, person = self._cipher(key), str(event_id), str(subject)
        sealed: dict[str, str] = {}
        for field, plaintext in plaintexts.items():
            nonce = os.urandom(NONCE_BYTES)
            text = nonce + cipher.encrypt(nonce, plaintext, _bound_to(event, field, person))
            sealed[field] = f"{PREFIX}{person}:{base64.b64encode(text).decode()}"
        return sealed

    def decrypt(self, subject: UUID, event_id: UUID, field: str, text: str) -> str | None:
        """The JSON that `text` seals; None when the subject's key is gone.

        Raises ValueError when the ciphertext is damaged or belongs to another event or field.
        """
        with self._guard:
            key = self._known.get(subject)
        if key is None:
            return None
        sealed = base64.b64decode(text[len(PREFIX) + 37 :])
        bound = _bound_to(str(event_id), field, str(subject))
        try:
            opened = self._cipher(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
            return opened.decode()
        except InvalidTag:
            raise ValueError(f"the ciphertext of {field} does not belong to {event_id}") from None

    def load(
        self, cursor: psycopg.Cursor[DictRow], subjects: Iterable[UUID], *, make: bool
    ) -> list[UUID]:
        """Have the keys of `subjects` at hand; with `make`, make those that do not exist.

        Returns whose keys were made: if the transaction fails, `forget_cached` them.
        """
        missing = self._missing(subjects, make=make)
        if not missing:
            return []
        drafts: dict[UUID, bytes] = {}
        if make:
            # Drawn before it is known who lacks one: that makes one trip to the database of two.
            drafts = {subject: os.urandom(KEY_BYTES) for subject in missing}
            wrapped = [self._wrapped(subject, key) for subject, key in drafts.items()]
            cursor.execute(LOAD_OR_MAKE, (missing, wrapped, missing), prepare=True)
        else:
            cursor.execute(LOAD, (missing,), prepare=True)
        found = {row["subject"]: bytes(row["wrapped"]) for row in cursor.fetchall()}
        with self._guard:
            for subject in missing:
                if subject in self._destroyed:
                    continue
                sealed = found.get(subject)
                key = self._unwrapped(subject, sealed) if sealed else drafts.get(subject)
                self._known[subject] = key
            while len(self._known) > CACHED_KEYS_MAX:
                self._known.popitem(last=False)
        return [subject for subject in drafts if subject not in found]

    def forget_cached(self, subjects: Sequence[UUID] | None = None) -> None:
        """Drop keys from memory: after a transaction that made them was rolled back."""
        with self._guard:
            if subjects is None:
                self._known.clear()
            for subject in subjects or ():
                self._known.pop(subject, None)

    def destroyed(self, subjects: Iterable[UUID]) -> None:
        """Never again use the keys of these subjects, nor make others for them."""
        with self._guard:
            self._destroyed.update(subjects)
            for subject in self._destroyed & self._known.keys():
                del self._known[subject]
            self._cipher.cache_clear()

    def _missing(self, subjects: Iterable[UUID], *, make: bool) -> list[UUID]:
        with self._guard:
            return [
                subject
                for subject in dict.fromkeys(subjects)
                if subject not in self._destroyed
                and (subject not in self._known or (make and self._known[subject] is None))
            ]

    def _wrapped(self, subject: UUID, key: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._wrap.encrypt(nonce, key, subject.bytes)

    def _unwrapped(self, subject: UUID, wrapped: bytes) -> bytes:
        try:
            return self._wrap.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], subject.bytes)
        except InvalidTag:
            raise MasterKeyLost(
                f"the key of subject {subject} cannot be unwrapped: this data was sealed under "
                "another master key; restore master.key or BACKSTORY_MASTER_KEY"
            ) from None


def _bound_to(event_id: str, field: str, subject: str) -> bytes:
    return f"{event_id}|{field}|{subject}".encode()
