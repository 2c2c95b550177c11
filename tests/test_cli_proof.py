"""Verify and rebuild from the command line, when something is wrong, with a server and without."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import duckdb
import httpx

from cli.session import Live, session
from cli.tables import tables
from replay.tables import current
from tests.test_cli import Shell, fill, served

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
        assert said in shell("verify", code=1)
        assert not shell.json("verify", code=1)["tables"]["lead"]

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

        door = f"{live.url}/local/standing"
        assert httpx.get(door).status_code == 403
        assert httpx.get(door, headers={"Authorization": "Bearer nonsense"}).status_code == 403
        assert httpx.get(door, headers={"Authorization": f"Bearer {live.token}"}).is_success
    assert "Verified." in shell("verify")


def ask_on(live: Live, failed: list[str], done: threading.Event) -> None:
    """Go on asking the server while the tables under it change."""
    headers = {"Authorization": f"Bearer {live.token}"}
    with httpx.Client(headers=headers, timeout=60) as client:
        while not done.is_set():
            reply = client.post(f"{live.url}/local/sql", json={"sql": "SELECT count(*) FROM lead"})
            if not reply.is_success:
                failed.append(reply.text)
