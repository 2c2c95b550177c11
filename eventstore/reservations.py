"""Reservations: what only one stream may hold at a time, such as an e-mail address.

They are a fold like all else: a state says what it holds (`State.holds`), and what an event changes
of that is taken or freed at the position of the event. The table keeps keyed hashes, no values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventsourcing.persistence import IntegrityError

from domain.base import Refusal, State

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from eventstore.keys import Keyring
    from eventstore.transaction import Transaction


Claims = frozenset[tuple[str, str]]
"""Reservations as (kind, value)."""

NO_CLAIMS: Claims = frozenset()


class AlreadyHeld(Refusal):
    """Another record already has this {kind}."""


@dataclass(slots=True)
class Reservation:
    """One taken in this batch; indexes point into the batch's events."""

    kind: str
    hash: bytes
    stream_id: UUID
    taken: int
    freed: int | None = None


class Reservations:
    """What a batch takes and frees, on top of what the table holds."""

    turn: Transaction

    def __init__(self, keys: Keyring | None, *, careful: bool) -> None:
        self.keys = keys
        self.careful = careful
        self.taken: list[Reservation] = []
        self.freed: list[tuple[bytes, int]] = []
        self._open: dict[bytes, Reservation] = {}  # those of `taken` that were not freed again
        self._holders: dict[bytes, UUID | None] = {}
        self._unsure = False
        self._hashes: dict[tuple[str, str], bytes] = {}

    def hashes(self, claims: Iterable[tuple[str, str]]) -> tuple[bytes, ...]:
        """The keyed hashes that stand for reservations, each once."""
        return tuple(dict.fromkeys(self._keyed(kind, value) for kind, value in claims))

    def begin(self, turn: Transaction) -> None:
        """Know who holds what was sought; nobody, if the log does not say."""
        self.turn = turn
        holders = turn.known.holders
        self._holders = {hash_: holders.get(hash_) for hash_ in turn.sought.hashes}

    def holder(self, kind: str, value: str) -> UUID | None:
        """The stream that holds `value` now, this batch included."""
        hash_ = self._keyed(kind, value)
        if hash_ not in self._holders:
            self._holders[hash_] = self.turn.holders([hash_]).get(hash_)
        return self._holders[hash_]

    def changes(self, before: State[Any], after: State[Any]) -> tuple[Claims, Claims]:
        """What one event frees and takes."""
        if type(after).holds is State.holds:
            return NO_CLAIMS, NO_CLAIMS
        held, holds = tuple(before.holds()), tuple(after.holds())
        if held == holds:
            return NO_CLAIMS, NO_CLAIMS
        return frozenset(held).difference(holds), frozenset(holds).difference(held)

    def check(self, taken: Claims, freed: Claims, by: UUID) -> None:
        """Refuse what another stream holds.

        Unless `careful`, only what is known already is looked at: the unique index finds the rest,
        and the batch is then decided again, carefully.
        """
        for kind, value in sorted(taken - freed):
            hash_ = self._keyed(kind, value)
            holder = self.holder(kind, value) if self.careful else self._holders.get(hash_)
            if holder is not None and holder != by:
                raise AlreadyHeld(kind=kind)

    def apply(self, freed: Claims, taken: Claims, by: UUID, event: int) -> None:
        """Note what the batch's event number `event` changes."""
        for kind, value in sorted(freed):
            hash_ = self._keyed(kind, value)
            ours = self._open.pop(hash_, None)
            # Taken by another in this batch, before its holder let go: that was not looked up.
            self._unsure |= ours is not None and ours.stream_id != by
            if ours is not None:
                ours.freed = event
            else:
                self.freed.append((hash_, event))
            self._holders[hash_] = None
        for kind, value in sorted(taken):
            hash_ = self._keyed(kind, value)
            self.taken.append(Reservation(kind, hash_, by, event))
            self._open[hash_] = self.taken[-1]
            self._holders[hash_] = by

    def must_be_sure(self) -> None:
        """Raise the library's IntegrityError if somebody was given what another one held."""
        if self._unsure:
            raise IntegrityError("a reservation was held by another stream")

    def freed_at(self, positions: list[int]) -> list[tuple[bytes, int]]:
        """What ends in the table, given the positions of the batch's events."""
        return [(hash_, positions[event]) for hash_, event in self.freed]

    def taken_at(self, positions: list[int]) -> list[tuple[str, bytes, UUID, int, int | None]]:
        """What is new in the table, given the positions of the batch's events."""
        return [
            (
                r.kind,
                r.hash,
                r.stream_id,
                positions[r.taken],
                None if r.freed is None else positions[r.freed],
            )
            for r in self.taken
        ]

    def _keyed(self, kind: str, value: str) -> bytes:
        found = self._hashes.get((kind, value))
        if found is None:
            if self.keys is None:
                raise RuntimeError("reservations need the workspace's keys")
            found = self._hashes[kind, value] = self.keys.keyed_hash(kind, value)
        return found
