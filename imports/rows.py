"""The rows of a step: converted, and known by an id and a version.

The id of a row follows from its business key, the version from the values it leads to. So a row
that was imported before is found again, and a change in it is noticed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple, Self, get_type_hints
from uuid import UUID

from pydantic import ValidationError

from domain.values import NIL
from eventstore.envelope import derived, id_of
from imports import apart
from imports.files import Line, Table
from imports.source import Reading, as_text, columns_of, kind_of, settled
from imports.spill import key_of
from imports.values import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from commands.base import Command
    from imports.recipe import Ask, Condition, Recipe, Step
    from imports.source import Cells, Read, Reference
    from imports.spill import Spill


FIRST_HALF = (1 << 128) - (1 << 64)
NO_CELLS: Cells = {}

Packed = tuple[Any, ...]
"""A row as it goes from process to process."""


class Draft(NamedTuple):
    """A command as the cells of a row have it, not yet validated."""

    ask: Ask
    number: int
    at: datetime | None
    fields: dict[str, Any]
    custom: dict[str, Any] | None

    def asked(self, version: UUID) -> Asked:
        """The command of a row in a version, or what is wrong with it."""
        fields = self.fields if self.custom is None else {**self.fields, "custom": self.custom}
        try:
            wish: Command[Any] | str = self.ask.of(**fields)
        except ValidationError as error:
            wish = "; ".join(map(_told, error.errors()))
        id_ = derived(version, f"0.{self.number}")
        return Asked(self.ask, self.number, self.at, wish, id_, derived(id_, "0"))


class Asked(NamedTuple):
    """A command that a row asks."""

    ask: Ask
    number: int
    at: datetime | None
    wish: Command[Any] | str
    """The command, or the reasons why it is none."""
    id: UUID
    """That of the command, if the row is new."""
    event_id: UUID
    """That of its first event then."""

    def command(self) -> Command[Any]:
        """The command; raises `Unreadable` with every reason why it is none."""
        if isinstance(self.wish, str):
            raise Unreadable(self.wish)
        return self.wish


class Row(NamedTuple):
    """A row, and the commands it leads to; or the reasons why it leads to none."""

    line: Line
    stream_id: UUID
    id: UUID
    version: UUID
    asked: tuple[Asked, ...]
    refers: tuple[tuple[UUID, str], ...] = ()
    """The records of other steps it refers to, and what to say if there is none."""
    reasons: tuple[str, ...] = ()
    step: int = 0
    """The number of its step."""
    order: int = 0
    """Its place among the rows of all files, where the recipe says so."""
    event: UUID | None = None
    """The id its event has, if it keeps that."""
    actor: UUID | None = None
    """In whose name it asks, if not in that of who imports."""

    @property
    def makes(self) -> bool:
        """Whether it asks for a record to be made."""
        return any(one.ask.of.creates and one.ask.new for one in self.asked)

    def packed(self) -> Packed:
        """All but the cells, in few and simple things: to make things again is what takes time."""
        line, stream_id, row_id, version, asked, *rest = self
        wishes = [
            (number, at, id_.int, event_id.int, wish if isinstance(wish, str) else wish.__dict__)
            for _, number, at, wish, id_, event_id in asked
        ]
        ids = stream_id.int, row_id.int, version.int
        return line.number, line.record, *ids, wishes, *rest

    @classmethod
    def unpacked(cls, said: Packed, step: Step) -> Self:
        """What was packed of a row of a step."""
        number, record, stream_id, row_id, version, wishes, *rest = said
        asked = []
        for which, at, id_, event_id, wish in wishes:
            ask = step.ask[which]
            made = wish if isinstance(wish, str) else _made(ask, wish)
            asked.append(Asked(ask, which, at, made, id_of(id_), id_of(event_id)))
        ids = id_of(stream_id), id_of(row_id), id_of(version)
        return cls(Line(number, record, NO_CELLS), *ids, tuple(asked), *rest)


def _made(ask: Ask, fields: dict[str, Any]) -> Command[Any]:
    """A command that was checked before, as unpickling makes it, in a third of the time."""
    made: Command[Any] = ask.of.__new__(ask.of)
    rest = {"__pydantic_extra__": None, "__pydantic_private__": None}
    made.__setstate__({"__dict__": fields, "__pydantic_fields_set__": ask.given, **rest})
    return made


def version_of(row_id: UUID, digest: str) -> UUID:
    """The id of a row with certain values: its first half tells the row, its second the values."""
    return UUID(int=row_id.int & FIRST_HALF | derived(row_id, digest).int & ~FIRST_HALF)


class Rows:
    """The rows of one step."""

    def __init__(
        self, recipe: Recipe, step: Step, reading: Reading, path: Path | None, spill: Spill
    ) -> None:
        self.recipe, self.step, self.reading = recipe, step, reading
        self.spill = spill
        self.number = recipe.step.index(step)
        self._order = 0
        self.asks = [AskOfRow(recipe, ask, n, reading) for n, ask in enumerate(step.ask)]
        takes_all = any(ask.takes_all_custom for ask in step.ask)
        declared = recipe.custom.get(step.ask[0].aggregate, {}) if takes_all else {}
        self._keeps = [name for name in ("id", "event", "by") if getattr(step, name) is not None]
        self._custom = [
            (name, reading.reader(field.source, field.type)) for name, field in declared.items()
        ]
        needed = [column for ask in self.asks for column in ask.columns]
        needed += [column for field in declared.values() for column in columns_of(field.source)]
        if step.file:
            needed += [*step.columns, *([recipe.order] if recipe.order else [])]
        self.table = Table(recipe, path, needed) if path else None
        self.size = path.stat().st_size if path else 0
        self.apart = self.size >= apart.BYTES_MIN and not recipe.order
        """Whether they are worth a process of their own."""
        self._reader: apart.Reader | None = None

    def begin(self) -> None:
        """Have the process start that reads them, which takes half a second."""
        self._reader = apart.Reader()

    def end(self) -> None:
        """Have it end."""
        if self._reader is not None:
            self._reader.end()

    def read(self, tell: Callable[[int], None], *, first: bool) -> Iterator[Row]:
        """Every row that the step is about; `tell` hears how many characters were read.

        Lines that cannot be told apart into cells are told by the `first` step on a file only.
        A long file is read by another process, which checks the commands as well.
        """
        if self.table is None or not self.apart:
            return self.read_here(tell, first=first)
        work = apart.Work(self.recipe, self.number, self.reading, self.table.path, first)
        return self._read_apart(work, tell)

    def _read_apart(self, work: apart.Work, tell: Callable[[int], None]) -> Iterator[Row]:
        reader = self._reader or apart.Reader()
        try:
            for said in reader.rows(work, tell):
                yield Row.unpacked(said, self.step)
        finally:
            reader.end()

    def read_here(self, tell: Callable[[int], None], *, first: bool) -> Iterator[Row]:
        """`read`, in this process."""
        if self.table is None:
            yield self._row(Line(1, b"{}", {}), self.step.key)
            return
        lines = self.table.lines(tell)
        for line in _parents_first(lines, self.step) if self.step.after else lines:
            if line.problem:
                if first:
                    problem = Row(line, NIL, NIL, NIL, (), (), (line.problem,), self.number)
                    yield problem._replace(order=self._order)
            elif holds(self.step.when, line.cells):
                key = line.cells[self.step.key]
                yield self._row(line, None if key is None else as_text(key))

    def _row(self, line: Line, key: str | None) -> Row:
        reasons: list[str] = [] if key else [f"{self.step.key} is missing: it names the row"]
        kept = {name: self._id(line.cells, name, reasons) for name in self._keeps}
        self._order = self._place(line.cells, reasons)
        custom = _read(self._custom, line.cells, reasons)
        drafts = [
            ask.of(line.cells, custom, reasons)
            for ask in self.asks
            if holds(ask.ask.when, line.cells)
        ]
        # What is asked once is not remembered: 17 MB.
        stream_id = kept.get("id") or Reading.id_of(self.reading, self.step.record, key or "")
        row_id = derived(self.reading.namespace, f"row of {self.step.name}\x1f{key}")
        version = version_of(row_id, _digest(custom, drafts))
        if self.spill.set_default(key_of(row_id), key_of(version)) != key_of(version):
            reasons.append(f"{self.step.key} {key!r} stands in this file before, with other values")
        asked, refers = ((), ()) if reasons else self._asks(line, drafts, version)
        own = (tuple(reasons), self.number, self._order, kept.get("event"), kept.get("by"))
        return Row(line, stream_id, row_id, version, asked, refers, *own)

    def _asks(
        self, line: Line, drafts: Sequence[Draft], version: UUID
    ) -> tuple[tuple[Asked, ...], tuple[tuple[UUID, str], ...]]:
        """The commands of a row, and the records of other steps that they name."""
        refers = [
            (draft.fields[name], name, source)
            for draft in drafts
            for name, source in draft.ask.references
            if source.ref != self.step.record and draft.fields[name] is not None
        ]
        told = tuple((id_, _absent(source, name, line.cells)) for id_, name, source in refers)
        return tuple(draft.asked(version) for draft in drafts), told

    def _id(self, cells: Cells, name: str, reasons: list[str]) -> UUID:
        """The id in the column that a step names under `name`."""
        column = getattr(self.step, name)
        text = cells[column]
        try:
            return UUID(as_text(text))
        except ValueError:
            what = "is missing" if text is None else f"{text!r} is no UUID"
            reasons.append(f"{column}: {what}; the recipe keeps this id")
            return NIL

    def _place(self, cells: Cells, reasons: list[str]) -> int:
        """Where a row stands among those of all files; one that cannot be told stays in place."""
        column = self.recipe.order
        if column is None:
            return 0
        found = as_text(cells[column])
        if not found.isdecimal() or int(found) < self._order:
            reasons.append(f"{column}: {found!r} is no number after {self._order}")
            return self._order
        return int(found)


class AskOfRow:
    """One command of a step, ready to be filled in from cells."""

    def __init__(self, recipe: Recipe, ask: Ask, number: int, reading: Reading) -> None:
        self.ask, self.number = ask, number
        hints = get_type_hints(ask.of, include_extras=True)
        declared = recipe.custom.get(ask.aggregate, {})
        custom = ask.custom or {}
        self._fields = [
            (name, reading.reader(source, kind_of(hints[name])))
            for name, source in ask.fields.items()
        ]
        self._custom = [
            (name, reading.reader(source, declared[name].type)) for name, source in custom.items()
        ]
        self._at = None if ask.at is None else reading.reader(ask.at, "moment")
        self._since = settled(recipe.since, "moment") if ask.of.creates else None
        sources = [*ask.fields.values(), *custom.values(), *([ask.at] if ask.at else [])]
        self.columns = [*ask.when, *(column for s in sources for column in columns_of(s))]

    def of(self, cells: Cells, custom: dict[str, Any], reasons: list[str]) -> Draft:
        """The command as a row asks it, with all `custom` fields or those the recipe lists.

        What cannot be read is added to `reasons`.
        """
        fields = _read(self._fields, cells, reasons)
        at = self._since
        if self._at is not None:
            at = _read([("at", self._at)], cells, reasons)["at"]
            if at is None and not reasons:
                reasons.append(f"{self.ask.command} has no date")
        if self.ask.takes_all_custom:
            return Draft(self.ask, self.number, at, fields, custom)
        own = _read(self._custom, cells, reasons) if self._custom else None
        return Draft(self.ask, self.number, at, fields, own)


def holds(when: Mapping[str, Condition], cells: Cells) -> bool:
    """Whether the conditions of a step or a command hold for a row."""
    for column, condition in when.items():
        value = cells[column]
        if condition is True or condition is False:
            if (value is not None) != condition:
                return False
        elif value is None or as_text(value) not in condition:
            return False
    return True


def _read(fields: Sequence[tuple[str, Read]], cells: Cells, reasons: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, read in fields:
        try:
            values[name] = read(cells)
        except Unreadable as error:
            values[name] = None
            if str(error) not in reasons:
                reasons.append(str(error))
    return values


def _digest(custom: dict[str, Any], drafts: Sequence[Draft]) -> str:
    wishes = [
        (one.number, one.at, one.fields, None if one.custom is custom else one.custom)
        for one in drafts
        if not one.ask.if_refused
    ]
    return hashlib.sha256(repr((custom, wishes)).encode()).hexdigest()


def _absent(source: Reference, name: str, cells: Cells) -> str:
    key = source.key or as_text(cells[source.column or ""])
    return f"{source.column or name}: there is no {source.ref} {key!r}"


def _told(error: Any) -> str:
    if error["input"] is None:
        return f"{error['loc'][0]} has no value"
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


def _parents_first(lines: Iterator[Line], step: Step) -> Iterator[Line]:
    """The rows in an order where a row comes after the one it names in the column `after`."""
    done: set[str | None] = {None}
    waiting: list[Line] = []
    for line in lines:
        if line.problem or line.cells[step.after or ""] in done:
            done.add(line.cells.get(step.key))
            yield line
        else:
            waiting.append(line)
    moved = True
    while waiting and moved:
        moved, again = False, []
        for line in waiting:
            if line.cells[step.after or ""] in done:
                done.add(line.cells[step.key])
                moved = True
                yield line
            else:
                again.append(line)
        waiting = again
    yield from waiting  # they name what is not in the file, or each other
