"""Keys: one per person for personal fields, and one for hashes that uniqueness works on.

Personal values are sealed with AES-256-GCM under the key of the person they are about. Those keys
are kept outside the log, wrapped by the workspace's root key. That is kept beside them, wrapped by
a key service (see `key_services`), whose key never enters the database.
A destroyed key is a person forgotten: the ciphertexts, and all that was proved over them, stay.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from binascii import a2b_base64, b2a_base64
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eventstore.chance import Chance
from eventstore.envelope import written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    import psycopg
    from psycopg.rows import DictRow

    Open = Callable[[bytes, bytes, bytes], bytes]

PREFIX = "enc1:"
SEALED_FROM = len(PREFIX) + 37
"""Where the sealed bytes of a text begin: before them it names the subject."""
NONCE_BYTES = 12
NONCES = Chance(NONCE_BYTES)
KEY_BYTES = 32
KEYS = Chance(KEY_BYTES)
CACHED_KEYS_MAX = 100_000
CIPHERS_MAX = 2_000
"""A cipher takes 2.5 kB and 3 µs to make, a key 0.2 kB: few ciphers are kept, of many keys."""

_UNREAD = b""

LOAD = "SELECT subject, wrapped, root FROM subject_key WHERE subject = ANY(%b::uuid[])"
LOAD_OR_MAKE = """
    WITH made AS (
        INSERT INTO subject_key (subject, wrapped, root)
        SELECT subject, wrapped, (SELECT number FROM root_key WHERE number = %b)
        FROM unnest(%b::uuid[], %b::bytea[]) AS new(subject, wrapped)
        WHERE NOT EXISTS (SELECT FROM subject_key WHERE subject_key.subject = new.subject)
    )
    SELECT subject, wrapped, root FROM subject_key WHERE subject = ANY(%b::uuid[])
"""
"""Returns those that were there before; the statement does not see what it makes itself."""

MAKE = """
    INSERT INTO subject_key (subject, wrapped, root)
    SELECT subject, wrapped, (SELECT number FROM root_key WHERE number = %b)
    FROM unnest(%b::uuid[], %b::bytea[]) AS new(subject, wrapped)
