"""`GET /tables/NAME`: the rows of a table at a moment, chosen columns, filtered, by the page."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response

from api.answers import LIMIT_MAX, CursorText
from api.asking import PageAsked
from api.auth import Caller
from api.pages import opened, question
from api.problems import NotFound, ParameterInvalid, PersonalNotShown, TablesRenewed
from api.sql import COLUMNS, ITEMS, ROWS_MAX, AskedAbout, FormatAsked, documented, relayed
from readmodels.base import PERSONAL
from readmodels.formats import Format
from readmodels.query import beyond, ordering
from readmodels.schema import quoted
from replay.tables import DECLARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from api.node import Node

PAGE_ROWS = 100
IN_MAX = 1_000
COMPARED = {"": "=", "ne": "IS DISTINCT FROM", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
RESERVED = ("as_of", "known_at", "min_position", "columns", "limit", "cursor")

FOUND = """
    SELECT column_name AS name, data_type AS type, database_name AS catalog
    FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = $name ORDER BY column_index
"""

router = APIRouter(prefix="/tables", tags=["analysis"])


@dataclass(frozen=True, slots=True)
class Shown:
    """A table as its readers see it: its columns with their types."""

    name: str
    columns: Mapping[str, str]
    personal: bool

    @property
    def order(self) -> tuple[str, ...]:
        """Columns that put the rows in one order: as the log tells of them."""
        table = DECLARED.get(self.name.removesuffix("_history"))
        entity = table.entity if table and table.kind == "dimension" else ()
        return tuple(name for name in ("position", *entity) if name in self.columns)


@router.get(
    "/{name}",
    operation_id="table",
    summary="Table",
    response_class=Response,
    responses=documented(
        {
            "type": "object",
            "required": ["position", "columns", "items", "next"],
            "properties": {
                "position": {"type": "integer"},
                "columns": COLUMNS,
                "items": ITEMS,
                "next": {
                    "type": ["string", "null"],
                    "description": "The cursor of the next page.",
                },
            },
        }
    ),
)
async def table(
    request: Request,
    caller: Caller,
    when: AskedAbout,
    how: FormatAsked,
    *,
    name: Annotated[str, Path(pattern=r"^[a-z_]{1,80}$", examples=["deal", "deal_history"])],
    columns: Annotated[
        str | None, Query(max_length=10_000, description="Their names, with commas between.")
    ] = None,
    limit: Annotated[
        int | None,
        Query(ge=1, le=LIMIT_MAX, description="Rows of a page; JSON 100, others all of them."),
    ] = None,
    cursor: CursorText = None,
) -> Response:
    """The rows of a table, as they are or as they were, in the format that `Accept` names.

    Any column filters: `stage=proposal`, and with a suffix `amount__gte=1000`, also `__gt`,
    `__lt`, `__lte`, `__ne`, `stage__in=proposal,negotiation`, `owner__null=true`. Rows come in the
    order of the log, so that `position__gt` with the last position seen tells what is new. The
    next page is under `next`, and in the header `Link`.
    """
    node: Node = request.app.state.node
    seen = await to_thread.run_sync(shown, node, name, limiter=request.app.state.readers)
    if seen.personal and not caller.personal:
        raise PersonalNotShown
    chosen = _chosen(seen, columns)
    values: dict[str, Any] = {}
    conditions = list(_conditions(seen, request.query_params.multi_items(), values))
    paged = limit is not None or cursor is not None or how is Format.json
    if not paged:
        sql = _select(seen, chosen, (), conditions)
        return await relayed(request, caller, when, how, sql, parameters=values, rows_max=ROWS_MAX)
    about = question(request.url.path, request.query_params.multi_items())
    if cursor:
        begun = opened(node.keys, about, cursor, len(seen.order))
        conditions.append(beyond(seen.order))
        values |= {f"after_{number}": value for number, value in enumerate(begun.last)}
        when = replace(when, known_at=begun.position)
    rows = limit or PAGE_ROWS
    sql = f"{_select(seen, chosen, seen.order, conditions)} LIMIT {rows + 1}"
    page = PageAsked(about=about, keys=len(seen.order))
    return await relayed(
        request, caller, when, how, sql, parameters=values, rows_max=rows, page=page
    )


def shown(node: Node, name: str) -> Shown:
    """The table of this name."""
    with node.asking() as database:
        found = database.query(FOUND, {"name": name}).rows()
    if not found and name.removesuffix("_history") in node.tables.outdated:
        raise TablesRenewed
    if not found:
        raise NotFound(what="table", id=name)
    return Shown(name, {column: kind for column, kind, _ in found}, found[0][2] == PERSONAL)


def _chosen(seen: Shown, columns: str | None) -> Sequence[str]:
    chosen = [name.strip() for name in columns.split(",")] if columns else list(seen.columns)
    for name in chosen:
        _known(seen, name, "columns")
    return chosen


def _known(seen: Shown, name: str, parameter: str) -> str:
    if name not in seen.columns:
        raise ParameterInvalid(
            parameter=parameter,
            reason=f"{seen.name} has no column {name!r}; it has {', '.join(seen.columns)}",
        )
    return quoted(name)


def _conditions(
    seen: Shown, params: Sequence[tuple[str, str]], values: dict[str, Any]
) -> Iterator[str]:
    """What the parameters of the address say of the rows."""
    for given, value in params:
        if given in RESERVED:
            continue
        name, how = given, ""
        if given not in seen.columns and (parts := re.fullmatch(r"(.+)__([a-z]+)", given)):
            name, how = parts.groups()
        column, kind = _known(seen, name, given), seen.columns.get(name, "")
        if how == "null" and value in {"true", "false"}:
            yield f"{column} IS {'NOT ' if value == 'false' else ''}NULL"
            continue
        several = value.split(",")[:IN_MAX] if how == "in" else [value]
        if how != "in" and how not in COMPARED:
            raise ParameterInvalid(parameter=given, reason="no such comparison")
        places = [f"given_{len(values) + number}" for number in range(len(several))]
        values |= dict(zip(places, several, strict=True))
        cast = [f"${place}::{kind}" for place in places]
        yield (
            f"{column} IN ({', '.join(cast)})"
            if how == "in"
            else (f"{column} {COMPARED[how]} {cast[0]}")
        )


def _select(
    seen: Shown, chosen: Sequence[str], order: Sequence[str], conditions: Sequence[str]
) -> str:
    """The rows with the columns chosen, and those of the cursor at the end."""
    keys = [f"{quoted(name)} AS {quoted(f'after {name}')}" for name in order]
    names = ", ".join([*map(quoted, chosen), *keys])
    where = " AND ".join(conditions) or "true"
    ordered = ordering(order) if order else ""
    return f"SELECT {names} FROM {quoted(seen.name)} WHERE {where} {ordered}"  # noqa: S608 - names are checked
