"""The one way files become events: rows -> commands -> the group commit of the log.

Every row has an id (from its business key) and a version (from its values). The version tells both,
and stands in the envelope of all events it leads to, as causation; the run does as correlation. So
the log itself tells which rows it has, in which version and from which run, and an import needs no
books of its own. A row whose version is the last one the log has is skipped; a new one becomes its
commands; one with another version becomes one decision that leads from what is true to what the row
says now. What was taken back since does not count. Ids of commands follow from the version, so what
is asked twice is done once, however an import ended.
"""

from __future__ import annotations

from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from commands.base import handle
from commands.custom_fields import DeclareCustomField
from domain.custom_fields import custom_fields_id
from domain.user import SYSTEM
from eventstore.envelope import derived
from eventstore.intent import Context
from imports.again import SHARED
from imports.change import Change, fixed_differences
from imports.flight import Flight
from imports.past import BLANK, Past, Records, recorded, versions_of
from imports.report import Candidates, Errors, Progress, Summary, Tally
from imports.rows import Rows
from imports.runs import Entry
from imports.similar import Lookout
from imports.source import settled
from imports.spill import key_of
from imports.values import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from eventstore.intent import Writes
    from eventstore.log import Log
    from imports.feed import Feed
    from imports.flight import Outcome
    from imports.recipe import Step
    from imports.rows import Row

T = TypeVar("T")

CHUNK_ROWS = 500


