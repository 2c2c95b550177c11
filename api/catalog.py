"""The door to the catalogue: what can be asked of the tables, and what it means."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from anyio import to_thread
from fastapi import APIRouter, Path, Request, Response

from api.auth import Caller
from api.problems import Problem, problems
from readmodels.catalog import NotInCatalog
from readmodels.catalog import catalog as catalog_of

if TYPE_CHECKING:
    from api.node import Node

router = APIRouter(prefix="/catalog", tags=["catalog"])


class NoSuchEntry(Problem, status=404):
    """{reason}"""  # noqa: D415 - the catalogue says it with suggestions


@router.get("", operation_id="catalog", summary="Catalog", responses=problems(401))
async def catalog(request: Request, _: Caller) -> Response:
    """Every table, column, macro, metric and event: what it means, its unit and its lineage."""
    return await told(request)


@router.get(
    "/{name}", operation_id="catalog_entry", summary="Catalog entry", responses=problems(401, 404)
)
async def entry(
    request: Request,
    _: Caller,
    name: Annotated[
        str, Path(max_length=200, description="Such as deal, deal.amount, win_loss or deal.won.v1.")
    ],
) -> Response:
    """One table, macro, report or event, or one column of them."""
    return await told(request, name)


async def told(request: Request, name: str = "") -> Response:
    """What the catalogue says of a name; all of it, when there is none."""
    node: Node = request.app.state.node

    def look() -> dict[str, Any]:
        with node.asking() as database:
            found = catalog_of(database)
        return asdict(found.find(name)) if name else found.document()

    try:
        answer = await to_thread.run_sync(look, limiter=request.app.state.readers)
    except NotInCatalog as error:
        raise NoSuchEntry(reason=str(error)) from None
    return Response(orjson.dumps(answer), media_type="application/json")
