"""Records that were merged into others, followed: what names them is shown as naming those.

The table of mergers is small, and most often empty, so a join with it costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from readmodels.schema import quoted, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from readmodels.schema import Table

MERGER = "merger"
"""The table of records that were merged into others."""

REFERS = {
    "customer_id": "customer",
    "parent_id": "customer",
    "contact_id": "contact",
    "member_id": "contact",
    "ticket_id": "ticket",
    "follow_up_of": "ticket",
}
"""Columns that name records which may be merged into others, and what these are."""


def references(table: Table) -> dict[str, str]:
    """Columns that name what may be merged; the members of a collection are the record's."""
    found = {c.name: REFERS[c.name] for c in table.columns if c.name in REFERS}
    about = {type_.split(".")[0] for type_ in table.events} & set(REFERS.values())
    return found | ({"id": about.pop()} if table.key and about else {})


def followed(
    rows: str, named: Mapping[str, str], log: str, moment: tuple[str, str], entity: Sequence[str]
) -> str:
    """Rows that name the survivors in place of what was merged into them.

    Of what was said both of a survivor and of what was merged into it the last word counts.
    """
    survivors = {name: f"coalesce({name}_.merged_into, seen.{name})" for name in named}
    if "parent_id" in survivors:
        survivors["parent_id"] = f"nullif({survivors['parent_id']}, seen.id)"
    shown = ", ".join(f"{survivor} AS {name}" for name, survivor in survivors.items())
    joined = " ".join(
        f"LEFT JOIN ({mergers(log, kind, *moment)}) AS {name}_ ON {name}_.id = seen.{name}"
        for name, kind in named.items()
    )
    seen = f"SELECT seen.* REPLACE ({shown}) FROM ({rows}) AS seen {joined}"
    if "id" not in named:
        return seen
    last = f"PARTITION BY {', '.join(map(quoted, entity))} ORDER BY valid_from DESC, position DESC"
    return f"SELECT * FROM ({seen}) QUALIFY row_number() OVER ({last}) = 1"


def borrowed(rows: str, names: Sequence[str], plain: str) -> str:
    """Personal values, those among them that stand in the row of a record merged into it.

    `plain` are the rows of the other columns: `<name>_from` says in which row a value stands.
    """
    pointers = ", ".join(f"{name}_from" for name in names)
    said = f"SELECT id, {pointers} FROM ({plain}) WHERE coalesce({pointers}) IS NOT NULL"
    shown = ", ".join(
        f"if(said.{name}_from IS NULL, seen.{name}, {name}_.{name}) AS {name}" for name in names
    )
    joined = " ".join(
        f"LEFT JOIN ({rows}) AS {name}_ ON {name}_.id = said.{name}_from" for name in names
    )
    return (
        f"SELECT seen.* REPLACE ({shown}) FROM ({rows}) AS seen "
        f"LEFT JOIN ({said}) AS said ON said.id = seen.id {joined}"
    )


def mergers(log: str, kind: str, as_of: str, known_at: str) -> str:
    """What is merged into what, as far as had begun and was known."""
    return (
        f"SELECT id, arg_max_null(merged_into, position) AS merged_into "
        f"FROM {quoted(log)}.stored.{MERGER} WHERE kind = {text(kind)} "
        f"AND ({as_of} IS NULL OR effective_at <= {as_of}) "
        f"AND ({known_at} IS NULL OR position <= {known_at}) "
        f"GROUP BY id HAVING arg_max_null(merged_into, position) IS NOT NULL"
    )