class Import:
    """One run of a recipe over its feed; with a `Rehearsal` as the writer, a dry run."""

    def __init__(
        self,
        feed: Feed,
        log: Log,
        writer: Writes,
        *,
        actor: UUID = SYSTEM,
        errors: Errors | None = None,
        candidates: Candidates | None = None,
        progress: Progress | None = None,
    ) -> None:
        recipe = feed.recipe
        self.feed, self.recipe = feed, recipe
        self.log, self.writer, self.actor = log, writer, actor
        self.errors = errors or Errors(None)
        self.candidates = candidates or Candidates(None)
        self.progress = progress or Progress()
        self._spill, self._rows = feed.spill, feed.rows
        self.entry = Entry(recipe, feed.files, log, writer, actor)
        self.summary = Summary(recipe.name, self.entry.id)
        self._flight = Flight(writer, actor, self.entry.id, self._landed)
        self._records = Records(log, recipe.referred_to, self._spill)
        self._now = datetime.now(UTC)
        self._tallies = [Tally() for _ in recipe.step]
        self._lookout = Lookout(recipe, log, self.candidates, self._tallies, self._flight.land_all)

    def run(self) -> Summary:
        """Do it; what is not taken is in `errors`, the rest in the log when this returns."""
        self.entry.start()
        self._declare_custom_fields()
        with self.feed, self._lookout:
            for together in [self._rows] if self.recipe.order else [[rows] for rows in self._rows]:
                self._take_all(together)
        self.entry.end(self.summary.total)
        self.summary.end()
        return self.summary

    def _take_all(self, together: Sequence[Rows]) -> None:
        """Deal with the rows of a step, or with those of all steps in their order."""
        first = {rows.step.file: rows for rows in reversed(self._rows)}
        for rows in together:
            self.summary.steps[rows.step.name] = self._tallies[rows.number]
            self._lookout.begin(rows.step, self.progress.known, long=rows.apart)
        name = together[0].step.name if len(together) == 1 else self.recipe.name
        self.progress.begin(name, sum(rows.size for rows in together))
        read = [
            rows.read(self.progress.read, first=rows is first[rows.step.file]) for rows in together
        ]
        for chunk in chunks(merge(*read, key=attrgetter("order")), CHUNK_ROWS):
            self._take(chunk)
            self.progress.done(len(chunk))
        self._flight.land_all()
        self._lookout.end()
        self.progress.end()

    def _step(self, row: Row) -> Step:
        return self.recipe.step[row.step]

    def _declare_custom_fields(self) -> None:
        at = settled(self.recipe.since, "moment")
        for aggregate, fields in self.recipe.custom.items():
            for name, field in fields.items():
                command = DeclareCustomField(
                    aggregate=aggregate,
                    name=name,
                    field_type=field.type,
                    unit=field.unit,
                    personal=field.personal,
                    description=field.description,
                )
                id_ = derived(self.feed.namespace, f"declare\x1f{command!r}")
                context = Context(
                    self.actor, self.entry.id, occurred_at=at, command_id=id_, once=True
                )
                stream_id = custom_fields_id(aggregate)
                handle(self.writer, command, stream_id, context).result()

    def _take(self, chunk: Sequence[Row]) -> None:
        """Deal with some rows: they fail, are there already, or go to the writer."""
        lacking = self._lacking(chunk)
        readable = [row for row in chunk if not row.reasons]
        past = versions_of(self.log, readable, self.entry.reverts)
        done = self._done(readable, past)
        for row in chunk:
            known, tally = past.get(row.id, BLANK), self._tallies[row.step]
            tally.rows += 1
            if reasons := row.reasons or lacking.get(row.id) or self._others(row, known, done):
                self._fail(row, reasons)
            elif row.id in done:
                tally.unchanged += 1
                tally.skipped += done[row.id]
                self._records.add(self._step(row).record, row.stream_id)
            else:
                try:
                    if known.revision(row.version):
                        self._ask_for_change(row, known)
                    else:
                        self._ask_for_new(row, known)
                except Unreadable as error:
                    self._fail(row, error.args)

    def _lacking(self, chunk: Sequence[Row]) -> dict[UUID, list[str]]:
        """What rows refer to and does not exist, by their ids."""
        wanted = [(row.id, *found) for row in chunk for found in row.refers]
        if not wanted:
            return {}
        absent = self._records.lacking(record for _, record, _ in wanted)
        lacking: dict[UUID, list[str]] = {}
        for row_id, record, told in wanted:
            if record in absent and told not in lacking.setdefault(row_id, []):
                lacking[row_id].append(told)
        return lacking

    def _done(self, chunk: Sequence[Row], past: Mapping[UUID, Past]) -> dict[UUID, int]:
        """Rows of which every command was obeyed before, with how many those are."""
        ids: dict[UUID, list[UUID]] = {}
        for row in chunk:
            known = past.get(row.id, BLANK)
            if known is BLANK and not row.event:
                continue
            here = known.versions[-1:] == (row.version,)
            if row.event and (here or not known.taken_back):
                ids[row.id] = [] if here else [row.event]  # it has one command, so all is there
            elif here:
                ids[row.id] = [derived(id_, "0") for id_ in command_ids(row, known)]
        there = recorded(self.log, [id_ for row_ids in ids.values() for id_ in row_ids])
        return {row_id: len(wanted) for row_id, wanted in ids.items() if there.issuperset(wanted)}

    def _others(self, row: Row, known: Past, done: Mapping[UUID, int]) -> list[str]:
        """Why a row that keeps the id of its record is not about that record."""
        if not row.event:
            return []
        if known.versions and known.versions[-1] != row.version:
            return ["the row was imported before, with other values; what happened stays so"]
        refused = key_of(derived(row.stream_id, "refused"))
        foreign = row.makes and known.latest and not known.taken_back and row.id not in done
        if foreign and self._step(row).ask[0].aggregate not in SHARED:
            self._spill.set_default(refused, 1)
            return [f"the record {row.stream_id} exists already, and is not the one exported"]
        if not row.makes and self._spill.has(refused):
            return [f"the record {row.stream_id} that exists is not the one exported"]
        return []

    def _ask_for_new(self, row: Row, known: Past) -> None:
        """Ask the commands of a new row, each at its own time."""
        asked = [one for one in row.asked if one.ask.new]
        commands = [one.command() for one in asked]
        self._must_have_happened(*(one.at for one in asked))
        if asked and not known.versions and self._lookout.leaves_out(row, commands[0]):
            return
        latest, answers = known.latest, []
        for one, command, id_ in zip(asked, commands, command_ids(row, known), strict=True):
            at, happened = one.at, one.at or self._now
            clipped = at is not None and latest is not None and at < latest
            latest = happened if latest is None else max(happened, latest)
            event_id = None if known.taken_back else row.event or one.event_id
            answer = self._flight.ask(row, command, at, id_, clipped=clipped, event_id=event_id)
            answers.append(answer)
        self._flight.add(row, answers, known=False)

    def _ask_for_change(self, row: Row, known: Past) -> None:
        """Ask for what a row says now, as one decision at the latest time it names."""
        changes = [(one.at, one.command()) for one in row.asked if one.ask.changed]
        commands = tuple(command for _, command in changes)
        for creating in (one for one in row.asked if one.ask.of.creates):
            created = self.log.read_stream(row.stream_id)[0]
            if differences := fixed_differences(creating, created, commands):
                raise Unreadable(*differences)
        at = max((at for at, _ in changes if at is not None), default=None)
        self._must_have_happened(at)
        remedies = {one.ask.if_refused: one.command() for one in row.asked if one.ask.if_refused}
        change = Change(self._step(row).ask[0].of.of, commands, remedies)
        clipped = at is not None and known.latest is not None and at < known.latest
        [id_] = command_ids(row, known)
        answer = self._flight.ask(row, change, at, id_, clipped=clipped)
        self._flight.add(row, [answer], known=True)

    def _must_have_happened(self, *moments: datetime | None) -> None:
        for moment in filter(None, moments):
            if moment > self._now:
                raise Unreadable(f"{moment:%Y-%m-%d %H:%M} is yet to come; events have happened")

    def _landed(self, outcome: Outcome) -> None:
        """Count what became of a row."""
        tally = self._tallies[outcome.row.step]
        tally.commands += outcome.commands
        tally.skipped += outcome.skipped
        tally.events += outcome.events
        tally.clipped += outcome.clipped
        exists, refused = bool(outcome.events), bool(outcome.reasons)
        self._lookout.landed(outcome.row, exists=exists, refused=refused)
        if refused:
            self._fail(outcome.row, outcome.reasons)
            return
        self._records.add(self._step(outcome.row).record, outcome.row.stream_id)
        if not outcome.events:
            tally.unchanged += 1
        elif outcome.known:
            tally.changed += 1
        else:
            tally.imported += 1

    def _fail(self, row: Row, reasons: Iterable[str]) -> None:
        self._tallies[row.step].failed += 1
        self.errors.add(self._step(row), row.line, "; ".join(reasons))


def command_ids(row: Row, known: Past) -> list[UUID]:
    """The ids of the commands a row leads to in its version: of each, or of the one change."""
    again = f"again {known.taken_back}." if known.taken_back else ""
    if revision := known.revision(row.version):
        return [derived(row.version, f"{again}{revision}")]
    new = [one for one in row.asked if one.ask.new]
    if again:
        return [derived(row.version, f"{again}0.{one.number}") for one in new]
    return [one.id for one in new]


def chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Up to `size` items at a time."""
    while chunk := list(islice(items, size)):
        yield chunk
