"""`backstory serve`: it starts, says where it is, drains, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

from cli import main
from tests.test_cli import served

if TYPE_CHECKING:
    import pytest

    from cli.session import Live

BUSY_SECONDS = 0.4
"""A server that has worked so long at a question has begun to answer it."""


def children(pid: int) -> list[int]:
    """The processes a process has started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for listed in found for child in listed.read_text().split()]


def command_of(pid: int) -> str:
    """The command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def work_of(pid: int) -> float:
    """Seconds of processor time a process has used."""
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


def slow_question(live: Live) -> httpx.Response:
    """A question that takes a second or two of work."""
    statement = "SELECT sum(a.range * b.range) FROM range(20000) a, range(20000) b"
    token = {"Authorization": f"Bearer {live.token}"}
    return httpx.post(f"{live.url}/local/sql", json={"sql": statement}, headers=token, timeout=60)


def get(address: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """An answer, however long a busy machine takes for it."""
    return httpx.get(address, headers=headers, timeout=60)


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


def learners_start_again(server: int) -> None:
    """Kill the process of the learners, and wait for the next."""
    (learners,) = (pid for pid in children(server) if "learning" in command_of(pid))
    os.kill(learners, signal.SIGKILL)
    assert gone(learners)
    deadline = time.monotonic() + 30
    while not any("learning" in command_of(pid) for pid in children(server)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def drains(process: subprocess.Popen[str], live: Live) -> None:
    """End the server while it is asked: the answer is given, then all is gone."""
    started = children(process.pid)
    assert len(started) == 3  # PostgreSQL, the read node, the learners
    replies: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: replies.append(slow_question(live)))
    (read_node,) = (pid for pid in started if "read_node" in command_of(pid))
    at_rest = work_of(read_node)
    asking.start()
    while work_of(read_node) < at_rest + BUSY_SECONDS:
        assert asking.is_alive()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    asking.join()
    assert replies[0].is_success
    assert all(gone(pid) for pid in started)


def test_a_server_lives_drains_and_dies_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = tmp_path / "data"
    with served(data) as (process, live):
        key = {"Authorization": f"Bearer {first_key(process)}"}
        assert (data / "serve.json").stat().st_mode & 0o777 == 0o600
        assert get(f"{live.url}/health").json()
        events = get(f"{live.url}/events", key).text.splitlines()
        assert json.loads(events[0])["type"] == "user.registered.v1"
        assert "clock.ticked.v1" in {json.loads(line)["type"] for line in events}

        assert main(["serve", "--data", str(data), "--port", "0"]) == 3
        assert "is served already, at http://127.0.0.1" in capsys.readouterr().err

        assert main(["learn", "--data", str(data)]) == 0
        followers = httpx.get(f"{live.url}/health").json()["followers"]
        assert set(followers) == {
            *("learning.lead_conversion", "learning.customer_health"),
            "policies.retention",
        }
        assert main(["demo", "--once", "--data", str(data)]) == 3
        assert "name another directory with --data" in capsys.readouterr().err

        learners_start_again(process.pid)
        drains(process, live)
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
        assert get(f"{again.url}/events", key).status_code == 200


def test_a_demo_that_could_not_serve_tells_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = tmp_path / "data"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["demo", "--data", str(data), "--port", port]) == 3
    assert f"cannot listen on 127.0.0.1:{port}" in (told := capsys.readouterr().err)
    assert "choose another with --port" in told
    assert [path.name for path in data.iterdir()] == ["lock"]


def test_a_demo_ends_whole_while_it_is_told(tmp_path: Path):
    data = tmp_path / "data"
    command = [sys.executable, "-m", "cli", "demo", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not (data / "master.key").exists():
            assert process.poll() is None
            time.sleep(0.05)
        started = children(process.pid)
        assert any("postgres" in command_of(pid) for pid in started)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert all(gone(pid) for pid in started)
