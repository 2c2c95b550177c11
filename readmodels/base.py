"""The read database: DuckDB, one instance in a process, asked from any thread."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb

from readmodels.answer import Answer, answer, frame
from readmodels.digest import digest
from readmodels.guard import check
from readmodels.macros import known
from readmodels.mergers import MERGER
from readmodels.moments import MOMENT_OF, POSITION_AT
from readmodels.question import SECONDS_MAX, Deadline, Parameters, Question
from readmodels.schema import Table, quoted, text
from readmodels.views import RETRACTION, CustomField, View, view_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import polars as pl
    from duckdb import DuckDBPyConnection

PERSONAL = "personal"
"""Name, in SQL, of the file with the personal columns."""

STORAGE = "v1.5.0"
"""The layout of the files: the newest, for nothing but this DuckDB opens them."""

CHECKPOINT_AT = "64MB"
"""How long a write-ahead log gets before it is brought into its file. Each time the last 120,000
rows of every table are written anew, however few are new: with the 16 MB that DuckDB thinks of, it
was a fifth of what it costs to follow the log. After a crash so long a log is read in 0.7 seconds.
"""

FILLING_MEMORY = "300MB"
"""What DuckDB takes at most while tables are filled; what is more goes to a file beside them."""


CUSTOM_FIELDS = """
    SELECT aggregate, name, field_type, personal, explanation, unit
    FROM {stored}.custom_field_current WHERE field_type IS NOT NULL ORDER BY aggregate, name"""


class PersonalNotHere(Exception):
    """Personal columns are not kept here: this database was opened without keys."""


class Database:
    """Tables of a workspace as readers see them.

    Each question is asked on a connection of its own, over one snapshot. No statement reaches
    files, extensions or the network. Personal columns are at hand only where they are asked for.
    """

    def __init__(
        self, path: Path, personal: Path | None = None, *, read_only: bool = False
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.catalog = path.stem
        self.has_personal = personal is not None
        self.position = 0
        """How far the log has been followed, as told by who does."""
        self.moving = threading.Lock()
        """Held while the files move on, one after the other."""
        self.merged = False
        """Whether views follow records that were merged into others: not before there are some."""
        self._guard = threading.Lock()
        self._tables: dict[str, list[Table]] = {}
        self._root = duckdb.connect(
            str(path),
            read_only=read_only,
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "storage_compatibility_version": STORAGE,
                "checkpoint_threshold": CHECKPOINT_AT,
            },
        )
        self._root.execute("SET GLOBAL TimeZone = 'UTC'")
        if personal is not None:
            how = "READ_ONLY" if read_only else f"STORAGE_VERSION '{STORAGE}'"
            self._root.execute(f"ATTACH {text(str(personal))} AS {PERSONAL} ({how})")
        self._root.execute("SET GLOBAL python_enable_replacements = false")
        self._root.execute("SET GLOBAL enable_external_access = false")

    @property
    def catalogs(self) -> list[str]:
        """The names of the files in SQL."""
        return [self.catalog, PERSONAL] if self.has_personal else [self.catalog]

    def shown(self, catalog: str) -> list[Table]:
        """The tables that readers see of a file."""
        return self._tables[catalog]

    def connection(self) -> DuckDBPyConnection:
        """A connection of its own to the same instance."""
        with self._guard:
            return self._root.cursor()

    def show(self, tables: Sequence[Table], catalog: str | None = None) -> None:
        """Let readers see the tables stored in one of the files, from the next `refresh` on."""
        self._tables[catalog or self.catalog] = list(tables)

    def refresh(self) -> None:
        """Make what is missing of the views and macros of all that is shown, and of the reports.

        Custom fields may have been declared since: each is a column. And records may have been
        merged: to follow them doubles what it costs to plan a report, with or without any.
        """
        with self.connection() as connection:
            self.merged = self._any_merged(connection)
            for catalog, tables in self._tables.items():
                wanted = {"moment_of": MOMENT_OF.format(catalog=quoted(catalog))}
                for view in self._views(connection, catalog):
                    wanted[view.table.name] = ";\n".join(view.statements())
                if catalog == self.catalog:
                    wanted["position_at"] = POSITION_AT.format(catalog=quoted(catalog))
                    wanted |= known({table.name for table in tables})
                _make(connection, f"{quoted(catalog)}.stored.made", wanted)

    def views(self) -> list[View]:
        """What readers see of every table, custom fields included."""
        with self.connection() as connection:
            return [view for catalog in self._tables for view in self._views(connection, catalog)]

    def _views(self, connection: DuckDBPyConnection, catalog: str) -> list[View]:
        declared = self._custom_fields(connection)
        log = self.catalog
        there = {table.name: table for table in self._tables[log]}
        return [
            view_of(
                catalog,
                table,
                declared,
                log,
                retracted=RETRACTION in there,
                merged=self.merged,
                plain=there.get(table.name.removesuffix("_personal")) if table.personal else None,
            )
            for table in self._tables[catalog]
        ]

    def _any_merged(self, connection: DuckDBPyConnection) -> bool:
        if not any(table.name == MERGER for table in self._tables[self.catalog]):
            return False
        return bool(connection.execute(f"FROM stored.{MERGER} LIMIT 1").fetchall())

    def _custom_fields(self, connection: DuckDBPyConnection) -> list[CustomField]:
        if not any(table.name == "custom_field" for table in self._tables[self.catalog]):
            return []
        rows = connection.execute(CUSTOM_FIELDS.format(stored="stored"))
        return [CustomField(*row) for row in rows.fetchall()]

    def limit(self, *, memory_bytes: int, disk_bytes: int, threads: int) -> None:
        """What all questions together may use."""
        with self.connection() as connection:
            connection.execute(f"SET GLOBAL memory_limit = '{memory_bytes}B'")
            connection.execute(f"SET GLOBAL max_temp_directory_size = '{disk_bytes}B'")
            connection.execute(f"SET GLOBAL threads = {threads}")

    def leave_room(self) -> None:
        """Leave half of the processors to whoever takes commands in this process.

        Nor is a small batch spread over threads any more: to wake them cost it a fifth of its time
        on two cores.
        """
        with self.connection() as connection:
            connection.execute(f"SET GLOBAL threads = {max(1, (os.cpu_count() or 1) // 2)}")

    def query(
        self, sql: str, parameters: Parameters = None, *, personal: bool = False
    ) -> pl.DataFrame:
        """The answer to a question of ours."""
        with self._asking(personal=personal) as connection:
            return frame(connection.execute(sql, parameters))

    @contextmanager
    def asked(
        self, question: Question, deadline: Deadline, *, personal: bool = False
    ) -> Iterator[Answer]:
        """The answer to a question of anybody's, as it comes: all of it from one snapshot.

        Raises duckdb.Error, NotAllowed, QueryTimeout, Unpresentable; also while rows are fetched.
        """
        catalogs = [self.catalog, PERSONAL] if personal else [self.catalog]
        with self._asking(personal=personal) as connection, deadline.over(connection):
            position = self._begin(connection, catalogs)
            known_at = question.known_at
            if isinstance(known_at, datetime):
                [(known_at,)] = connection.execute("SELECT position_at(?)", [known_at]).fetchall()
            connection.execute("SET VARIABLE as_of = $1::TIMESTAMPTZ", [question.as_of])
            connection.execute("SET VARIABLE known_at = $1::BIGINT", [known_at])
            position = position if known_at is None else min(position, known_at)
            with deadline:
                check(connection, question.sql, question.parameters, catalogs)
                connection.execute(question.sql, question.parameters)
                found = answer(connection, position)
            yield replace(found, batches=deadline.each(found.batches))

    def _begin(self, connection: DuckDBPyConnection, catalogs: Sequence[str]) -> int:
        """Begin a transaction that sees all files at one position, and tell which."""
        with self.moving:
            connection.begin()
            for catalog in catalogs:
                connection.execute(f"SELECT count(*) FROM {quoted(catalog)}.stored.bookmark")
            return self.position

    def sql_as_of(
        self,
        sql: str,
        parameters: Parameters = None,
        *,
        as_of: datetime | None = None,
        known_at: int | datetime | None = None,
        personal: bool = False,
        seconds: float = SECONDS_MAX,
    ) -> pl.DataFrame:
        """The answer to a question of anybody's: one SELECT, which may look and not touch.

        With a time, or a position, every table and report named in it is that of the moment.
        """
        question = Question(sql, parameters, as_of, known_at)
        with self.asked(question, Deadline(seconds), personal=personal) as answered:
            return answered.frame()

    @contextmanager
    def _asking(self, *, personal: bool) -> Iterator[DuckDBPyConnection]:
        if personal and not self.has_personal:
            raise PersonalNotHere
        with self.connection() as connection:
            if personal:
                path = f"{quoted(self.catalog)}.main,{PERSONAL}.main"
                connection.execute(f"SET search_path = {text(path)}")
            yield connection

    def digests(self, *, values: bool = False) -> dict[str, str]:
        """A digest of each table, all of one snapshot; see `readmodels.digest`.

        What could not be opened depends on the keys at hand, and has none.
        """
        with self.connection() as connection:
            connection.begin()
            found = {
                table.name: digest(connection, catalog, table, values=values)
                for catalog, tables in self._tables.items()
                for table in tables
                if not (table.kind == "plain" and table.personal)
            }
            connection.rollback()
            return found

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Suit whoever fills the tables from threads of its own, and asks nothing meanwhile.

        Threads of DuckDB would only wait for each other: inserts then cost 3.5 microseconds a row
        of scores instead of 1.4. And what is written once need not be kept in memory.
        """
        settings = {"threads": "1", "memory_limit": f"'{FILLING_MEMORY}'"}
        with self.connection() as connection:
            for name, value in settings.items():
                connection.execute(f"SET GLOBAL {name} = {value}")
            try:
                yield
            finally:
                for name in settings:
                    connection.execute(f"RESET GLOBAL {name}")

    def checkpoint(self) -> None:
        """Bring what was committed from the write-ahead logs into the files."""
        with self.connection() as connection:
            for catalog in self._tables:
                connection.execute(f"CHECKPOINT {quoted(catalog)}")

    def close(self) -> None:
        """Close the files; questions under way fail."""
        with self._guard:
            self._root.close()


def _make(connection: DuckDBPyConnection, made: str, wanted: Mapping[str, str]) -> None:
    """Run the statements that were not run before, or that read otherwise then."""
    connection.begin()
    connection.execute(f"CREATE TABLE IF NOT EXISTS {made} (name VARCHAR, digest VARCHAR)")
    before = set(connection.execute(f"SELECT name, digest FROM {made}").fetchall())
    digests = {name: hashlib.sha256(sql.encode()).hexdigest() for name, sql in wanted.items()}
    new = {name: digest for name, digest in digests.items() if (name, digest) not in before}
    for name in new:
        connection.execute(wanted[name])
    if new:
        told = [list(new), list(new.values())]
        connection.execute(f"DELETE FROM {made} WHERE name IN (SELECT unnest(?))", told[:1])
        connection.execute(f"INSERT INTO {made} SELECT unnest(?), unnest(?)", told)
    connection.commit()