"""


class MasterKeyLost(Exception):
    """The master key of the workspace is not the one its data was sealed with."""


class Root(NamedTuple):
    """A root key: what wraps the keys of subjects, and what keyed hashes are made with."""

    wraps: bytes
    hashes: bytes

    @classmethod
    def of(cls, secret: bytes) -> Root:
        """A root key from what a key service unwrapped."""
        if len(secret) != 2 * KEY_BYTES:
            raise MasterKeyLost("what the key service unwrapped is no root key of a workspace")
        return cls(secret[:KEY_BYTES], secret[KEY_BYTES:])

    @classmethod
    def of_master(cls, master: bytes) -> Root:
        """The root key that follows from a master key."""
        return cls(
            hmac.digest(master, b"wrap subject keys", "sha256"),
            hmac.digest(master, b"keyed hashes", "sha256"),
        )

    @property
    def secret(self) -> bytes:
        """What a key service wraps."""
        return self.wraps + self.hashes


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

    def __init__(self, roots: Mapping[int, Root] | None = None) -> None:
        self.service = ""
        """The name of what wraps the root key."""
        self.adopt(roots or {})
        self._known: OrderedDict[UUID, bytes | None] = OrderedDict()
        self._cipher = lru_cache(CIPHERS_MAX)(AESGCM)
        self._destroyed: set[UUID] = set()
        self._guard = threading.Lock()

    def adopt(self, roots: Mapping[int, Root]) -> None:
        """Work with these root keys from now on; the newest wraps what is made."""
        self._roots = dict(roots)
        self._wraps = {number: AESGCM(root.wraps) for number, root in roots.items()}
        self._newest = max(roots, default=0)
        self._hash = roots[self._newest].hashes if roots else b""

    def root(self, number: int) -> Root:
        """A root key by its number."""
        return self._roots[number]

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
        key = self._known.get(subject)
        if key is None and subject in self._destroyed:
            key = KEYS.draw()  # nobody keeps it: what it seals, opens nowhere
        if key is None:
            raise KeyError(f"no key loaded for subject {subject}")
        encrypt, event, person = self._cipher(key).encrypt, written(event_id), written(subject)
        draw, before = NONCES.draw, f"{PREFIX}{person}:"
        sealed: dict[str, str] = {}
        for field, plaintext in plaintexts.items():
            nonce = draw()
            text = nonce + encrypt(nonce, plaintext, f"{event}|{field}|{person}".encode())
            sealed[field] = before + b2a_base64(text, newline=False).decode()
        return sealed

    def decrypt(self, subject: UUID, event_id: UUID | str, field: str, text: str) -> str | None:
        """The JSON that `text` seals; None when the subject's key is gone.

        Raises ValueError when the ciphertext is damaged or belongs to another event or field.
        """
        with self._guard:
            key = self._known.get(subject)
        if key is None:
            return None
        sealed = a2b_base64(text[SEALED_FROM:])
        bound = f"{event_id}|{field}|{written(subject)}".encode()
        try:
            plain = self._cipher(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
        except InvalidTag:
            raise ValueError(f"the ciphertext of {field} does not belong to {event_id}") from None
        return plain.decode()

    def opens(
        self, cursor: psycopg.Cursor[DictRow], subjects: Sequence[UUID]
    ) -> Iterator[Open | None]:
        """What opens the values of each of these subjects; None where the key is gone."""
        # Not guarded: to look is safe, and whoever takes commands would wait for all of them.
        keys = [self._known.get(subject, _UNREAD) for subject in subjects]
        missing = [s for s, key in zip(subjects, keys, strict=True) if key is _UNREAD]
        if missing:
            found = self._read(cursor, missing)
            self._keep(found)
            keys = [
                found[s] if key is _UNREAD else key for s, key in zip(subjects, keys, strict=True)
            ]
        # These ciphers are not kept: those that are, are of subjects that commands are about.
        return (AESGCM(key).decrypt if key else None for key in keys)

    def _read(
        self, cursor: psycopg.Cursor[DictRow], subjects: Sequence[UUID]
    ) -> dict[UUID, bytes | None]:
        """The keys of these subjects; None of those that have none, or never again."""
        keys: dict[UUID, bytes | None] = dict.fromkeys(subjects)
        cursor.execute(LOAD, (list(subjects),), prepare=True)
        keys |= {row["subject"]: self.unwrapped(row) for row in cursor.fetchall()}
        with self._guard:
            return keys | dict.fromkeys(self._destroyed & keys.keys())

    def load(
        self, cursor: psycopg.Cursor[DictRow], subjects: Iterable[UUID], *, make: bool
    ) -> list[UUID]:
        """Have the keys of `subjects` at hand; with `make`, make those that do not exist.

        Returns whose keys were made: if the transaction fails, `forget_cached` them.
        """
        missing = self.missing(subjects, make=make)
        if not missing:
            return []
        if not make:
            self._keep(self._read(cursor, missing))
            return []
        # Drawn before it is known who lacks one: that makes one trip to the database of two.
        drafts = {subject: KEYS.draw() for subject in missing}
        wrapped = [self._wrapped(subject, key) for subject, key in drafts.items()]
        values = (self._newest, missing, wrapped, missing)
        cursor.execute(LOAD_OR_MAKE, values, prepare=True)
        found = {row["subject"]: row for row in cursor.fetchall()}
        keys = {subject: self.unwrapped(row) for subject, row in found.items()}
        self._keep(drafts | keys)
        return [subject for subject in drafts if subject not in found]

    def make(self, subjects: Iterable[UUID]) -> tuple[list[UUID], Sequence[Any]]:
        """Make keys for subjects that have none: whose, and the values for `MAKE`."""
        drafts = {subject: KEYS.draw() for subject in self.missing(subjects, make=True)}
        wrapped = [self._wrapped(subject, key) for subject, key in drafts.items()]
        self._keep(drafts)
        return list(drafts), (self._newest, list(drafts), wrapped)

    def _keep(self, keys: Mapping[UUID, bytes | None]) -> None:
        with self._guard:
            self._known.update(
                (subject, key) for subject, key in keys.items() if subject not in self._destroyed
            )
            while len(self._known) > CACHED_KEYS_MAX:
                self._known.popitem(last=False)

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

    def missing(self, subjects: Iterable[UUID], *, make: bool) -> list[UUID]:
        """Whose keys are not at hand; with `make`, also those known to have none."""
        with self._guard:
            return [
                subject
                for subject in dict.fromkeys(subjects)
                if (subject not in self._known or (make and self._known[subject] is None))
                and subject not in self._destroyed
            ]

    def rewrap(
        self, cursor: psycopg.Cursor[DictRow], newest: int, after: UUID | str, limit: int | None
    ) -> tuple[UUID | None, int]:
        """Wrap the next keys that are not wrapped under the `newest` root key; in one statement.

        Returns the subject of the last, or None, and how many there were.
        """
        cursor.execute(
            "SELECT subject, wrapped, root FROM subject_key WHERE subject > %s AND root < %s "
            "ORDER BY subject LIMIT %s",
            (after, newest, limit),
        )
        opened = [(row["subject"], row["root"], self.unwrapped(row)) for row in cursor.fetchall()]
        cursor.execute(
            "UPDATE subject_key SET wrapped = new.wrapped, root = %b "
            "FROM unnest(%b::uuid[], %b::integer[], %b::bytea[]) AS new(subject, root, wrapped) "
            "WHERE subject_key.subject = new.subject AND subject_key.root = new.root",
            (
                newest,
                [subject for subject, _, _ in opened],
                [root for _, root, _ in opened],
                [self._wrapped(subject, key) for subject, _, key in opened],
            ),
        )
        return (opened[-1][0] if opened else None), len(opened)

    def unwrapped(self, row: DictRow) -> bytes:
        """The key in a row of the table; raises MasterKeyLost if no root key opens it."""
        wrap, wrapped = self._wraps.get(row["root"]), bytes(row["wrapped"])
        try:
            if wrap is not None:
                bound = row["subject"].bytes
                return wrap.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], bound)
        except InvalidTag:
            pass
        raise MasterKeyLost(
            f"the key of subject {row['subject']} cannot be unwrapped: this data was sealed under "
            "another master key; restore master.key or BACKSTORY_MASTER_KEY, and start again if "
            "keys were rotated"
        )

    def _wrapped(self, subject: UUID, key: bytes) -> bytes:
        nonce = NONCES.draw()
        return nonce + self._wraps[self._newest].encrypt(nonce, key, subject.bytes)
