"""Which events name a record: the way from a person to all that was recorded about them.

Nothing is kept for it, for nobody but those who forget or report on a person need it. It is looked
for in the log, and only what came since is looked for while other writers wait.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from uuid import UUID

import orjson
from psycopg.sql import SQL

from domain import AGGREGATES, EVENTS, events_of
from domain.subject import NAMING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from psycopg import Cursor
    from psycopg.rows import DictRow

    from domain.base import Event, State
    from eventstore.log import Log

TAIL_MAX = 5_000
"""How many positions may be looked through while other writers wait: some milliseconds."""

PAGE_ROWS = 20_000
FEW_IDS = 8
"""So few are sooner found by the database, byte by byte."""

KEPT_MAX = 20_000
"""Of so many ids it is kept what was found: those that a rule of retention has forgotten at once,
and those that go with them."""

NOTHING_FOUND: tuple[int, list[Naming]] = (0, [])

STATES: dict[type[Event], type[State[Any]]] = {
    event: of for of in AGGREGATES for event in events_of(of)
}
SOUGHT = NAMING | {"parent_id"}
"""Fields that name records; a company is not about the one it belongs to."""

NAMES: dict[str, tuple[type[State[Any]], tuple[str, ...]]] = {
    stored: (STATES[event], tuple(sorted(SOUGHT & event.model_fields.keys())))
    for event in EVENTS.values()
    if SOUGHT & event.model_fields.keys()
    for stored in (event.type, *event.lifts)
}
"""By stored type: whose events they are, and the fields by which they name records."""

SELECT = """
    SELECT notification_id AS position, originator_id AS stream_id, topic, state
    FROM {table} WHERE notification_id > %b AND topic = ANY(%b::text[]) {which}
    ORDER BY notification_id LIMIT %b
"""


class Naming(NamedTuple):
    """A stream with an event that names records, and all that this event names."""

    of: type[State[Any]]
    stream_id: UUID
    fields: Mapping[str, UUID]
    """The records by the fields that name them."""

    @property
    def names(self) -> frozenset[UUID]:
        """The records it names."""
        return frozenset(self.fields.values())


class NamesFarBehind(Exception):
    """What names these records has to be looked for first; nothing was decided yet."""

    def __init__(self, ids: frozenset[UUID]) -> None:
        self.ids = ids
        super().__init__(len(ids))


class Names:
    """What names which records, as far as it was looked for last."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self._found: OrderedDict[UUID, tuple[int, list[Naming]]] = OrderedDict()
        self._guard = threading.Lock()

    def look(self, ids: frozenset[UUID]) -> list[Naming]:
        """Look through the log as it is; others may write meanwhile.

        Many ids at once cost little more than one.
        """
        until, found = self._known(ids)
        last = self.log.last_position()
        found += self._after(until, ids)
        with self._guard:
            for id, (_, namings) in _by_id(ids, found).items():
                self._found[id] = (last, namings)
                self._found.move_to_end(id)
            while len(self._found) > max(KEPT_MAX, len(ids)):
                self._found.popitem(last=False)
        return found

    def under_lock(
        self, cursor: Cursor[DictRow], ids: frozenset[UUID], last: int
    ) -> Iterator[Naming]:
        """All that names them; raises NamesFarBehind where that would keep others waiting."""
        until, found = self._known(ids)
        if last - until > TAIL_MAX:
            raise NamesFarBehind(ids)
        yield from found
        while rows := self._page(cursor, until, ids):
            yield from _naming(rows, ids)
            until = rows[-1]["position"]

    def _known(self, ids: frozenset[UUID]) -> tuple[int, list[Naming]]:
        """How far all of these were looked for, and what was found of them."""
        with self._guard:
            known = [self._found.get(id, NOTHING_FOUND) for id in ids]
        until = min((until for until, _ in known), default=0)
        return until, _once(naming for _, found in known for naming in found)

    def _after(self, after: int, ids: frozenset[UUID]) -> Iterator[Naming]:
        while True:
            with self.log.cursor() as cursor:
                rows = self._page(cursor, after, ids)
            if not rows:
                return
            yield from _naming(rows, ids)
            after = rows[-1]["position"]

    def _page(self, cursor: Cursor[DictRow], after: int, ids: frozenset[UUID]) -> list[DictRow]:
        few = len(ids) <= FEW_IDS
        patterns = [f"%{id}%".encode() for id in ids] if few else []
        which = SQL("AND state LIKE ANY(%b::bytea[])" if few else "")
        cursor.execute(
            SQL(SELECT).format(table=self.log.table, which=which),
            [after, list(NAMES), *([patterns] if few else []), PAGE_ROWS],
            binary=True,
        )
        return cursor.fetchall()


def named_by(event: Event) -> dict[str, UUID]:
    """The records an event names beside that of its stream, by its fields."""
    _, fields = NAMES.get(event.type, (None, ()))
    found = ((name, getattr(event, name)) for name in fields)
    return {name: id for name, id in found if id is not None}


def _once(found: Iterable[Naming]) -> list[Naming]:
    return list(
        {(naming.stream_id, *sorted(naming.fields.items())): naming for naming in found}.values()
    )


def _by_id(ids: frozenset[UUID], found: Iterable[Naming]) -> dict[UUID, tuple[int, list[Naming]]]:
    sorted_out: dict[UUID, tuple[int, list[Naming]]] = {id: (0, []) for id in ids}
    for naming in _once(found):
        for id in naming.names & ids:
            sorted_out[id][1].append(naming)
    return sorted_out


def _naming(rows: Iterable[DictRow], ids: frozenset[UUID]) -> Iterator[Naming]:
    for row in rows:
        of, fields = NAMES[row["topic"]]
        try:
            stored = orjson.loads(row["state"])
            named = {name: stored.get(name) for name in fields}
            named = {name: UUID(id) for name, id in named.items() if id is not None}
        except (ValueError, AttributeError):
            continue  # an event that cannot be read names nobody; `verify` tells of it
        if ids & set(named.values()):
            yield Naming(of, cast("UUID", row["stream_id"]), named)
