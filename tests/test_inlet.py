"""Rows are put into a table by a statement that is planned once, whatever happens in between."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from projections.inlet import MANY_ROWS, Inlet

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = pl.Schema({"number": pl.Int64(), "name": pl.String(), "document": pl.String()})


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("CREATE TABLE kept (number BIGINT CHECK (number >= 0), name VARCHAR)")
        opened.execute("ALTER TABLE kept ADD COLUMN document JSON")
        yield opened


def inlet(connection: duckdb.DuckDBPyConnection) -> Inlet:
    return Inlet(connection, "kept", "kept", SCHEMA, {"document"})


def rows(numbers: range) -> pl.DataFrame:
    names = [f"a name too long to be stored in place, of {number}" for number in numbers]
    documents = [f'{{"n":{number}}}' if number % 3 else None for number in numbers]
    return pl.DataFrame([list(numbers), names, documents], SCHEMA)


def kept(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    return connection.execute("FROM kept ORDER BY number").pl().cast(dict(SCHEMA))


def test_few_rows_and_many_arrive_as_they_are(connection: duckdb.DuckDBPyConnection):
    into = inlet(connection)
    ends = (0, 1, 20, 20 + MANY_ROWS, 25 + MANY_ROWS, 3 * MANY_ROWS, 3 * MANY_ROWS)
    for begin, end in pairwise(ends):
        into.put(rows(range(begin, end)))
    assert kept(connection).equals(rows(range(ends[-1])))


def test_views_may_be_made_in_between(connection: duckdb.DuckDBPyConnection):
    into = inlet(connection)
    for number in range(4):
        into.put(rows(range(10 * number, 10 * number + 10)))
        connection.execute(f"CREATE VIEW seen_{number} AS FROM kept")
    assert kept(connection).equals(rows(range(40)))


def test_rows_that_are_refused_do_not_come_with_the_next(connection: duckdb.DuckDBPyConnection):
    into = inlet(connection)
    into.put(rows(range(5)))
    with pytest.raises(duckdb.ConstraintException):
        into.put(rows(range(-1, 5)))
    into.put(rows(range(5, 9)))
    assert kept(connection).equals(rows(range(9)))


def test_after_a_rollback_there_is_another_way_in(connection: duckdb.DuckDBPyConnection):
    connection.begin()
    into = inlet(connection)
    into.put(rows(range(5)))
    connection.rollback()
    into = inlet(connection)
    into.put(rows(range(3)))
    assert kept(connection).equals(rows(range(3)))
