"""How a query gets a door: `answer`; and the three every kind of record has: `show`."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator

from api.auth import Caller
from api.body import only_known_parameters
from api.pages import Cursor, opened, question
from api.problems import NotFound, PositionNotReached, problems
from api.reads import in_rows, noted
from domain.values import INTEGER_MAX
from projections.base import Dimension
from readmodels import query as asking
from readmodels.units import unit_of
from replay.base import ReplayError, known, moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.auth import Identity
    from api.node import Node
    from projections.follower import Follower

WAIT_SECONDS = 2.0
LIMIT_MAX = 1000
POSITION = "X-Position"
"""The header that tells what position an answer speaks of."""

NEXT = "X-Next"
"""The header that tells the cursor of the next page."""


def _readable(read: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> str:
        try:
            read(text)
        except ReplayError as error:
            raise ValueError(str(error)) from None
        return text

    return AfterValidator(check)


Position = Annotated[int, Query(ge=0, le=INTEGER_MAX)]
CursorText = Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")]
Time = Annotated[str, Query(max_length=40), _readable(moment)]
Known = Annotated[str, Query(max_length=40), _readable(known)]


@dataclass(frozen=True, slots=True)
class About:
    """The moment a query is about, and where the tables have to be."""

    as_of: datetime | None
    known_at: int | datetime | None
    min_position: int


@dataclass(frozen=True, slots=True)
class When(About):
    """The moment a query is about, and how much of the answer is wanted."""

    limit: int
    cursor: str | None


async def about(
    *,
    request: Request,
    as_of: Annotated[
        Time | None,
        Query(description="Only what had happened by then: a time; a date means its end."),
    ] = None,
    known_at: Annotated[
        Known | None,
        Query(description="Only what the log knew by then: a position in it, or a time."),
    ] = None,
    min_position: Annotated[
        Position, Query(description="Wait until the tables have come this far: 2 s, then 503.")
    ] = 0,
) -> About:
    """The parameters of every question."""
    zone = request.app.state.node.zone
    return About(
        moment(as_of, zone) if as_of else None,
        known(known_at, zone) if known_at else None,
        min_position,
    )


async def when(
    *,
    request: Request,
    about: Annotated[About, Depends(about)],
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 100,
    cursor: CursorText = None,
) -> When:
    """The parameters every query takes."""
    only_known_parameters(request)
    return When(about.as_of, about.known_at, about.min_position, limit, cursor)


def answer(router: APIRouter, path: str, query: asking.Query) -> None:
    """Open a door for a query: `GET <router><path>`, with the parameters it declares."""

    async def door(
        request: Request, caller: Caller, asked: Annotated[When, Depends(when)], **given: Any
    ) -> Response:
        return await answered(request, query, asked, given, caller)

    own = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=type_,
            default=inspect.Parameter.empty if f"{{{name}}}" in path else None,
        )
        for name, type_ in query.parameters.items()
    ]
    common = list(inspect.signature(door, eval_str=True).parameters.values())[:-1]
    door.__signature__ = inspect.Signature([*common, *own])  # type: ignore[attr-defined]
    router.add_api_route(
        path,
        door,
        methods=["GET"],
        response_model=None,
        name=query.name,
        operation_id=query.name,
        summary=query.name.replace("_", " ").capitalize(),
        description=query.description,
        responses={200: _documented(query), **problems(401, 404, 422, 503)},
    )


def show(router: APIRouter, dimension: Dimension) -> None:
    """Open the doors to records of a kind: which there are, each one, and its history."""
    tables = [shape.table for shape in dimension.shapes]
    many, one, history = asking.records(tables[0], tables[1] if tables[1:] else None)
    answer(router, "", many)
    answer(router, "/{id}", one)
    answer(router, "/{id}/history", history)


async def answered(
    request: Request, query: asking.Query, asked: When, given: dict[str, Any], caller: Identity
) -> Response:
    """Ask the tables, at one position for all pages, and tell what they say."""
    node: Node = request.app.state.node
    about = question(request.url.path, request.query_params.multi_items())
    after: tuple[Any, ...] = ()
    await reached(node.follower, asked.min_position)
    if asked.cursor:
        begun = opened(node.keys, about, asked.cursor, len(query.order) or 1)
        position, after = begun.position, begun.last
        await reached(node.follower, position)
    else:
        position = await position_of(request, asked.known_at)

    def ask() -> asking.Page:
        moment = asking.Moment(asked.as_of, position)
        limit = 1 if query.single else asked.limit
        with node.asking() as database:
            return asking.page(
                database, query, moment, given, after=after, limit=limit, personal=caller.personal
            )

    page = await to_thread.run_sync(ask, limiter=request.app.state.readers)
    if query.of and not page.items and not after:
        raise NotFound(what=query.of, id=given.get("id"))
    shown = query.personal_columns if caller.personal else ()
    headers = await noted(request, caller, *in_rows(page.items, shown))
    if query.single:
        item = page.items[0]
        etag = {"ETag": f'"{item["version"]}"'}
        return _reply({"item": item, "position": position}, headers | etag)
    cursor = Cursor(position, page.last).sealed(node.keys, about) if page.last else None
    return _reply({"items": page.items, "next": cursor, "position": position}, headers)


async def position_of(request: Request, known_at: int | datetime | None) -> int:
    """The position to be answered at, once the tables have come so far."""
    node: Node = request.app.state.node
    position = node.follower.position
    if known_at is None or (isinstance(known_at, int) and known_at <= position):
        return position if known_at is None else known_at
    head = await to_thread.run_sync(node.workspace.log.last_position)
    if isinstance(known_at, int):
        await reached(node.follower, min(known_at, head))
        return min(known_at, head)
    await reached(node.follower, head)

    def ask() -> int:
        with node.asking() as database:
            return asking.position_at(database, known_at)

    return await to_thread.run_sync(ask, limiter=request.app.state.readers)


async def reached(follower: Follower, position: int, seconds: float | None = None) -> None:
    """Wait for the tables, but not for long."""
    if follower.position >= position:
        return
    future = asyncio.wrap_future(follower.reached(position))
    done, _ = await asyncio.wait([future], timeout=WAIT_SECONDS if seconds is None else seconds)
    if not done:
        future.cancel()
        raise PositionNotReached(position=follower.position, min_position=position)
    future.result()


def _reply(content: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    body = orjson.dumps(content, default=str, option=orjson.OPT_UTC_Z)
    return Response(body, HTTPStatus.OK, headers, "application/json")


def _documented(query: asking.Query) -> dict[str, Any]:
    """What comes back, for the documentation."""
    columns = {
        name: {"description": told} | ({"x-unit": unit_of(told)} if unit_of(told) else {})
        for name, told in query.columns.items()
    }
    item = {"type": "object", "properties": columns, "additionalProperties": True}
    position = {"type": "integer", "description": "Where in the log the answer was taken."}
    properties: dict[str, Any] = {"item": item, "position": position}
    if not query.single:
        next_ = {"type": ["string", "null"], "description": "The cursor of the next page."}
        properties = {
            "items": {"type": "array", "items": item},
            "next": next_,
            "position": position,
        }
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"description": "The answer", "content": {"application/json": {"schema": schema}}}
