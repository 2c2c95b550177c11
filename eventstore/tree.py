"""The Merkle tree over the log as PostgreSQL keeps it: in tiles, and the newest checkpoint.

A tile holds up to 256 hashes side by side: at level 0 those of leaves, at level L those over
256^L leaves each. A proof over ten million leaves reads six of them. Leaves are counted in the
order of positions, without gaps; a tile of leaves knows the position of its first.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from eventstore.merkle import HASH_BYTES, parents, root
from eventstore.notes import NoteWrong, opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg import Cursor
    from psycopg.rows import DictRow

    from eventstore.notes import SigningKeys, Verifier

HEIGHT = 8
WIDTH = 1 << HEIGHT
CHECKPOINT = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*")


class TreeDamaged(Exception):
    """The tree in the database is not the one that was signed."""


class NotSealed(LookupError):
    """There is no such event in the sealed part of the log."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How many leaves there are, and the root over them, signed: c2sp.org/tlog-checkpoint."""

    origin: str
    size: int
    root: bytes
    note: str

    @property
    def root_text(self) -> str:
        """The root as it is written."""
        return base64.b64encode(self.root).decode()

    @classmethod
    def parse(cls, note: str, verifiers: Iterable[Verifier]) -> Self:
        """A checkpoint signed by one of these keys; raises `NoteWrong` otherwise."""
        found = CHECKPOINT.fullmatch(opened(note, verifiers))
        if found is None:
            raise NoteWrong("this note is no checkpoint: a name, a number of leaves, a root")
        return cls(found[1], int(found[2]), base64.b64decode(found[3]), note)

    @classmethod
    def sign(cls, size: int, root: bytes, keys: SigningKeys, more: str = "") -> Self:
        """A checkpoint of a log; `more` are lines about something else that is signed with it."""
        text = f"{keys.origin}\n{size}\n{base64.b64encode(root).decode()}\n{more}"
        return cls(keys.origin, size, root, keys.sign(text))


@dataclass(frozen=True, slots=True)
class Sealed:
    """The newest checkpoint, and the position of the last event it covers."""

    note: str
    size: int
    position: int


