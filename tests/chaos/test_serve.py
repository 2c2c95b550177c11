"""`backstory serve` goes on by itself when its PostgreSQL is killed."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

import httpx

from commands.lead import CaptureLead
from tests.test_cli import served
from tests.test_cli_serve import first_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECOVERY_SECONDS_MAX = 60


def wait_for(reply: Callable[[], httpx.Response], status: int) -> httpx.Response:
    """The first answer that is not "not now", which has to have this status."""
    deadline = time.monotonic() + RECOVERY_SECONDS_MAX
    while (found := reply()).status_code == 503:
        assert time.monotonic() < deadline, found.text
        time.sleep(0.2)
    assert found.status_code == status, found.text
    return found


def test_a_killed_postgres_is_started_again(tmp_path: Path):
    data = tmp_path / "data"
    with served(data) as (process, live):
        headers = {"Authorization": f"Bearer {first_key(process)}"}
        with httpx.Client(base_url=live.url, headers=headers, timeout=60) as http:

            def capture(number: int) -> httpx.Response:
                body = CaptureLead.example | {"email": f"lead{number}@example.com"}
                key = {"Idempotency-Key": str(number)}
                return http.post("/leads", json=body, headers=key)

            def leads() -> list[str]:
                wait_for(lambda: http.get("/health"), 200)
                found = wait_for(lambda: http.get("/events", params={"type": "lead"}), 200)
                return found.text.splitlines()

            assert capture(1).status_code == 201
            for number in (2, 3):
                pid = int((data / "postgres/cluster/postmaster.pid").read_text().split()[0])
                os.kill(pid, signal.SIGKILL)
                wait_for(partial(capture, number), 201)
                assert len(leads()) == number
            assert capture(2).json()["version"] == 1
            assert len(leads()) == 3
    assert process.returncode == 0
    assert not (data / "postgres/cluster/postmaster.pid").exists()
