"""`backstory serve`: it starts, says where it is, drains, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from cli import main
from tests.test_cli import served

if TYPE_CHECKING:
    import subprocess

    import pytest


def children(pid: int) -> list[int]:
    """The processes a process has started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for listed in found for child in listed.read_text().split()]


def gone(pid: int, seconds: float = 30) -> bool:
    """Whether a process ends in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def first_key(process: subprocess.Popen[str]) -> str:
    """The key the server prints at its first start."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Your first API key")
    return line.split()[-1]


def test_a_server_lives_drains_and_dies_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = tmp_path / "data"
    with served(data) as (process, live):
        key = {"Authorization": f"Bearer {first_key(process)}"}
        assert (data / "serve.json").stat().st_mode & 0o777 == 0o600
        assert httpx.get(f"{live.url}/health").json()
        events = httpx.get(f"{live.url}/events", headers=key).text.splitlines()
        assert json.loads(events[0])["type"] == "user.registered.v1"
        assert "clock.ticked.v1" in {json.loads(line)["type"] for line in events}

        assert main(["serve", "--data", str(data), "--port", "0"]) == 3
        assert "is served already, at http://127.0.0.1" in capsys.readouterr().err

        started = children(process.pid)
        assert len(started) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert all(gone(pid) for pid in started)
        assert not (data / "serve.json").exists()

    with served(data) as (process, live):
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Backstory serves")  # and no second key
        started = children(process.pid)
        process.kill()
        process.wait(10)
        assert all(gone(pid) for pid in started)
        assert (data / "serve.json").exists()

    with served(data) as (_, again):
        assert again.pid != live.pid
        assert httpx.get(f"{again.url}/events", headers=key).status_code == 200
