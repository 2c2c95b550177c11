"""How tests come to the doors of a node: as a client over HTTP, without a network."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import httpx

from api import answers
from api.app import Server, create_app
from api.node import Node
from tests.databases import empty_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

answers.WAIT_SECONDS = 30.0  # on a busy machine the tables come late, and that is no fault


class Client:
    """Somebody with an API key. What goes wrong inside comes out as an exception, never as 500."""

    def __init__(self, node: Node, actor: UUID, *, personal: bool = True, **headers: str) -> None:
        key = node.api_keys.create(actor, "a test", personal=personal)
        self._runner = asyncio.Runner()
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(node)),
            base_url="http://backstory",
            headers={"Authorization": f"Bearer {key}"} | headers,
        )

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._http.request(method, path, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.ask("POST", path, **({"json": body} if body is not None else {}), **more)

    def together(self, *requests: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
        """Requests that are under way at the same time."""

        async def all_of_them() -> list[httpx.Response]:
            return await asyncio.gather(
                *(self._http.request(method, path, **more) for method, path, more in requests)
            )

        return self._runner.run(all_of_them())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()


@contextmanager
def listening(node: Node) -> Iterator[str]:
    """A real server for a node, in this process; yields its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = Server(node)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            node.pulse.stop()
            server.should_exit = True
            thread.join()


@contextmanager
def a_node(postgres_url: str, directory: Path) -> Iterator[Node]:
    """A started node on a database of its own, for more than one test."""
    with empty_database(postgres_url) as url, Node.open(directory, url) as node:
        yield node
