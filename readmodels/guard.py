"""What a reader's own SQL may do: look at the tables, and nothing else."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import duckdb

from readmodels.question import Unanswerable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from duckdb import DuckDBPyConnection

    from readmodels.question import Parameters

LEAVES = frozenset(
    "DUMMY_SCAN EXPRESSION_GET CHUNK_GET COLUMN_DATA_SCAN EMPTY_RESULT CTE_SCAN DELIM_GET UNNEST "
    "RANGE GENERATE_SERIES JSON_EACH JSON_TREE "
    "DUCKDB_TABLES DUCKDB_VIEWS DUCKDB_COLUMNS DUCKDB_FUNCTIONS DUCKDB_TYPES DUCKDB_SCHEMAS "
    "DUCKDB_KEYWORDS DUCKDB_INDEXES DUCKDB_SEQUENCES DUCKDB_CONSTRAINTS".split()
)
"""Where rows may come from beside tables; none of these tells of values in tables."""


class NotAllowed(Unanswerable):
    """The statement does more than look at tables its reader may see."""


def check(
    connection: DuckDBPyConnection, sql: str, parameters: Parameters, catalogs: Collection[str]
) -> None:
    """Refuse what is not one SELECT over tables of these catalogs.

    Not the text is judged but the plan, where views, macros and functions that take SQL or names
    of tables are resolved; and the plan before it is optimized, for a condition that is never
    true or a statistic takes tables out of it.
    """
    statements = duckdb.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise NotAllowed("one SELECT statement, and nothing else")
    connection.execute("SET explain_output = 'all'")
    try:
        plans = dict(connection.execute(f"EXPLAIN (FORMAT json)\n{sql}", parameters).fetchall())
    except duckdb.Error as error:
        own = re.sub(
            r"^LINE (\d+)", lambda line: f"LINE {int(line[1]) - 1}", str(error), flags=re.MULTILINE
        )
        raise type(error)(own) from None
    for leaf in _leaves(json.loads(plans["logical_plan"])):
        if leaf["name"].strip() == "SEQ_SCAN":
            table = leaf["extra_info"]["Table"]
            if _catalog(table) not in catalogs:
                raise NotAllowed(f"no access to {table}")
        elif leaf["name"].strip() not in LEAVES:
            raise NotAllowed(f"no use of {leaf['name'].strip().lower()}")


def _leaves(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in nodes:
        if node["children"]:
            yield from _leaves(node["children"])
        else:
            yield node


def _catalog(table: str) -> str:
    """The first part of a name such as `"tables-1".stored.lead_current`."""
    quoted = re.match(r'"((?:[^"]|"")*)"\.', table)
    return quoted[1].replace('""', '"') if quoted else table.split(".", 1)[0]
