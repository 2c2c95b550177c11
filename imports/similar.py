"""Looking for records that a new row may be another of, by how alike they are.

Who is there already is read from the log when the step begins, and goes with everybody whom the
step adds into the spill: found by keyed hashes, sealed, and gone with the process. No table of the
workspace learns of any of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from domain import EVENTS
from domain.base import HIDDEN
from imports.likeness import Compared, Traits, keys, score, traits

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from pydantic import BaseModel

    from eventstore.log import Log
    from imports.recipe import Similar, Step
    from imports.report import Candidates
    from imports.rows import Row
    from imports.spill import Spill

BLOCK_MAX = 30
"""Of more who have one thing in common, those known first are compared."""

TOLD_MAX = 5
"""So many candidates of a row are told, the likest first."""

FIELDS: tuple[Compared, ...] = ("name", "email", "company", "phone")


class Somebody(NamedTuple):
    """A record that is known."""

    id: UUID
    kind: str
    row: int | None
    """In the file of this import, if it came from there."""
    traits: Traits


class Candidate(NamedTuple):
    """A record that a row may be another of."""

    of: Somebody
    score: float
    likeness: dict[Compared, float]

    @property
    def why(self) -> str:
        """What is how alike, such as `name 0.94, phone 1.00`."""
        return ", ".join(f"{field} {share:.2f}" for field, share in self.likeness.items())


class Lookout:
    """Who is known to a step, and which of its rows may be somebody known."""

    def __init__(
        self, step: Step, log: Log, spill: Spill, told: Candidates, land: Callable[[], None]
    ) -> None:
        self.step, self.similar, self.log, self.spill = step, step.similar, log, spill
        self.told, self.land = told, land
        self._kind: str = step.ask[0].aggregate
        self._number = 0
        self._under_way: set[UUID] = set()

    def begin(self, tell: Callable[[int], None]) -> None:
        """Get to know who is in the log; `tell` hears how many events were looked at."""
        if self.similar is None:
            return
        among = self.similar.among or (self._kind,)
        types = [
            stored
            for stored, event in EVENTS.items()
            if stored.split(".")[0] in among
            and (set(FIELDS) & set(event.model_fields) or ".retracted." in stored)
        ]
        if not types:
            return
        for recorded in self.log.read(types=types):
            if ".retracted." in recorded.event.type:
                self._forget(recorded.stream_id)
            else:
                kind = recorded.event.type.split(".")[0]
                self._meet(recorded.stream_id, kind, recorded.event)
            tell(1)

    def sees(self, row: Row, new: BaseModel) -> tuple[bool, bool]:
        """Whether a new row may be somebody known, and whether it is left out for that."""
        similar = self.similar
        if similar is None:
            return False, False
        found = self._candidates(similar, row, new)
        if any(one.of.id in self._under_way for one in found):
            self.land()  # what is not there yet may never be
            found = self._candidates(similar, row, new)
        for one in found:
            self.told.add(self.step, row.line, similar.then, one)
        if found and similar.then == "skip":
            return True, True
        self._meet(row.stream_id, self._kind, new, row.line.number)
        self._under_way.add(row.stream_id)
        return bool(found), False

    def landed(self, id_: UUID, *, exists: bool) -> None:
        """A row that was seen became a record, or did not."""
        if id_ in self._under_way:
            self._under_way.remove(id_)
            if not exists:
                self._forget(id_)

    def _meet(self, id_: UUID, kind: str, said: BaseModel, row: int | None = None) -> None:
        """Know a record, or what is new about it."""
        given = _fields(kind, said)
        key = self._key(id_)
        known: Somebody | None = self.spill.get(key)
        if known is not None:
            self._forget(id_)
            kept = {name: trait for name, trait in known.traits.items() if name not in given}
            row = known.row
        else:
            kept = {}
        somebody = Somebody(id_, kind, row, {**kept, **traits(given)})
        self.spill.put(key, somebody)
        self.spill.block(key, self._hashes(somebody.traits))

    def _forget(self, id_: UUID) -> None:
        key = self._key(id_)
        if known := self.spill.get(key):
            self.spill.drop(key, self._hashes(known.traits))

    def _candidates(self, similar: Similar, row: Row, new: BaseModel) -> list[Candidate]:
        """Whom a row may be, the likest first."""
        wanted = traits(_fields(self._kind, new))
        found: list[Candidate] = []
        for somebody in self.spill.near(self._hashes(wanted), BLOCK_MAX):
            share, each = score(wanted, somebody.traits, similar.weights)
            if share >= similar.at_least and somebody.id != row.stream_id:
                found.append(Candidate(somebody, share, each))
        return sorted(found, key=lambda one: (-one.score, one.of.id))[:TOLD_MAX]

    def _key(self, id_: UUID) -> int:
        """A number for each record, rising in the order they became known."""
        number = self.spill.set_default(self.spill.hash(f"known {id_}"), self._number + 1)
        self._number = max(self._number, number)
        return number

    def _hashes(self, known: Traits) -> list[int]:
        return [self.spill.hash(key) for key in keys(known)]


def _fields(kind: str, said: BaseModel) -> dict[str, Any]:
    """What an event or a command says of somebody; the name of a customer is that of a company."""
    named: dict[str, Any] = {
        field: getattr(said, field) for field in FIELDS if field in type(said).model_fields
    }
    if kind == "customer" and "name" in named:
        named["company"] = named.pop("name")
    return {field: None if value is HIDDEN else value for field, value in named.items()}
