"""The log: every event of a workspace, in one order."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

import adbc_driver_postgresql.dbapi as adbc
import psycopg
from eventsourcing.application import Application
from eventsourcing.persistence import InterfaceError, InternalError, OperationalError
from eventsourcing.postgres import PostgresFactory
from eventsourcing.utils import Environment, EnvType, get_topic
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Composable

from domain.base import Event, State
from eventstore.envelope import RecordedEvent, StoredEnvelope
from eventstore.errors import Unavailable
from eventstore.forgetting import Forgotten
from eventstore.listener import Listener
from eventstore.mapper import CURRENT, LIFTED, EventMapper, subject_in
from eventstore.naming import STATES, Names
from eventstore.optimistic import OptimisticTransaction
from eventstore.recorder import Bookmarks, EnvelopeRecorder
from eventstore.transaction import Sought, Transaction, seek

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    import pyarrow as pa
    from eventsourcing.persistence import InfrastructureFactory, Mapper
    from eventsourcing.postgres import ConnectionPool, PostgresDatastore
    from psycopg import Cursor
    from psycopg.rows import DictRow

    from eventstore.envelope import NewEvent, Row
    from eventstore.keys import Keyring, Open
    from eventstore.optimistic import Presumed

T = TypeVar("T", bound=Transaction)

ARROW = """
    SELECT notification_id AS position, uuid_send(event_id) AS event_id,
        uuid_send(originator_id) AS stream_id, originator_version AS version, topic AS type,
        recorded_at, occurred_at, uuid_send(actor) AS actor,
        uuid_send(correlation_id) AS correlation_id, uuid_send(causation_id) AS causation_id,
        state AS data
    FROM "{schema}".log_events WHERE notification_id > {after} AND {which}
    ORDER BY notification_id LIMIT {limit}
"""
# The last two bytes of an id are chance, in whatever version of a UUID.
PART = """
    (get_byte(uuid_send(originator_id), 14) * 256 + get_byte(uuid_send(originator_id), 15))
    % {of} = {number}
