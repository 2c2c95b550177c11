"""Doors for the command line on this machine: the tables, which no second process can open.

They are open to whoever knows the token in `serve.json`, which only the server's own user can
read, and to nobody elsewhere.
"""

from __future__ import annotations

import ipaddress
import secrets
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import polars as pl
from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, BaseModel

from api.answers import POSITION
from api.asking import Asked
from api.catalog import told
from api.problems import NotFound, Problem
from api.questions import Relayed
from domain.values import INTEGER_MAX
from readmodels.formats import Format
from replay.rebuild import FOLLOWER_SECONDS_MAX, clean, turn
from replay.tables import DECLARED, Here, folder_of

if TYPE_CHECKING:
    from api.node import Node

ARROW = "application/vnd.apache.arrow.stream"
SQL_SECONDS_MAX = 600.0


class NotLocal(Problem, status=403):
    """Only the command line on the machine of the server opens this door."""


def local(request: Request) -> None:
    """Refuse whoever is not on this machine, or does not know the token."""
    expected = getattr(request.app.state, "local_token", "")
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    host = request.client.host if request.client else ""
    known = bool(expected) and secrets.compare_digest(given.encode(), expected.encode())
    if not known or not ipaddress.ip_address(host).is_loopback:
        raise NotLocal


router = APIRouter(prefix="/local", include_in_schema=False, dependencies=[Depends(local)])


class Sql(BaseModel):
    """A SELECT, and the moment it is about."""

    sql: str
    as_of: AwareDatetime | None = None
    known_at: int | None = None
    min_position: int = 0
    """The answer is taken from tables that have come so far."""


@router.post("/sql")
async def sql(request: Request, asked: Sql) -> Response:
    """The answer to anybody's SELECT, in Arrow."""
    node: Node = request.app.state.node
    question = Asked(
        sql=asked.sql,
        as_of=asked.as_of,
        known_at=asked.known_at,
        min_position=asked.min_position,
        wait_seconds=FOLLOWER_SECONDS_MAX,
        personal=True,
        format=Format.arrow,
        rows_max=INTEGER_MAX,
        seconds=SQL_SECONDS_MAX,
    )
    return Relayed(node.questions, question, nullcontext(), request.url)


@router.get("/catalog")
async def catalog(request: Request, name: str = "") -> Response:
    """What the catalogue says of a name; all of it, when there is none."""
    return await told(request, name)


@router.get("/standing")
async def standing(request: Request) -> Response:
    """Where the tables stand: bookmarks, ends of rows, digests."""
    node: Node = request.app.state.node

    def look() -> dict[str, Any]:
        with node.asking() as database:
            return asdict(Here(database).standing())

    return Response(orjson.dumps(await to_thread.run_sync(look)), media_type="application/json")


@router.get("/tables/{name}")
async def rows(request: Request, name: str) -> Response:
    """All rows of a stored table, in Arrow."""
    node: Node = request.app.state.node
    if name not in DECLARED:
        raise NotFound(what="table", id=name)

    def look() -> tuple[int, pl.DataFrame]:
        with node.asking() as database:
            return Here(database).rows(name)

    position, found = await to_thread.run_sync(look)
    return arrow(found, {POSITION: str(position)})


@router.post("/generations/{generation}")
async def turn_to(request: Request, generation: UUID) -> Response:
    """Answer from tables that were rebuilt beside those of the server."""
    node: Node = request.app.state.node
    folder = folder_of(node.workspace.directory) / str(generation)
    if not folder.is_dir():
        raise NotFound(what="generation", id=generation)

    def change() -> dict[str, Any]:
        with node.turning:
            tables, rebuilt = turn(node.workspace, node.follower, folder)
            node.turn_to(tables)
            clean(node.workspace)
            return asdict(rebuilt)

    return Response(orjson.dumps(await to_thread.run_sync(change)), media_type="application/json")


def arrow(frame: pl.DataFrame, headers: dict[str, str] | None = None) -> Response:
    """A frame as the body of a reply."""
    stream = frame.write_ipc_stream(None)
    return Response(stream.getvalue(), 200, headers, ARROW)
