"""The door to access reports: all that is known of a person, as JSON or to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import orjson
from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_jsonable_python

from api.auth import Caller
from api.body import Door, only_known_parameters
from api.problems import NotFound, PersonalNotShown, problems
from api.reads import in_answer, noted
from replay.access import AccessReport, access_report
from replay.base import ReplayError

if TYPE_CHECKING:
    from api.node import Node

router = APIRouter(tags=["access"], route_class=Door)

Format = Annotated[
    Literal["json", "markdown"], Query(description="For programs, or to be read by people.")
]


async def report(
    request: Request,
    caller: Caller,
    id: UUID,
    *,
    format: Format = "json",  # noqa: A002 - its name
) -> Response:
    """Tell all that is known of a person: every record that goes with this one, every event of it.

    It takes a key that may see personal values.
    """
    only_known_parameters(request)
    if not caller.personal:
        raise PersonalNotShown
    node: Node = request.app.state.node

    def look() -> AccessReport:
        return access_report(node.workspace.log, id)

    try:
        found = await to_thread.run_sync(look, limiter=request.app.state.readers)
    except ReplayError:
        raise NotFound(what="record", id=id) from None
    headers = await noted(request, caller, *in_answer(found))
    if format == "markdown":
        return Response("\n".join(found.lines()), headers=headers, media_type="text/markdown")
    body = to_jsonable_python(found.told(), fallback=str)
    return Response(orjson.dumps(body), headers=headers, media_type="application/json")


for home in ("leads", "customers", "contacts", "tickets", "users"):
    router.add_api_route(
        f"/{home}/{{id}}/access-report",
        report,
        methods=["GET"],
        response_model=None,
        name=f"{home}_access_report",
        operation_id=f"{home}_access_report",
        summary="Access report",
        responses=problems(401, 403, 404, 422, 503),
    )
