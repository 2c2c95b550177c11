"""Looking for records that a new row may be another of, by how alike they are.

Who is there already is read from the log when a step begins, and is known with everybody whom the
import adds. A row is looked for when it is certain what became of it and of all before it, so that
what is told depends on the rows alone; if it may be left out for that, then before it is asked.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from domain import EVENTS
from domain.base import HIDDEN
from imports.known import Known, KnownApart, Measure, Note

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from uuid import UUID

    from pydantic import BaseModel

    from eventstore.log import Log
    from imports.known import Candidate
    from imports.likeness import Compared
    from imports.recipe import Recipe, Step
    from imports.report import Candidates, Tally
    from imports.rows import Row

NOTES_AT_ONCE = 500
FIELDS: tuple[Compared, ...] = ("name", "email", "company", "phone")


class Lookout:
    """Who is known to an import, and which of its rows may be somebody known."""

    def __init__(
        self,
        recipe: Recipe,
        log: Log,
        told: Candidates,
        tallies: Sequence[Tally],
        land: Callable[[], None],
    ) -> None:
        self.recipe, self.log, self.told, self.tallies = recipe, log, told, tallies
        self.land = land
        self._known: Known | KnownApart = Known()
        self._under_way: dict[UUID, tuple[Row, Note]] = {}
        self._waiting: list[tuple[Row | None, Note]] = []
        self._asked: list[tuple[Row | None, Note]] = []

    def begin(self, step: Step, tell: Callable[[int], None], *, long: bool) -> None:
        """Get to know who is in the log; `tell` hears how many events were looked at.

        For rows of a `long` file, others are looked for by a process of its own.
        """
        if step.similar is None:
            return
        waits = step.similar.then == "skip"  # for each answer, so there would be nothing won
        if long and not waits and isinstance(self._known, Known) and self._known.blank:
            self._known = KnownApart()
        among = step.similar.among or (step.ask[0].aggregate,)
        types = [
            stored
            for stored, event in EVENTS.items()
            if stored.split(".")[0] in among
            and (set(FIELDS) & set(event.model_fields) or ".retracted." in stored)
        ]
        for recorded in self.log.read(types=types) if types else ():
            kind, event = recorded.event.type.split(".")[0], recorded.event
            stays = ".retracted." not in event.type
            self._note(Note(recorded.stream_id, kind, _fields(kind, event), stays=stays))
            tell(1)

    def leaves_out(self, row: Row, new: BaseModel) -> bool:
        """Whether a new row, which asks `new` first, is left out for whoever it may be.

        Otherwise it is looked for when it has landed.
        """
        step = self.recipe.step[row.step]
        if step.similar is None:
            return False
        kind: str = step.ask[0].aggregate
        measure = Measure(step.similar.weights, step.similar.at_least)
        note = Note(row.stream_id, kind, _fields(kind, new), row.line.number, measure)
        if step.similar.then == "skip":
            found = self._look(note)
            if any(one.of.id in self._under_way for one in found):
                self.land()  # what is not there yet may never be
                found = self._look(note)
            if found:
                self._tell(row, found)
                return True
            note = note._replace(measure=None)
            self._note(note)
        self._under_way.setdefault(row.stream_id, (row, note))
        return False

    def landed(self, row: Row, *, exists: bool, refused: bool) -> None:
        """A row became a record, or was refused, or was there already."""
        seen, note = self._under_way.pop(row.stream_id, (row, None))
        if note is None:
            return
        if note.measure is None:
            if refused and not exists:
                self._note(note._replace(stays=False))
        elif exists or refused:
            self._note(note._replace(stays=exists), seen)

    def end(self) -> None:
        """Wait until all who are noted have been looked for."""
        self._ask()
        self._hear()

    def _look(self, note: Note) -> list[Candidate]:
        """Who somebody may be of all who are known by now."""
        self.end()
        self._known.ask([note._replace(stays=False)])
        return self._known.answer()[0]

    def _note(self, note: Note, row: Row | None = None) -> None:
        self._waiting.append((row, note))
        if len(self._waiting) == NOTES_AT_ONCE:
            self._ask()

    def _ask(self) -> None:
        """Have notes taken; what becomes of them is heard when there are more."""
        self._hear()
        if self._waiting:
            self._known.ask([note for _, note in self._waiting])
            self._asked, self._waiting = self._waiting, []

    def _hear(self) -> None:
        if self._asked:
            for (row, _), found in zip(self._asked, self._known.answer(), strict=True):
                if row is not None and found:
                    self._tell(row, found)
            self._asked = []

    def _tell(self, row: Row, found: Sequence[Candidate]) -> None:
        step, tally = self.recipe.step[row.step], self.tallies[row.step]
        then = step.similar.then if step.similar else ""
        tally.similar += 1
        tally.left_out += then == "skip"
        for one in found:
            self.told.add(step, row.line, then, one)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Of an import that breaks off, those are looked for whom nobody will look for again."""
        try:
            if error is not None and self._under_way:
                with suppress(Exception):
                    self.land()
                    self.end()
        finally:
            self._known.close()


def _fields(kind: str, said: BaseModel) -> dict[str, Any]:
    """What an event or a command says of somebody; the name of a customer is that of a company."""
    named: dict[str, Any] = {
        field: getattr(said, field) for field in FIELDS if field in type(said).model_fields
    }
    if kind == "customer" and "name" in named:
        named["company"] = named.pop("name")
    return {field: None if value is HIDDEN else value for field, value in named.items()}
