"""Imports that are killed, or run twice at once: nothing is lost, nothing done twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import UUID

from eventstore.workspace import Workspace
from imports.runs import runs
from tests.imports_shop import run, shop, story

if TYPE_CHECKING:
    from pathlib import Path

    from imports.report import Tally

DEALS = 1_500
KILLS_AT = (100, 600, 1_100)
"""Positions of the log at which the import is killed."""
PATIENCE_SECONDS = 60


def many_deals() -> list[str]:
    """Deals of every kind, some of them nonsense."""
    ends = (
        "Won,10.02.2024,01.03.2024,4500,yes,40",
        "Lost,11.02.2024,02.03.2024,0,no,",
        "New,,,,Select,",
        "Offered,12.02.2024,,,no,3",
        "Won,13.02.2024,,70,no,1",  # no date of closing: an error
    )
    return [f"D{n},Moses,GTX Pro,Acme,{ends[n % len(ends)]}" for n in range(DEALS)]


def start(folder: Path, workspace: Workspace) -> subprocess.Popen[bytes]:
    """`backstory import` in a process of its own."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "cli", "import", str(folder / "shop.toml"), str(folder)),
            *("--data", str(workspace.directory), "--database-url", workspace.database_url),
            *("--errors", str(folder / "errors.csv"), "--json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for(workspace: Workspace, position: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the log is that long."""
    until = time.monotonic() + PATIENCE_SECONDS
    ended = False
    while workspace.log.last_position() < position:
        assert time.monotonic() < until
        assert not ended, "the import ended before it came so far"
        ended = process.poll() is not None
        time.sleep(0.002)


def test_an_import_killed_again_and_again_is_the_import(workspace, tmp_path):
    declared = 2
    folder = shop(tmp_path / "shop", many_deals())
    for position in KILLS_AT:
        process = start(folder, workspace)
        wait_for(workspace, position, process)
        process.kill()
        process.communicate()
    last = workspace.log.last_position()
    process = start(folder, workspace)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1, err  # some rows are nonsense
    summary = json.loads(out)
    assert (summary["failed"], summary["errors_file"]) == (DEALS // 5, str(folder / "errors.csv"))
    the_end_of_the_run = 1
    assert summary["events"] == workspace.log.last_position() - last - the_end_of_the_run > 0
    [told] = runs(workspace.log)
    assert (told.id, told.state.status) == (UUID(summary["run"]), "ended")
    assert told.state.ended is not None
    assert told.state.ended.events == workspace.log.last_position() - declared - 2
    assert (told.state.ended.rows, told.state.ended.updated) == (summary["rows"], 0)
    assert summary["steps"]["deal"]["unchanged"] > 0

    with Workspace.open(tmp_path, workspace.database_url, "uninterrupted") as other:
        whole, errors = run(other, folder)
        assert (whole.total.failed, len(errors)) == (DEALS // 5, DEALS // 5)
        assert story(workspace) == story(other)


def test_a_revert_killed_again_and_again_is_the_revert(workspace, tmp_path):
    folder = shop(tmp_path / "shop", many_deals()[:900])
    summary, _ = run(workspace, folder)
    imported = workspace.log.last_position()
    for made in (20, 250):
        process = start_revert(workspace, summary.run)
        wait_for(workspace, imported + made, process)
        process.kill()
        process.communicate()
    process = start_revert(workspace, summary.run)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    assert json.loads(out)["retracted"] > 0
    [told] = runs(workspace.log)
    assert told.state.ended is not None
    assert told.as_dict()["retracted"] == told.state.ended.created
    assert workspace.log.last_position() == imported + 2 + told.state.ended.created


def start_revert(workspace: Workspace, run_id: UUID) -> subprocess.Popen[bytes]:
    """`backstory import revert` in a process of its own."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "cli", "import", "revert", str(run_id), "--yes", "--json"),
            *("--data", str(workspace.directory), "--database-url", workspace.database_url),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_two_imports_of_one_file_at_once_are_one(workspace, tmp_path):
    folder = shop(tmp_path / "shop", many_deals()[:600])

    def work(name: str) -> Tally:
        copy = shop(tmp_path / name, many_deals()[:600])
        with Workspace.open(tmp_path, workspace.database_url) as mine:
            return run(mine, copy)[0].total

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, ("first", "second"))
    declared, noted = 2, sum(len(one.events) for one in runs(workspace.log))
    assert first.events + second.events + declared + noted == workspace.log.last_position()
    assert first.failed == second.failed == 600 // 5
    with Workspace.open(tmp_path, workspace.database_url, "alone") as other:
        run(other, folder)
        assert story(workspace) == story(other)
