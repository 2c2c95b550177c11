"""Verify and rebuild from the command line, when something is wrong, with a server and without."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import duckdb
import httpx

from cli.session import Live, session
from cli.tables import tables
from replay.tables import current
from tests.test_cli import Shell, fill, served
from tests.test_cli_serve import get

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_flipped_cell_is_found_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = tmp_path / "data"
    shell = Shell(data, capsys)
    with session(data, None, "test") as opened:
        fill(opened.workspace)
        with tables(opened):
            pass  # they catch up
    (path,) = current(data).glob("tables-*.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE stored.lead_current SET company = 'Other'")

    said = "company is 'Other', the log says 'Example Ltd'"
    assert said in shell("verify", code=1)
    with served(data) as (_, live):
        verdict = shell.json("verify", code=1)
        assert not verdict["tables"]["lead"]
        assert said in verdict["findings"][0]["what"]

        failed: list[str] = []
        done = threading.Event()
        asking = threading.Thread(target=ask_on, args=(live, failed, done))
        asking.start()
        rebuilt = shell.json("rebuild")
        done.set()
        asking.join()
        assert failed == []
        assert [name for name, same in rebuilt["same"].items() if not same] == ["lead"]
        assert "Verified." in shell("verify")
        back = shell.json("rollback")
        assert [name for name, same in back["same"].items() if not same] == ["lead"]
        assert "lead" in shell("verify", code=1)
        assert not shell.json("rebuild", "--parts", "2")["same"]["lead"]
        assert "Verified." in shell("verify")

        door = f"{live.url}/local/standing"
        assert get(door).status_code == 403
        assert get(door, {"Authorization": "Bearer nonsense"}).status_code == 403
        assert get(door, {"Authorization": f"Bearer {live.token}"}).is_success


def test_an_interrupted_rebuild_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = tmp_path / "data"
    shell = Shell(data, capsys)
    with session(data, None, "test") as opened:
        fill(opened.workspace)
        first = current(data)
    command = [sys.executable, "-m", "cli", "rebuild", "--data", str(data)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while len(list((data / "tables").iterdir())) < 3:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert {path.name for path in (data / "tables").iterdir()} == {"current", first.name}
    assert "qualified" in shell("sql", "SELECT status FROM lead")


def ask_on(live: Live, failed: list[str], done: threading.Event) -> None:
    """Go on asking the server while the tables under it change."""
    headers = {"Authorization": f"Bearer {live.token}"}
    with httpx.Client(headers=headers, timeout=60) as client:
        while not done.is_set():
            reply = client.post(f"{live.url}/local/sql", json={"sql": "SELECT count(*) FROM lead"})
            if not reply.is_success:
                failed.append(reply.text)