class Tree:
    """A tree whose hashes stand in tiles."""

    def tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile, side by side; none when there is no such tile."""
        raise NotImplementedError

    def node(self, level: int, number: int) -> bytes:
        """The hash over a complete subtree, as `merkle` asks for it."""
        tiles, inner = divmod(level, HEIGHT)
        first = number << inner
        tile = hashes(self.tile(tiles, first // WIDTH))
        found = tile[first % WIDTH :][: 1 << inner]
        if len(found) < 1 << inner:
            raise TreeDamaged(f"tile {first // WIDTH} of level {tiles} lacks hashes")
        return whole(found)

    def root(self, size: int) -> bytes:
        """The root over the first `size` leaves."""
        return root(size, self.node)


class Tiles(Tree):
    """The tiles as they are seen through a cursor; each is read once."""

    def __init__(self, cursor: Cursor[DictRow]) -> None:
        self.cursor = cursor
        self._read: dict[tuple[int, int], bytes] = {}

    def sealed(self) -> Sealed | None:
        """The newest checkpoint; None when nothing was sealed yet."""
        self.cursor.execute("SELECT note, size, position FROM log_checkpoint")
        row = self.cursor.fetchone()
        return Sealed(row["note"], row["size"], row["position"]) if row else None

    def tile(self, level: int, number: int) -> bytes:
        """See `Tree`."""
        if (level, number) not in self._read:
            self.cursor.execute(
                "SELECT hashes FROM log_tile WHERE level = %s AND number = %s", (level, number)
            )
            row = self.cursor.fetchone()
            self._read[level, number] = bytes(row["hashes"]) if row else b""
        return self._read[level, number]

    def leaves(self, first: int, after: int) -> bytes:
        """The hashes of leaves from a multiple of 256 on, as far as there are any."""
        self.cursor.execute(
            "SELECT hashes FROM log_tile WHERE level = 0 AND number >= %s AND number < %s "
            "ORDER BY number",
            (first // WIDTH, -(-after // WIDTH)),
        )
        rows = self.cursor.fetchall()
        return b"".join(row["hashes"] for row in rows)[: (after - first) * HASH_BYTES]

    def starts(self, first: int, after: int) -> list[int | None]:
        """The positions that tiles of leaves say they begin at, from a multiple of 256 on."""
        self.cursor.execute(
            "SELECT first_position FROM log_tile WHERE level = 0 AND number >= %s AND number < %s "
            "ORDER BY number",
            (first // WIDTH, -(-after // WIDTH)),
        )
        return [row["first_position"] for row in self.cursor.fetchall()]

    def append(self, size: int, leaves: Sequence[bytes], positions: Sequence[int]) -> None:
        """Add leaves to a tree of `size` leaves: tiles are filled, the full ones are summed up."""
        level, below = 0, list(leaves)
        while below:
            number, held = divmod(size, WIDTH)
            row = hashes(self.tile(level, number))[:held] + below
            if len(row) != held + len(below):
                raise TreeDamaged(f"tile {number} of level {level} lacks hashes")
            cut = [row[at : at + WIDTH] for at in range(0, len(row), WIDTH)]
            starts = [
                None if level or at < held else positions[at - held]
                for at in range(0, len(row), WIDTH)
            ]
            self._write(level, number, cut, starts)
            below = [whole(tile) for tile in cut if len(tile) == WIDTH]
            level, size = level + 1, number

    def _write(
        self,
        level: int,
        number: int,
        tiles: Sequence[Sequence[bytes]],
        starts: Sequence[int | None],
    ) -> None:
        joined = [b"".join(tile) for tile in tiles]
        self.cursor.execute(
            "INSERT INTO log_tile (level, number, first_position, hashes) "
            "SELECT %s, %s + n - 1, first_position, hashes "
            "FROM unnest(%b::bigint[], %b::bytea[]) WITH ORDINALITY AS t(first_position, hashes, n)"
            "ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
            (level, number, list(starts), joined),
            prepare=True,
        )
        self._read |= {(level, number + n): tile for n, tile in enumerate(joined)}

    def sign(self, size: int, position: int, keys: SigningKeys) -> Checkpoint:
        """Sign the tree as it is now, and keep that as the newest checkpoint."""
        checkpoint = Checkpoint.sign(size, self.root(size), keys)
        self.cursor.execute(
            "INSERT INTO log_checkpoint (size, position, note, sealed_at) "
            "VALUES (%s, %s, %s, clock_timestamp()) ON CONFLICT (newest) DO UPDATE SET "
            "size = excluded.size, position = excluded.position, note = excluded.note, "
            "sealed_at = excluded.sealed_at",
            (size, position, checkpoint.note),
            prepare=True,
        )
        return checkpoint

    def indexes(self, positions: Sequence[int]) -> list[int]:
        """Which leaves the events at these positions are; raises `NotSealed` when one is none."""
        sealed = self.sealed()
        self.cursor.execute(
            "SELECT notification_id AS position, number * %s + (SELECT count(*) FROM log_events "
            "WHERE notification_id >= first_position AND notification_id < e.notification_id) "
            "AS index FROM log_events AS e, LATERAL (SELECT number, first_position FROM log_tile "
            "WHERE level = 0 AND first_position <= e.notification_id ORDER BY first_position DESC "
            "LIMIT 1) AS tile WHERE notification_id = ANY(%s) AND notification_id <= %s",
            (WIDTH, list(positions), sealed.position if sealed else -1),
        )
        found = {row["position"]: int(row["index"]) for row in self.cursor.fetchall()}
        missing = next((position for position in positions if position not in found), None)
        if missing is not None:
            raise NotSealed(f"there is no sealed event at position {missing}")
        return [found[position] for position in positions]


def hashes(tile: bytes) -> list[bytes]:
    """The hashes of a tile, one by one."""
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def whole(row: Sequence[bytes]) -> bytes:
    """The hash over a row of hashes whose length is a power of two."""
    while len(row) > 1:
        row = parents(row)
    return row[0]
