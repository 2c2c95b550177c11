"""Tables begun from a snapshot are those made from the log; one that does not fit is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from structlog.testing import capture_logs

from cli import main
from cli.demo.history import history, tell
from eventstore.workspace import Workspace
from eventstore.writer import Writer
from projections.catch_up import catch_up
from projections.tables import Tables
from replay.base import Bounds
from replay.beginning import begin_from
from replay.snapshot import Format, write_snapshot
from replay.tables import open_tables
from tests.conftest import END
from tests.databases import empty_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa


@pytest.fixture(scope="module")
def expected(first_tables: Tables) -> dict[str, str]:
    """The digests of tables made from the whole log."""
    return first_tables.database.digests(values=True)


@pytest.fixture(scope="module")
def snapshots(
    first_weeks: Workspace, first_tables: Tables, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two snapshots, of which the one with the personal columns is newer."""
    folder, last = tmp_path_factory.mktemp("snapshots"), first_weeks.log.last_position()
    for name, share, personal in (("new", 0.7, True), ("old", 0.3, False)):
        within = Bounds(None, int(last * share))
        write_snapshot(
            first_tables, first_weeks, folder / name, Format.duckdb, within, personal=personal
        )
    return folder


def position_of(snapshot: Path) -> int:
    return int(json.loads((snapshot / "manifest.json").read_text())["position"])


@pytest.mark.parametrize("name", ["", "new", "old"])
def test_tables_begun_from_a_snapshot_are_those_of_the_log(
    first_weeks: Workspace,
    expected: dict[str, str],
    snapshots: Path,
    tmp_path: Path,
    name: str,
):
    given = position_of(snapshots / (name or "new"))
    assert begin_from(snapshots / name, tmp_path, first_weeks.log) == given
    asked = []

    def read(after: int, limit: int) -> pa.Table:
        asked.append(after)
        return first_weeks.log.read_arrow(after, limit)

    with closing(open_tables(first_weeks, tmp_path)) as tables:
        list(catch_up(tables, read))
        assert tables.database.digests(values=True) == expected
        assert tables.database.query("SELECT count(*) FROM deal").item()
    assert asked[0] == (0 if name == "old" else given)  # its personal file is made from the log


def test_without_keys_only_the_rest_is_read(
    first_weeks: Workspace, snapshots: Path, expected: dict[str, str], tmp_path: Path
):
    given = begin_from(snapshots / "old", tmp_path, first_weeks.log)
    with closing(Tables(tmp_path)) as tables:
        assert tables.taken == given > 0
        list(catch_up(tables, first_weeks.log.read_arrow))
        found = tables.database.digests(values=True)
    assert found == {name: expected[name] for name in found}


def test_tables_that_are_there_are_kept(first_weeks: Workspace, snapshots: Path, tmp_path: Path):
    begin_from(snapshots / "new", tmp_path, first_weeks.log)
    with closing(Tables(tmp_path)) as tables:
        list(catch_up(tables, first_weeks.log.read_arrow))
    assert begin_from(snapshots, tmp_path, first_weeks.log) == 0
    with closing(Tables(tmp_path)) as tables:
        assert tables.taken == first_weeks.log.last_position()


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        [byte] = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def says(**other: object) -> Callable[[Path], None]:
    def edit(snapshot: Path) -> None:
        path = snapshot / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | other))

    return edit


UNFIT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "damaged": (lambda s: flip(s / "backstory.duckdb"), "was damaged or changed"),
    "cut": (
        lambda s: (s / "backstory.duckdb").write_bytes((s / "backstory.duckdb").read_bytes()[:-9]),
        "was damaged or changed",
    ),
    "half": (lambda s: (s / "backstory.duckdb").unlink(), "No such file"),
    "other declarations": (says(declarations="2-0123456789ab"), "other declarations"),
    "another log": (says(event_id="0198a1b2-0000-7000-8000-000000000000"), "another log"),
    "ahead of the log": (says(position=10**9), "and the log ends at"),
    "a moment": (says(as_of="2024-03-31T00:00:00+00:00"), "had happened by"),
    "parquet": (says(format="parquet"), "this one is parquet"),
    "no manifest": (lambda s: (s / "manifest.json").write_text("{"), "no readable manifest"),
    "hostile": (says(files={}), "does not name backstory.duckdb"),
}


