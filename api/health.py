"""How the node is: whether it works, and how far behind the log everything is that follows it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from eventstore.errors import EventStoreError
from eventstore.tree import Tiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import Cursor
    from psycopg.rows import DictRow

    from api.node import Node

COUNTED_EVENTS_MAX = 10_000
EXAMINED_AT_ONCE_MAX = 2
"""A log that does not answer must not take more threads than this from those who work."""

BEHIND = """
    SELECT count(*) AS events,
        coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)::float8 AS seconds
    FROM (SELECT recorded_at FROM log_events WHERE notification_id > %s
        ORDER BY notification_id LIMIT %s) AS unseen
"""

router = APIRouter(tags=["health"])


class Lag(BaseModel):
    """How far something has followed the log."""

    position: int = Field(description="The last event it has seen.")
    behind_events: int = Field(description="Events it has not seen; counted up to 10,000.")
    behind_seconds: float = Field(description="For how long the oldest of them has waited.")


class Anchored(BaseModel):
    """A place that checkpoints are brought to."""

    kind: str = Field(description="file, git, mailto, https, http or rfc3161.")
    kept_size: int | None = Field(description="How many events the last one kept there covers.")
    error: str | None = Field(description="What keeps the newest from getting there.")


class ReadNode(BaseModel):
    """The process that answers anybody's SQL, with tables and a memory of its own."""

    alive: bool = Field(description="False: it starts, or is being started again.")
    tables: Lag | None = Field(description="How far its tables are; null: it does not say.")
    memory_bytes: int | None = Field(description="What it has taken of its memory.")
    memory_bytes_max: int | None = Field(description="With more than this it ends, and restarts.")


class Health(BaseModel):
    """How the node is."""

    status: Literal["ok", "failing"]
    position: int | None = Field(description="Where the log ends; null: it cannot be reached.")
    waiting_commands: int = Field(description="Commands that wait for the next commit.")
    poisoned: int = Field(description="Events that could not be read into the tables.")
    error: str | None = Field(description="What keeps the node from working.")
    tables: Lag | None = Field(description="The tables that questions are asked of.")
    read_node: ReadNode | None = Field(description="Null: nobody has asked it yet.")
    sealed: Lag | None = Field(description="What a signed checkpoint covers.")
    not_sealed: str | None = Field(description="What keeps this node from sealing the rest.")
    anchors: tuple[Anchored, ...] = Field(
        description="Where else checkpoints are kept, in the order they were declared."
    )
    followers: dict[str, Lag] = Field(description="Learners and others, by name.")


@router.get(
    "/health",
    operation_id="health",
    summary="Health",
    response_model=Health,
    responses={503: {"model": Health, "description": "The node does not work."}},
)
async def health(request: Request) -> Response:
    """Tell whether the node works, and how far behind the log it is. Needs no key."""
    limiter: CapacityLimiter = request.app.state.examiners
    found = await to_thread.run_sync(examined, request.app.state.node, limiter=limiter)
    return Response(
        found.model_dump_json(), 200 if found.status == "ok" else 503, media_type="application/json"
    )


def examined(node: Node) -> Health:
    """The health of a node, as far as it can be found out."""
    log, follower = node.workspace.log, node.follower
    error = type(follower.error).__name__ if follower.error else None
    position, tables, read_node, sealed, followers = None, None, None, None, {}
    said = node.questions.standing()
    try:
        position = log.last_position()
        with log.cursor() as cursor:
            tables = _lag(cursor, follower.position)
            read_node = None if said is None else _read_node(cursor, said)
            newest = Tiles(cursor).sealed()
            sealed = _lag(cursor, newest.position if newest else 0)
            cursor.execute(
                "SELECT application_name AS name, notification_id AS at FROM log_tracking"
            )
            kept = {row["name"]: row["at"] for row in cursor.fetchall()}
            followers = {name: _lag(cursor, at) for name, at in sorted(kept.items())}
    except EventStoreError as unreachable:
        error = type(unreachable).__name__
    return Health(
        status="failing" if error else "ok",
        position=position,
        waiting_commands=node.writer.waiting,
        poisoned=follower.poisoned,
        error=error,
        tables=tables,
        read_node=read_node,
        sealed=sealed,
        not_sealed=type(node.sealer.error).__name__ if node.sealer.error else None,
        anchors=tuple(Anchored(**asdict(one)) for one in node.sealer.anchor.standing()),
        followers=followers,
    )


def _read_node(cursor: Cursor[DictRow], said: Mapping[str, int]) -> ReadNode:
    return ReadNode(
        alive=bool(said),
        tables=_lag(cursor, said["position"]) if said else None,
        memory_bytes=said.get("memory_bytes"),
        memory_bytes_max=said.get("memory_bytes_max"),
    )


def _lag(cursor: Cursor[DictRow], position: int) -> Lag:
    cursor.execute(BEHIND, (position, COUNTED_EVENTS_MAX))
    found = cursor.fetchone() or {"events": 0, "seconds": 0.0}
    return Lag(
        position=position, behind_events=found["events"], behind_seconds=round(found["seconds"], 3)
    )
