"""What an import has to remember of every row: on disk, for memory does not grow with files.

SQLite keeps what is used most in memory, and the rest in a file that has no name, is gone with the
process, and says nothing to whoever reads the disk: numbers are keyed hashes, all else is sealed
under a key that only this process has.
"""

from __future__ import annotations

import os
import pickle
import sqlite3
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

CACHE_KILOBYTES = 16_000
NONCE_BYTES = 12
TABLES = """
    CREATE TABLE number (key INTEGER PRIMARY KEY, value INTEGER NOT NULL);
    CREATE TABLE thing (key INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
    CREATE TABLE block (hash INTEGER, key INTEGER, PRIMARY KEY (hash, key)) WITHOUT ROWID;
"""
NEAR = """
    SELECT thing.key, sealed
    FROM (SELECT key FROM block WHERE hash = ? ORDER BY key LIMIT ?) AS found
    CROSS JOIN thing ON thing.key = found.key
"""


def key_of(id_: UUID) -> int:
    """The number that stands for an id here: 64 of its bits."""
    return int.from_bytes(id_.bytes[8:], "big", signed=True)


class Spill:
    """Numbers, things and blocks by 64-bit keys. Costs nothing before it is used."""

    @cached_property
    def _disk(self) -> sqlite3.Connection:
        disk = sqlite3.connect("", isolation_level=None)  # the empty name: a file of its own
        disk.execute("PRAGMA journal_mode = OFF")
        disk.execute("PRAGMA synchronous = OFF")
        disk.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
        disk.executescript(TABLES)
        disk.execute("BEGIN")  # never ended: nothing of this has to last
        return disk

    @cached_property
    def _secret(self) -> bytes:
        return os.urandom(32)

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._secret)

    def hash(self, text: str) -> int:
        """What stands for a text as a key."""
        said = text.encode("utf-8", "surrogatepass")
        digest = blake2b(said, digest_size=8, key=self._secret).digest()  # half of what HMAC takes
        return int.from_bytes(digest, "big", signed=True)

    def set_default(self, key: int, value: int) -> int:
        """The number under a key: what is there, or else the one given."""
        if self._disk.execute("INSERT OR IGNORE INTO number VALUES (?, ?)", (key, value)).rowcount:
            return value
        return self.number(key) or 0

    def number(self, key: int) -> int | None:
        """The number under a key; None if there is none."""
        found = self._disk.execute("SELECT value FROM number WHERE key = ?", (key,)).fetchone()
        return None if found is None else int(found[0])

    def has(self, key: int) -> bool:
        """Whether there is a number under a key."""
        return self.number(key) is not None

    def put(self, key: int, thing: Any) -> None:
        """Keep a thing under a key, in place of what is there."""
        nonce = os.urandom(NONCE_BYTES)
        bound = key.to_bytes(8, "big", signed=True)
        sealed = nonce + self._cipher.encrypt(nonce, pickle.dumps(thing), bound)
        self._disk.execute("INSERT OR REPLACE INTO thing VALUES (?, ?)", (key, sealed))

    def get(self, key: int) -> Any:
        """The thing under a key; None if there is none."""
        found = self._disk.execute("SELECT sealed FROM thing WHERE key = ?", (key,)).fetchone()
        return None if found is None else self._opened(key, found[0])

    def block(self, key: int, hashes: Iterable[int]) -> None:
        """Have a thing found under more hashes."""
        pairs = ((hash_, key) for hash_ in hashes)
        self._disk.executemany("INSERT OR IGNORE INTO block VALUES (?, ?)", pairs)

    def drop(self, key: int, hashes: Iterable[int]) -> None:
        """Forget a thing."""
        pairs = ((hash_, key) for hash_ in hashes)
        self._disk.executemany("DELETE FROM block WHERE hash = ? AND key = ?", pairs)
        self._disk.execute("DELETE FROM thing WHERE key = ?", (key,))

    def near(self, hashes: Iterable[int], limit: int) -> list[Any]:
        """Things found under any of these hashes: of each hash, so many with the lowest keys.

        One statement for each hash: with one for each thing, a look among many took a fifth longer.
        """
        sealed: dict[int, bytes] = {}
        for hash_ in hashes:
            sealed |= self._disk.execute(NEAR, (hash_, limit)).fetchall()
        return [self._opened(key, one) for key, one in sealed.items()]

    def _opened(self, key: int, sealed: bytes) -> Any:
        bound = key.to_bytes(8, "big", signed=True)
        opened = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
        return pickle.loads(opened)  # noqa: S301 - only what this process sealed opens
