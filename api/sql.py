"""Doors for analysts: any SELECT, answered in the format that `Accept` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.answers import WAIT_SECONDS, About, about, position_of
from api.asking import Asked
from api.auth import Caller
from api.body import Door, only_known_parameters
from api.problems import FormatUnknown, problems
from api.questions import Relayed
from api.reads import in_sql, noted
from readmodels.formats import MEDIA_TYPES, Format
from readmodels.question import SECONDS_MAX

if TYPE_CHECKING:
    from api.node import Node

SQL_LENGTH_MAX = 100_000
PARAMETERS_MAX = 1_000
ROWS_MAX = 10_000_000
JSON_ROWS_MAX = 10_000

router = APIRouter(tags=["analysis"], route_class=Door)


class Sql(BaseModel):
    """One SELECT, as DuckDB has it, and what its parameters stand for."""

    model_config = ConfigDict(extra="forbid")

    sql: str = Field(
        min_length=1,
        max_length=SQL_LENGTH_MAX,
        examples=["SELECT stage, sum(amount) FROM deal WHERE owner = $owner GROUP BY stage"],
    )
    parameters: dict[str, Any] | list[Any] = Field(
        default=[],
        max_length=PARAMETERS_MAX,
        description="By name for `$name`, in order for `?`.",
    )


def preferred(accept: str) -> Format:
    """The format that is wanted most of those named in an `Accept` header."""
    known = {kind.split(";")[0]: how for how, kind in MEDIA_TYPES.items()}
    known |= {"*/*": Format.json, "application/*": Format.json, "text/*": Format.csv}
    wanted: list[tuple[float, Format]] = []
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        if kind in known and weight.replace(".", "", 1).isdigit() and float(weight):
            wanted.append((float(weight), known[kind]))
    if not wanted:
        raise FormatUnknown(formats=", ".join(kind.split(";")[0] for kind in MEDIA_TYPES.values()))
    return max(wanted, key=lambda one: one[0])[1]


async def format_asked(accept: Annotated[str, Header(max_length=1000)] = "*/*") -> Format:
    """The format an answer is wanted in."""
    return preferred(accept)


AskedAbout = Annotated[About, Depends(about)]
FormatAsked = Annotated[Format, Depends(format_asked)]


async def relayed(
    request: Request, caller: Caller, when: About, how: Format, sql: str, **more: Any
) -> Response:
    """The answer of the read node to a question, never older than what other doors show."""
    node: Node = request.app.state.node
    known_at = None if when.known_at is None else await position_of(request, when.known_at)
    recorded = await noted(request, caller, (), in_sql(sql)) if caller.personal else {}
    asked = Asked(
        sql=sql,
        as_of=when.as_of,
        known_at=known_at,
        min_position=max(when.min_position, known_at or node.follower.position),
        wait_seconds=WAIT_SECONDS,
        personal=caller.personal,
        format=how,
        seconds=SECONDS_MAX,
        **more,
    )
    turn = request.app.state.turns.of(caller.actor)
    return Relayed(node.questions, asked, turn, request.url, recorded)


def documented(schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a door that answers in every format."""
    content: dict[str, Any] = {MEDIA_TYPES[how].split(";")[0]: {} for how in Format}
    content[MEDIA_TYPES[Format.json]] = {"schema": schema}
    told = {"description": "The position in the log that the answer speaks of."}
    headers = {"X-Position": told | {"schema": {"type": "integer"}}}
    done = {"description": "The answer", "content": content, "headers": headers}
    return {200: done, **problems(401, 404, 406, 422, 429, 503)}


COLUMNS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "type": {"type": "string"}},
    },
}
ITEMS = {"type": "array", "items": {"type": "object", "additionalProperties": True}}


@router.post(
    "/sql",
    operation_id="sql",
    summary="SQL",
    response_class=Response,
    responses=documented(
        {
            "type": "object",
            "required": ["position", "columns", "items", "complete"],
            "properties": {
                "position": {"type": "integer"},
                "columns": COLUMNS,
                "items": ITEMS,
                "complete": {
                    "type": "boolean",
                    "description": "False: there are more rows than `limit`.",
                },
            },
        }
    ),
)
async def sql(
    request: Request,
    caller: Caller,
    when: AskedAbout,
    how: FormatAsked,
    *,
    asked: Sql,
    limit: Annotated[
        int | None,
        Query(ge=1, le=ROWS_MAX, description="Rows at most; JSON 10,000 unless it is given."),
    ] = None,
) -> Response:
    """Ask the tables anything, in one SELECT: as they are, or as they were at a moment.

    The answer comes as JSON, CSV, Arrow (an IPC stream) or Parquet, whichever `Accept` names, all
    of it from one position in the log. With more rows than `limit` JSON says that it is not
    complete; the others break off, so that a part is never taken for the whole. A question may
    take 30 seconds, and its share of a memory of its own.
    """
    only_known_parameters(request)
    rows = limit or (JSON_ROWS_MAX if how is Format.json else ROWS_MAX)
    return await relayed(
        request, caller, when, how, asked.sql, parameters=asked.parameters, rows_max=rows
    )
