"""The application: every door of a node, under one roof."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import uvicorn
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline

from api import (
    access,
    activity,
    audit,
    bulk,
    campaign,
    catalog,
    clock,
    contact,
    custom_fields,
    customer,
    deal,
    events,
    health,
    import_run,
    lead,
    learner,
    live,
    local,
    merger,
    pipeline,
    proofs,
    retention_rule,
    score,
    sql,
    subject,
    tables,
    ticket,
    user,
)
from api.base import Doors, Entrance
from api.node import Node
from api.problems import PROBLEM_SCHEMA, answer_with_problems
from api.questions import Turns
from api.shortcut import Shortcut

MENU = (
    lead, customer, contact, pipeline, deal, activity, ticket, campaign, user, score, learner,
    custom_fields, subject, merger, retention_rule, import_run, clock, bulk, sql, tables, events,
    live, catalog, audit, proofs, health, access, local,
)  # fmt: skip

READERS_MAX = 4
"""How many questions are asked of the tables at once; each uses all processors."""

DESCRIPTION = """
Every record, every score and every report as it was at any moment, with the reason why.

* Commands are `POST`s and answer with the version of the record and a position in the log.
* Queries are `GET`s; all take `as_of` (what had happened), `known_at` (what was known) and
  `min_position` (read your own writes).
* Whatever else has to be said is said as `application/problem+json` (RFC 9457).
"""


def create_app(node: Node) -> FastAPI:
    """The doors of a started node; it is closed when the server has given its last answer."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await to_thread.run_sync(node.close)

    app = FastAPIOffline(
        title="Backstory", version="0.1.0", description=DESCRIPTION, lifespan=lifespan
    )
    app.state.node = node
    app.state.readers = CapacityLimiter(READERS_MAX)
    app.state.turns = Turns()
    app.state.examiners = CapacityLimiter(health.EXAMINED_AT_ONCE_MAX)
    answer_with_problems(app)
    for module in MENU:
        app.include_router(module.router)

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            schema.setdefault("components", {}).setdefault("schemas", {})["Problem"] = (
                PROBLEM_SCHEMA
            )
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def entrances() -> list[Entrance]:
    """The doors that commands may reach by the short way."""
    menus = [module.router for module in MENU if isinstance(module.router, Doors)]
    return [entrance for menu in menus for entrance in menu.entrances]


class Server(uvicorn.Server):
    """A server that tells those who follow the log that it ends, for it waits for them."""

    def __init__(self, node: Node, *, host: str = "127.0.0.1", port: int = 8000) -> None:
        self.node = node
        self.app = create_app(node)
        config = uvicorn.Config(
            self.app,
            http=Shortcut.to(node, entrances()),
            host=host,
            port=port,
            access_log=False,
            log_level="warning",
            proxy_headers=False,  # nothing here asks who is in front of a proxy
            server_header=False,
        )
        super().__init__(config)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See `uvicorn.Server`."""
        self.node.pulse.stop()
        super().handle_exit(sig, frame)