"""
NOTHING_SOUGHT = Sought()
IN_ORDER = "-csearch_path={} -cenable_seqscan=off -cenable_sort=off"
"""Many events at once are read by the index too. PostgreSQL would rather sort a long log for it:
4.7 microseconds of waiting for each event, not 1.2."""

PAGE_ROWS = 2_000
CONNECT_SECONDS = 5
RECONNECT_SECONDS_MAX = 4.0
"""How long the pool tries for one connection. It waits twice as long after each attempt, so that
after an hour of outage it would let another one go by before it looked again."""

AWAY = (OperationalError, InterfaceError, InternalError)
"""What the library raises when the database cannot be reached, or cannot go on."""


class Log(Application[UUID]):
    """The events of one workspace: read in many ways, written only in a `transaction`.

    It is the library's `Application`, with our recorder (envelope columns) and our mapper (plain
    JSON, sealed personal fields). Safe to use from several threads.
    """

    def __init__(self, database_url: str, schema: str, keys: Keyring | None) -> None:
        self.schema = schema
        self.keys = keys
        self.conninfo = make_conninfo(database_url, options=f"-csearch_path={schema}")
        parts = conninfo_to_dict(database_url)
        super().__init__(
            {
                "POSTGRES_DBNAME": str(parts.get("dbname", "postgres")),
                "POSTGRES_HOST": str(parts.get("host", "")),
                "POSTGRES_PORT": str(parts.get("port", 5432)),
                "POSTGRES_USER": str(parts.get("user", "postgres")),
                "POSTGRES_PASSWORD": str(parts.get("password", "")),
                "POSTGRES_SCHEMA": schema,
                "POSTGRES_CONNECT_TIMEOUT": str(CONNECT_SECONDS),
                "POSTGRES_POOL_SIZE": "1",
                "POSTGRES_MAX_OVERFLOW": "15",
                "POSTGRES_IDLE_IN_TRANSACTION_SESSION_TIMEOUT": "60",
                "POSTGRES_ENABLE_DB_FUNCTIONS": "n",
                "APPLICATION_RECORDER_TOPIC": get_topic(EnvelopeRecorder),
            }
        )
        self.table = self.envelopes.table
        one = {"POSTGRES_POOL_SIZE": "1", "POSTGRES_MAX_OVERFLOW": "0"}
        self.turns = _factory(Environment("turns", self.env | one), schema).datastore
        """Where those have a connection whose turn it is to write: one after the other the same,
        for which PostgreSQL has at hand what it needs. A batch costs it a tenth less."""
        self.borrowed = False
        """Whether the connections are another one's, who will close them."""
        self.bookmarks = Bookmarks(self.envelopes.datastore)
        self.forgotten = Forgotten(self)
        self.names = Names(self)
        self._mine = threading.local()
        self._opened: list[Listener | adbc.Connection] = []

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """Only what is given here counts: stray environment variables configure nothing."""
        return Environment(name, dict(env or {}))

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        """PostgreSQL, with the workspace's schema as the search path of every connection."""
        return _factory(env, self.schema)

    def construct_mapper(self) -> Mapper[UUID]:
        """Plain JSON under explicit names."""
        return EventMapper(self.keys)

    def without_keys(self) -> Log:
        """The same log, with all that is personal `HIDDEN`; closed with this one."""
        hidden = copy(self)
        hidden.keys, hidden.mapper, hidden.borrowed = None, EventMapper(None), True
        return hidden

    @property
    def envelopes(self) -> EnvelopeRecorder:
        """The recorder, by its own type."""
        return cast("EnvelopeRecorder", self.recorder)

    @property
    def pools(self) -> tuple[ConnectionPool[Any], ...]:
        """The connections for questions, and the one for turns to write."""
        return self.envelopes.datastore.pool, self.turns.pool

    @contextmanager
    def transaction(self, sought: Sought = NOTHING_SOUGHT) -> Iterator[Transaction]:
        """The turn to write: locked, committed when the block ends, rolled back if it raises.

        What is `sought` is looked up at its beginning.
        """
        with self._turn(partial(Transaction, sought=sought)) as turn:
            yield turn

    @contextmanager
    def optimistic(self, presumed: Presumed) -> Iterator[OptimisticTransaction]:
        """The turn to write, locked only at its end; raises Outdated if all is not as presumed."""
        with self._turn(partial(OptimisticTransaction, presumed=presumed)) as turn:
            yield turn

    @contextmanager
    def _turn(self, kind: Callable[[Log, Cursor[DictRow]], T]) -> Iterator[T]:
        turn: T | None = None
        try:
            with self._connection(self.turns) as connection:
                turn = kind(self, connection.cursor())
                with turn:
                    yield turn
        except BaseException:
            if turn is not None and self.keys is not None:
                self.keys.forget_cached(turn.keys_made)
            raise

    @contextmanager
    def cursor(self) -> Iterator[Cursor[DictRow]]:
        """A cursor on the workspace's schema, each statement its own transaction."""
        with (
            self._connection(self.envelopes.datastore) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor

    def state_of(self, event: Event) -> type[State[Any]]:
        """The state an event belongs to."""
        return STATES[type(event)]

    def rows(self, events: Iterable[NewEvent]) -> list[Row]:
        """Events as rows; the keys of their subjects have to be loaded."""
        row = cast("EventMapper", self.mapper).row
        return [row(new) for new in events]

    def heads(self, streams: Iterable[UUID]) -> dict[UUID, int]:
        """The newest version of each stream just now; a stream without events is at 0."""
        with self.cursor() as cursor:
            return seek(cursor, Sought(tuple(streams))).heads

    def last_position(self) -> int:
        """Position of the newest event; 0 when there is none."""
        with self.cursor() as cursor:
            cursor.execute(SQL("SELECT max(notification_id) AS p FROM {}").format(self.table))
            row = cursor.fetchone()
            return int(row["p"] or 0) if row else 0

    def position_at(self, moment: datetime) -> int:
        """Position of the last event recorded at or before `moment`; 0 when there is none."""
        with self.cursor() as cursor:
            cursor.execute(
                SQL(
                    "SELECT coalesce(max(notification_id), 0) AS p FROM {} WHERE recorded_at <= %s"
                ).format(self.table),
                (moment,),
            )
            row = cursor.fetchone()
            return int(row["p"]) if row else 0

    def read_stream(self, stream_id: UUID, after_version: int = 0) -> list[RecordedEvent]:
        """The events of one stream, in order, after a version."""
        with self.cursor() as cursor:
            self.forgotten.heed(cursor)
            return self.stream_in(cursor, stream_id, after_version)

    def stream_in(
        self, cursor: Cursor[DictRow], stream_id: UUID, after_version: int
    ) -> list[RecordedEvent]:
        """`read_stream`, in the transaction of `cursor`."""
        where = SQL("originator_id = %s AND originator_version > %s ORDER BY originator_version")
        rows = self.envelopes.select_envelopes(cursor, where, (stream_id, after_version))
        return self.open_rows(cursor, rows)

    def read(
        self,
        after: int = 0,
        *,
        until: int | None = None,
        limit: int | None = None,
        stream: UUID | None = None,
        types: Sequence[str] = (),
        actor: UUID | None = None,
    ) -> Iterator[RecordedEvent]:
        """Events in the order of the log, a page in memory at a time.

        `types` are stored types such as `lead.qualified.v1`, or aggregates such as `lead`.
        """
        conditions: list[Composable] = [SQL("notification_id > %s")]
        values: list[Any] = [after]
        for condition, value in (
            ("notification_id <= %s", until),
            ("originator_id = %s", stream),
            ("actor = %s", actor),
            ("(topic = ANY(%s) OR split_part(topic, '.', 1) = ANY(%s))", list(types) or None),
        ):
            if value is not None:
                conditions.append(SQL(condition))
                values += [value, value] if isinstance(value, list) else [value]
        where = SQL(" AND ").join(conditions) + SQL(" ORDER BY notification_id LIMIT %s")
        left = limit
        while left is None or left > 0:
            page = PAGE_ROWS if left is None else min(PAGE_ROWS, left)
            with self.cursor() as cursor:
                self.forgotten.heed(cursor)
                rows = self.envelopes.select_envelopes(cursor, where, [*values, page])
                recorded = self.open_rows(cursor, rows)
            yield from recorded
            if len(rows) < page:
                return
            values[0] = recorded[-1].position
            left = None if left is None else left - len(rows)

    def open_rows(
        self, cursor: Cursor[DictRow], rows: Sequence[StoredEnvelope]
    ) -> list[RecordedEvent]:
        """Rows as events, the keys they need fetched in one statement."""
        if self.keys is not None:
            self.keys.load(cursor, _subjects(rows), make=False)
        decode = self.mapper.to_domain_event
        return [cast("RecordedEvent", decode(row)) for row in rows]

    def unseal(self, subjects: Sequence[UUID]) -> Iterator[Open | None]:
        """What opens the personal values of each of these subjects: see `Keyring.opens`."""
        if self.keys is None:
            raise ValueError("the workspace was opened without its keys")
        with self.cursor() as cursor:
            self.forgotten.heed(cursor)
            return self.keys.opens(cursor, subjects)

    def read_arrow(self, after: int, limit: int, part: tuple[int, int] | None = None) -> pa.Table:
        """Rows after a position as one Arrow table, ids as bytes, `data` undecoded.

        With `part`, a number and of how many, only those of the streams in that part.
        """
        which = PART.format(number=int(part[0]), of=int(part[1])) if part else "true"
        # The schema's name was checked when the workspace was opened.
        statement = ARROW.format(
            schema=self.schema, after=int(after), limit=int(limit), which=which
        )
        try:
            connection = getattr(self._mine, "connection", None)
            if connection is None:
                conninfo = make_conninfo(self.conninfo, options=IN_ORDER.format(self.schema))
                connection = self._mine.connection = adbc.connect(conninfo, autocommit=True)
                self._opened.append(connection)
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetch_arrow_table()
        except adbc.Error as error:
            # A connection that was lost stays lost: the next read makes a new one.
            self._disconnect()
            raise Unavailable(str(error)) from error

    def wait(self, after: int, timeout: float) -> int:
        """The newest position, as soon as it is after `after`; 0 when `timeout` seconds pass.

        It is told of commits and of their positions (LISTEN), and looks for itself every quarter
        of a second, so that a lost notice costs no more than that.
        """
        listener: Listener | None = getattr(self._mine, "listener", None)
        if listener is None:
            listener = self._mine.listener = Listener(self)
            self._opened.append(listener)
        try:
            return listener.wait(after, timeout)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise Unavailable(str(error)) from error

    def wait_no_more(self) -> None:
        """Let go of the connection on which this thread hears of commits, until it waits again.

        Nobody may listen without reading: what he is told would fill the memory of PostgreSQL.
        """
        listener = self._mine.__dict__.pop("listener", None)
        if listener is not None:
            self._opened.remove(listener)
            listener.close()

    @contextmanager
    def _connection(self, datastore: PostgresDatastore) -> Iterator[psycopg.Connection[DictRow]]:
        """A connection of a pool; that the database is away is told in our own words."""
        connection: psycopg.Connection[DictRow] | None = None
        try:
            with datastore.get_connection() as connection:
                yield connection
        except AWAY as error:
            if connection is not None and connection.closed:
                # Where one connection was lost the others were, most likely.
                for pool in self.pools:
                    pool.drain()
            raise Unavailable(str(error)) from error

    def _disconnect(self) -> None:
        """Close the connection of this thread for Arrow tables."""
        mine = self._mine.__dict__.pop("connection", None)
        if mine is not None:
            self._opened.remove(mine)
            with suppress(adbc.Error):
                mine.close()

    def close(self) -> None:
        """Close every connection; the threads that read have to be done."""
        if self.borrowed:
            return
        while self._opened:
            self._opened.pop().close()
        self.turns.close()
        super().close()


def _factory(env: Environment, schema: str) -> PostgresFactory:
    factory = PostgresFactory(env)
    kwargs = cast("dict[str, Any]", factory.datastore.pool.kwargs)
    kwargs["options"] = f"-csearch_path={schema}"
    factory.datastore.pool.reconnect_timeout = RECONNECT_SECONDS_MAX
    return factory


def _subjects(rows: Sequence[StoredEnvelope]) -> Iterator[UUID]:
    for row in rows:
        event = CURRENT.get(row.topic) or LIFTED.get(row.topic, (None, None))[1]
        subject = subject_in(row.state, event, cast("UUID", row.originator_id)) if event else None
        if subject is not None:
            yield subject
