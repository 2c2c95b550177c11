"""Ten times as much is asked as there is room for: it is said at once, and passes by itself."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

from api.node import Node
from eventstore.batch import Batch
from tests.doors import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANN = UUID(int=0xA)
ROOM = 20
ASKED = 10 * ROOM


@pytest.fixture
def node(tmp_path: Path, database_url: str) -> Iterator[Node]:
    with Node.open(tmp_path, database_url) as started:
        yield started


class Stalled:
    """A database that takes a commit only when it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = threading.Event()
        append = Batch.append

        def held(batch: Batch, turn: Any) -> Any:
            self.go_on.wait(60)
            return append(batch, turn)

        monkeypatch.setattr(Batch, "append", held)


def lead(number: int) -> dict[str, Any]:
    return {"name": f"Lead {number}", "email": f"lead{number}@example.com", "source": "web"}


def test_a_full_queue_is_said_and_health_answers_and_it_passes(
    node: Node, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(node.writer, "waiting_max", ROOM)
    stalled = Stalled(monkeypatch)
    headers = {"Authorization": f"Bearer {node.api_keys.create(ANN)}"}
    with listening(node) as address:
        limits = httpx.Limits(max_connections=2 * ASKED)

        async def overrun() -> list[httpx.Response]:
            async with httpx.AsyncClient(
                base_url=address, headers=headers, limits=limits, timeout=100
            ) as http:

                async def ask(number: int) -> httpx.Response:
                    key = {"Idempotency-Key": f"lead-{number}"}
                    return await http.post("/leads", json=lead(number), headers=key)

                asked = [asyncio.create_task(ask(number)) for number in range(ASKED)]
                while sum(one.done() for one in asked) < ASKED // 2:
                    health = await http.get("/health")
                    assert health.status_code == 200
                    assert health.json()["waiting_commands"] <= ROOM
                    await asyncio.sleep(0.05)
                stalled.go_on.set()
                first = await asyncio.gather(*asked)
                left = [n for n, reply in enumerate(first) if reply.status_code == 503]
                for start in range(0, len(left), ROOM):
                    again = await asyncio.gather(*map(ask, left[start : start + ROOM]))
                    assert {reply.status_code for reply in again} == {201}
                return first

        told = asyncio.run(overrun())
        statuses = Counter(reply.status_code for reply in told)
        assert statuses.keys() == {201, 503}
        assert statuses[503] >= ASKED // 2
        for reply in told:
            if reply.status_code == 503:
                assert reply.json()["title"] == "Overloaded"
                assert int(reply.headers["Retry-After"]) >= 1
        assert node.writer.waiting == 0
        assert len(list(node.workspace.log.read())) == ASKED
