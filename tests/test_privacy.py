"""What is about a person stands sealed in the log, and in the clear only where it belongs.

A search that finds nothing proves little: the same search has to find every value where it is
meant to be.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import psycopg
import pytest

from cli.demo.history import history, tell
from domain.base import HIDDEN
from eventstore.workspace import Workspace
from eventstore.writer import Writer
from projections.tables import Tables
from tests.databases import empty_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEPS = 2_500
SHORT = 4
"""Shorter words stand in many places by chance."""


@pytest.fixture(scope="module")
def workspace(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """One workspace for the module: it is only read."""
    folder = tmp_path_factory.mktemp("privacy")
    with empty_database(postgres_url) as url, Workspace.open(folder, url) as opened:
        yield opened


@pytest.fixture(scope="module")
def personal(workspace: Workspace) -> set[str]:
    """A part of the demo, told and projected; every personal text in it."""
    with Writer(workspace.log) as writer:
        tell(history(datetime(2026, 7, 1, tzinfo=UTC))[:STEPS], writer, lambda _: None)
    tables = Tables(workspace.directory, workspace.log.unseal)
    while len(batch := workspace.log.read_arrow(tables.position, 5_000)):
        tables.apply(batch)
    tables.close()
    found = set()
    for recorded in workspace.log.read():
        for name in recorded.event.personal_fields():
            value = getattr(recorded.event, name)
            assert value is not HIDDEN
            texts = value.values() if isinstance(value, dict) else [value]
            found |= {text for text in texts if isinstance(text, str) and len(text) > SHORT}
    assert len(found) > 600
    assert any("@" in text for text in found)
    return found


def test_no_personal_value_stands_in_postgresql(workspace: Workspace, personal: set[str]):
    stored = dump(workspace.database_url)
    assert "new business" in stored.casefold()  # the name of the pipeline: the search works
    assert {text for text in personal if text in stored} == set()


def test_analysts_find_no_personal_value(workspace: Workspace, personal: set[str]):
    (main,) = workspace.directory.glob("tables-*.duckdb")
    cells = decoded(main)
    assert "New business" in cells
    assert personal & cells == set()
    everything = "\n".join(cells)
    assert {text for text in personal if text in everything} == set()


def test_every_personal_value_stands_where_it_belongs(workspace: Workspace, personal: set[str]):
    (second,) = workspace.directory.glob("personal-*.duckdb")
    everything = "\n".join(decoded(second))
    assert {text for text in personal if text not in everything} == set()


def test_no_personal_value_stands_in_the_bytes_of_the_analysts_file(
    workspace: Workspace, personal: set[str]
):
    (main,) = workspace.directory.glob("tables-*.duckdb")
    stored = main.read_bytes()
    assert {text for text in personal if text.encode() in stored} == set()


def dump(database_url: str) -> str:
    """Every row of every table, as text; bytes are decoded."""
    out = io.StringIO()
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname LIKE 'backstory%'"
        ).fetchall()
        assert len(tables) > 5
        for schema, table in tables:
            for row in connection.execute(f'SELECT * FROM "{schema}"."{table}"'):
                for value in row:
                    text = value.decode(errors="replace") if isinstance(value, bytes) else value
                    out.write(f"{text}\n")
    return out.getvalue()


def decoded(path: Path) -> set[str]:
    """Every cell of every table of a DuckDB file, as text."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal"
        ).fetchall()
        return {
            str(value)
            for schema, table in tables
            for row in connection.execute(f'FROM "{schema}"."{table}"').fetchall()
            for value in row
            if value is not None
        }
