"""Proofs: that an event is in the log that was signed, and that a log continues an older one."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg.sql import SQL

from eventstore.leaf import leaf_hashes
from eventstore.merkle import consistency_proof, inclusion_proof
from eventstore.tree import Tiles
from replay.base import ReplayError

if TYPE_CHECKING:
    from uuid import UUID

    from eventstore.log import Log


class NothingSealed(ReplayError):
    """Nothing was sealed yet: a server does so within a second, `backstory audit seal` at once."""


class NoSuchTree(ReplayError):
    """The sealed log never had so many events, or not before."""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That an event is leaf `index` of the tree that a checkpoint is about (RFC 9162, 2.1.3)."""

    position: int
    index: int
    size: int
    leaf_hash: str
    hashes: tuple[str, ...]
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Consistency:
    """That the first `old` leaves of a tree of `new` are what they were (RFC 9162, 2.1.4)."""

    old: int
    new: int
    old_root: str
    new_root: str
    hashes: tuple[str, ...]
    checkpoint: str


def checkpoint(log: Log) -> str:
    """The newest checkpoint, as a signed note."""
    with log.cursor() as cursor:
        return _newest(Tiles(cursor))[1]


def position_of(log: Log, event_id: UUID) -> int:
    """Where an event stands; raises `ReplayError` when there is none."""
    with log.cursor() as cursor:
        rows = log.envelopes.select_envelopes(cursor, SQL("event_id = %s"), (event_id,))
    if not rows or rows[0].position is None:
        raise ReplayError(f"there is no event {event_id}")
    return rows[0].position


def inclusion(log: Log, position: int) -> Inclusion:
    """Prove that the event at a position is in the sealed log; raises `NotSealed`."""
    with log.cursor() as cursor:
        tiles = Tiles(cursor)
        size, note = _newest(tiles)
        (index,) = tiles.indexes([position])
        leaf = leaf_hashes(log.read_arrow(position - 1, 1))[0]
        hashes = tuple(map(text, inclusion_proof(index, size, tiles.node)))
        return Inclusion(position, index, size, text(leaf), hashes, note)


def consistency(log: Log, old: int, new: int | None = None) -> Consistency:
    """Prove that the log of `new` events, or the newest one, continues that of `old` events."""
    with log.cursor() as cursor:
        tiles = Tiles(cursor)
        size, note = _newest(tiles)
        new = size if new is None else new
        if not 0 <= old <= new <= size:
            raise NoSuchTree(f"{size} events are sealed: give two numbers up to there, in order")
        hashes = tuple(map(text, consistency_proof(old, new, tiles.node)))
        roots = text(tiles.root(old)), text(tiles.root(new))
        return Consistency(old, new, *roots, hashes, note)


def _newest(tiles: Tiles) -> tuple[int, str]:
    sealed = tiles.sealed()
    if sealed is None:
        raise NothingSealed(NothingSealed.__doc__)
    return sealed.size, sealed.note


def text(hash_: bytes) -> str:
    """A hash as it is written."""
    return base64.b64encode(hash_).decode()
