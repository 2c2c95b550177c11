"""Records go out as the commands that lead to them again, one file per kind, and a recipe.

The log is read once, from its beginning, and each event becomes a row: the command that leads to
it (`again`), with its fields. The rows of all files have one order, that of the log. So importing
them is to ask again for all that was granted, in the same order, and the answers are the same.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from domain.contact import ContactArchived, ContactMerged, ContactUnmerged
from domain.customer import CustomerClosed, CustomerMerged, CustomerUnmerged
from domain.subject import SubjectHeld, SubjectReleased
from domain.ticket import TicketMerged, TicketUnmerged
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.reads import Read, ReadLog
from imports.again import (
    AGAIN,
    COMES_WITH,
    COMING_ALONG,
    FORGOTTEN,
    KINDS,
    NOT_AGAIN,
    OWN,
    TAKEN_BACK,
    UNDONE,
    kind_of,
)
from imports.asking import Asking, NotExported, columns_of_kind
from imports.report import Sheet
from imports.sheets import Sheets
from imports.spill import key_of
from imports.written import recipe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from domain.base import Event
    from eventstore.envelope import RecordedEvent
    from eventstore.log import Log
    from imports.again import Verb, Wish
    from imports.sheets import Format

RECIPE = "recipe.toml"
LEFT_OUT = "left_out.csv"
DOOR = "backstory export records"
WHATEVER_THE_TIME = ("user", "custom_fields", "pipeline")
"""Others need these, and many were written down later than what they are needed for."""

AGGREGATES = (*KINDS, "campaign_member", "subject")


class LeftOut(Sheet):
    """What is not exported, and why."""

    HEADER = ("kind", "id", "command", "why")


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    position: int
    personal: bool
    rows: Mapping[str, int]
    """By kind of record."""
    left_out: int
    """Records and changes that are not among them."""

    def as_dict(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "position": self.position,
            "personal": self.personal,
            "rows": sum(self.rows.values()),
            "kinds": dict(self.rows),
            "left_out": self.left_out,
        }


class Export:
    """One export of the records of a log, to a folder that is there and empty."""

    def __init__(
        self,
        log: Log,
        folder: Path,
        how: Format,
        *,
        personal: bool = False,
        actor: UUID = SYSTEM,
        as_of: datetime | None = None,
        known_at: int | None = None,
        only: tuple[str, ...] = KINDS,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.log = log if personal else log.without_keys()
        self.folder, self.how, self.personal, self.as_of = folder, how, personal, as_of
        last = log.last_position()
        self.until = last if known_at is None else min(known_at, last)
        self.only, self.actor, self.progress = only, actor, progress
        self._asking = Asking(self.log, personal=personal)
        self._sheets = Sheets(folder, how, self._asking.columns)
        self._left_out = LeftOut(folder / LEFT_OUT)
        self._verbs: dict[str, dict[str, Verb]] = {}
        self._taken_back: dict[UUID, tuple[int, str]] = {}
        self._merged: set[UUID] = set()
        self._holds: dict[UUID, dict[str, RecordedEvent]] = {}
        self._undone: dict[tuple[UUID, type[Event]], int] = {}
        self._before: RecordedEvent | None = None
        self._number = 0

    def run(self) -> Exported:
        """Write all files; the recipe is the last."""
        if self.personal:
            self._note()
        self._look_for_the_end()
        with self._left_out:
            for recorded in self.log.read(until=self.until, types=AGGREGATES):
                self._take(recorded)
                self._before = recorded
                self.progress(recorded.position)
            self._sheets.close()
            for id_, (_, kind) in self._taken_back.items():
                if kind in KINDS and self._asking.past.kind(id_) is None:
                    self._left_out.write(kind, id_, "", "it was taken back")
        verbs = {kind: self._verbs[kind] for kind in KINDS if kind in self._sheets.rows}
        text = recipe_text(verbs, self._asking.columns, self.how, personal=self.personal)
        (self.folder / RECIPE).write_text(text, encoding="utf-8")
        return Exported(self.until, self.personal, self._sheets.rows, self._left_out.count)

    def _note(self) -> None:
        """Record that personal values were read, before they are."""
        fields = {
            f"{kind}.{name}"
            for kind in self.only
            for name in self._asking.columns[kind].keys()
            - columns_of_kind(kind, personal=False).keys()
        }
        read = Read(self.actor, uuid7(), DOOR, (), tuple(sorted(fields)))
        with closing(ReadLog(self.log)) as noted:
            noted.note(read).result()

    def _look_for_the_end(self) -> None:
        """Where the log last took records back, and what was undone in others."""
        types = [event.type for event, why in NOT_AGAIN.items() if why == TAKEN_BACK]
        for recorded in self.log.read(until=self.until, types=types):
            if undone := UNDONE.get(type(recorded.event)):
                self._undone[recorded.stream_id, undone] = recorded.position
            else:
                kind = recorded.event.type.split(".")[0]
                self._taken_back[recorded.stream_id] = recorded.position, kind

    def _is_taken_back(self, recorded: RecordedEvent) -> bool:
        """Whether the record of an event, or just what it did, was taken back later."""
        end, _ = self._taken_back.get(recorded.stream_id, (0, ""))
        undone = self._undone.get((recorded.stream_id, type(recorded.event)), 0)
        return recorded.position < max(end, undone)

    def _take(self, recorded: RecordedEvent) -> None:
        """Write the row of an event, if it has one."""
        wish = AGAIN.get(type(recorded.event))
        if wish is None or self._is_taken_back(recorded):
            return
        if not self._happened(recorded, wish) or self._comes_along(recorded):
            return
        self._asking.past.hear(recorded)
        id_ = recorded.stream_id if wish.of == OWN else getattr(recorded.event, wish.of)
        verb = (
            wish.verbs[0] if wish.verbs[0].creates else wish.verb(self._asking.past.kind(id_) or "")
        )
        if verb is None:
            self._keep(recorded, id_)
            return  # the record is not exported, which was told
        kind = kind_of(verb)
        try:
            self._must_be_known(id_, verb)
            values = self._asking.fields(recorded, wish, verb)
        except NotExported as reason:
            self._left_out.write(kind, id_, verb.__name__, reason)
            return
        for lacking in self._asking.lacking:
            self._left_out.write(kind, id_, verb.__name__, lacking)
        if verb.creates:
            self._asking.past.made.set_default(key_of(id_), KINDS.index(kind))
        if kind in self.only:
            self._write(kind, verb, id_, recorded, values)
        self._heed(recorded)
        for held in self._holds.pop(id_, {}).values() if verb.creates else ():
            self._take(held)

    def _heed(self, recorded: RecordedEvent) -> None:
        """Who is merged can be unmerged; customers are closed, and contacts archived, as one."""
        match recorded.event:
            case CustomerMerged() | ContactMerged() | TicketMerged():
                self._merged.add(recorded.stream_id)
            case CustomerUnmerged() | ContactUnmerged() | TicketUnmerged():
                self._merged.discard(recorded.stream_id)

    def _keep(self, recorded: RecordedEvent, id_: UUID) -> None:
        """A legal hold outlives its record, which may begin again."""
        match recorded.event:
            case SubjectHeld(matter=matter):
                self._holds.setdefault(id_, {})[matter] = recorded
            case SubjectReleased(matter=matter):
                self._holds.get(id_, {}).pop(matter, None)

    def _write(
        self, kind: str, verb: Verb, id_: UUID, recorded: RecordedEvent, values: dict[str, Any]
    ) -> None:
        self._verbs.setdefault(kind, {})[verb.__name__] = verb
        self._number += 1
        row = {
            "number": self._number,
            "event": str(recorded.event_id),
            "at": recorded.occurred_at,
            "actor": str(recorded.actor),
            "id": str(id_),
            "command": verb.__name__,
        }
        self._sheets.add(kind, row | values)

    def _happened(self, recorded: RecordedEvent, wish: Wish) -> bool:
        """Whether an event, and all before it in its stream, had happened at the time asked for."""
        if self.as_of is None or kind_of(wish.verbs[0]) in WHATEVER_THE_TIME:
            return True
        key = key_of(recorded.stream_id)
        if recorded.occurred_at > self.as_of:
            self._asking.past.over.set_default(key, 1)
        return not self._asking.past.over.has(key)

    def _comes_along(self, recorded: RecordedEvent) -> bool:
        """Whether an event is part of the answer to a wish that another one stands for."""
        merged = recorded.stream_id in self._merged
        if isinstance(recorded.event, CustomerClosed | ContactArchived) and merged:
            return True
        if isinstance(recorded.event, CustomerUnmerged | ContactUnmerged | TicketUnmerged):
            return not merged  # the merger is not exported, which was told
        before = self._before
        return (
            type(recorded.event) in COMING_ALONG
            and before is not None
            and type(before.event) is COMES_WITH
            and (before.stream_id, before.version + 1) == (recorded.stream_id, recorded.version)
        )

    def _must_be_known(self, id_: UUID, verb: Verb) -> None:
        """Who was forgotten is not exported; a user goes on as somebody without a name."""
        if verb.creates and kind_of(verb) != "user" and id_ in self.log.forgotten.gone:
            raise NotExported(FORGOTTEN)
