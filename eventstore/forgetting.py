"""Who was forgotten: what the log says of it, heeded by every process that opens or writes.

A forgotten subject's key is destroyed in the transaction that appends `SubjectForgotten`. From then
on its values open nowhere, and nothing personal is taken in about it. Processes learn of it from
the log; so does whoever puts an older backup of the keys in place.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from psycopg.sql import SQL

from domain.base import Refusal
from domain.subject import NAMING, SubjectForgotten
from eventstore.mapper import PERSONAL, subject_of
from eventstore.naming import named_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg import Cursor
    from psycopg.abc import QueryNoTemplate
    from psycopg.rows import DictRow

    from domain.base import Event
    from eventstore.envelope import NewEvent
    from eventstore.log import Log

# The type is written out, so that the index of these few events serves.
READ = """
    SELECT notification_id AS position, state FROM {table}
    WHERE topic = 'subject.forgotten.v1' AND notification_id > %b ORDER BY notification_id
"""
DESTROY = "DELETE FROM subject_key WHERE subject = ANY(%b::uuid[])"
RELEASE = "DELETE FROM reservation WHERE stream_id = ANY(%b::uuid[]) AND kind = ANY(%b::text[])"
PERSONAL_KINDS = ("lead.email", "contact.email", "user.email")
"""Reservations that stand for personal values: who has the master key could guess at them."""


class SubjectIsForgotten(Refusal):
    """The record {id} was forgotten: nothing personal can be recorded about it any more."""


class Forgotten:
    """The keys that were destroyed and the records that stood under them, as far as heeded."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.position = 0
        self.key_ids: set[UUID] = set()
        self.gone: set[UUID] = set()
        """Those keys, and the records whose values stood under them."""
        self._guard = threading.Lock()

    def heed(self, cursor: Cursor[DictRow]) -> bool:
        """Learn of those forgotten since; whether there were any."""
        cursor.execute(SQL(READ).format(table=self.log.table), (self.position,), prepare=True)
        rows = cursor.fetchall()
        with self._guard:
            for row in rows:
                stored = orjson.loads(bytes(row["state"]))
                self.key_ids |= {UUID(id) for id in stored["key_ids"]}
                self.gone |= {UUID(id) for id in stored["record_ids"]} | self.key_ids
                self.position = max(self.position, row["position"])
        if rows and self.log.keys is not None:
            self.log.keys.destroyed(self.key_ids)
        return bool(rows)

    def reapply(self) -> int:
        """Destroy what should be destroyed and is there: after an older backup was put in place.

        Returns how many keys that were.
        """
        with self.log.cursor() as cursor:
            self.heed(cursor)
            if not self.key_ids:
                return 0
            cursor.execute(DESTROY, (list(self.key_ids),))
            return cursor.rowcount

    def refuse(self, event: Event, stream_id: UUID) -> None:
        """Raise SubjectIsForgotten if an event says something about a person who was forgotten."""
        if self.gone:
            _refuse(event, stream_id, self.gone)

    def destroying(
        self, events: Sequence[NewEvent]
    ) -> Iterator[tuple[QueryNoTemplate, Sequence[Any]]]:
        """The statements that destroy keys, for the transaction of the events which say so.

        Reservations of personal values go with them: the address is free for whoever comes.
        Raises SubjectIsForgotten if a later event of the same batch speaks of such a person.
        """
        gone: set[UUID] = set()
        for new in events:
            if isinstance(new.event, SubjectForgotten):
                gone.update(new.event.key_ids, new.event.record_ids)
                yield DESTROY, (list(new.event.key_ids),)
                yield RELEASE, (list(new.event.record_ids), list(PERSONAL_KINDS))
            elif gone:
                _refuse(new.event, new.stream_id, gone)


def _refuse(event: Event, stream_id: UUID, gone: set[UUID]) -> None:
    if any(getattr(event, name) for name in PERSONAL[type(event)]):
        named = {id for name, id in named_by(event).items() if name in NAMING}
        about = {stream_id, subject_of(event, stream_id), *named}
        for id in sorted(about & gone):
            raise SubjectIsForgotten(id=id)