@pytest.mark.parametrize("wrong", UNFIT)
def test_a_snapshot_that_does_not_fit_is_refused(
    first_weeks: Workspace, snapshots: Path, tmp_path: Path, wrong: str
):
    spoil, reason = UNFIT[wrong]
    snapshot, folder = tmp_path / "snapshot", tmp_path / "tables"
    snapshot.mkdir()
    for path in (snapshots / "old").iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())
    spoil(snapshot)
    with capture_logs() as lines:
        assert begin_from(snapshot, folder, first_weeks.log) == 0
    refused = [line for line in lines if line["event"] == "snapshot.refused"]
    assert reason in refused[0]["reason"]
    assert lines[-1]["event"] == "snapshot.none"
    assert not folder.exists() or list(folder.iterdir()) == []


def test_after_a_refusal_an_older_snapshot_serves(
    first_weeks: Workspace, snapshots: Path, tmp_path: Path
):
    folder = tmp_path / "snapshots"
    for name in ("new", "old"):
        (folder / name).mkdir(parents=True)
        for path in (snapshots / name).iterdir():
            (folder / name / path.name).write_bytes(path.read_bytes())
    flip(folder / "new" / "backstory.duckdb")
    found = begin_from(folder, tmp_path / "tables", first_weeks.log)
    assert found == position_of(snapshots / "old")


def test_a_server_begins_from_the_newest_whole_snapshot_of_its_directory(
    postgres_url: str, tmp_path: Path
):
    data = tmp_path / "data"
    with empty_database(postgres_url) as url, Workspace.open(data, url) as workspace:
        with Writer(workspace.log) as writer:
            tell(history(END)[:60], writer, lambda _: None)
        last = workspace.log.last_position()
        with closing(open_tables(workspace, tmp_path / "whole")) as whole:
            list(catch_up(whole, workspace.log.read_arrow))
            for name, known_at in (("1", last // 3), ("2", last // 2), ("3", last)):
                within = Bounds(None, known_at)
                write_snapshot(whole, workspace, data / "snapshots" / name, Format.duckdb, within)
        flip(data / "snapshots" / "3" / "backstory.duckdb")
        said = served(data, url, last)
        assert "was damaged or changed" in said
        begun_from = [line for line in said.splitlines() if "snapshot.begun_from" in line]
        assert [json.loads(line)["position"] for line in begun_from] == [last // 2] * 2
        with closing(open_tables(workspace)) as begun:
            assert begun.position >= last
            with closing(open_tables(workspace, tmp_path / "again")) as again:
                list(catch_up(again, workspace.log.read_arrow, begun.position))
                assert begun.database.digests(values=True) == again.database.digests(values=True)


def served(data: Path, url: str, position: int) -> str:
    """What a server says until its tables have come to a position."""
    serve = [sys.executable, "-m", "cli", "serve", "--data", str(data), "--port", "0"]
    with subprocess.Popen(
        [*serve, "--database-url", url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        said = ""
        while "Backstory serves" not in said:
            said += (line := server.stdout.readline())
            assert line, said
        health = re.search(r"http://127.0.0.1:\d+", said)[0] + "/health"
        while httpx.get(health).json()["tables"]["position"] < position:
            time.sleep(0.1)
        server.terminate()
        return said + server.communicate()[0]


def test_a_folder_of_snapshots_that_is_named_has_to_be_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["serve", "--snapshot", str(tmp_path / "none"), "--data", str(tmp_path)]) == 2
    assert "does not exist" in " ".join(capsys.readouterr().err.replace("│", " ").split())
