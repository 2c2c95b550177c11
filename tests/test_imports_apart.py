"""A long file is read by a process of its own: the outcome is the same, and nothing is lost."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from eventstore.workspace import Workspace
from imports import apart
from imports.apart import ProcessLost
from imports.feed import Feed
from tests.imports_shop import CUSTOMERS, DEALS, recipe, run, shop, story
from tests.test_imports_crash import many_deals, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 1_200
EVERY_FILE_IS_LONG = """
import sys
from cli import main
from imports import apart
apart.BYTES_MIN = 0
sys.exit(main())
"""


@pytest.fixture
def _apart(monkeypatch) -> Iterator[None]:
    """Every file is a long one."""
    monkeypatch.setattr(apart, "BYTES_MIN", 0)
    yield
    assert readers() == []


def readers(of: int | None = None) -> list[psutil.Process]:
    """The processes that read for this one, or for another."""
    children = psutil.Process(of).children()
    return [child for child in children if "imports.apart_child" in child.cmdline()]


@contextmanager
def importing(folder: Path, workspace: Workspace) -> Iterator[subprocess.Popen[bytes]]:
    """`backstory import` in a process and a process group of its own; every file is a long one."""
    arguments = [
        *("import", str(folder / "shop.toml"), str(folder), "--data", str(workspace.directory)),
        *("--database-url", workspace.database_url, "--errors", str(folder / "errors.csv")),
    ]
    command = [sys.executable, "-c", EVERY_FILE_IS_LONG, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        yield process


def test_the_log_and_the_errors_are_the_same_whoever_reads(workspace, tmp_path, monkeypatch):
    broken = "D9,too,few"
    repeated = many_deals()[1].replace("40", "41")
    folder = shop(tmp_path / "shop", [*many_deals()[:ROWS], broken, repeated])
    here, told_here = run(workspace, folder)
    monkeypatch.setattr(apart, "BYTES_MIN", 0)
    with Workspace.open(tmp_path, workspace.database_url, "apart") as other:
        there, told_there = run(other, folder)
        assert story(workspace) == story(other)
    assert here.total == there.total
    assert told_here == told_there
    assert len(told_here) > ROWS // 5


@pytest.mark.usefixtures("_apart")
def test_the_process_that_reads_starts_before_there_is_a_log_and_ends_if_none_is_opened(tmp_path):
    folder = shop(tmp_path / "shop")
    with Feed(recipe(folder), folder):
        assert len(readers()) == 1


@pytest.mark.usefixtures("_apart")
def test_a_file_that_is_read_apart_changes_what_changed_in_it(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    again, errors = run(workspace, shop(tmp_path / "shop"))
    assert (again.total.unchanged, again.total.events, errors) == (again.total.rows, 0, [])
    revised = [deal.replace("4500", "4600") for deal in DEALS]
    changed, errors = run(workspace, shop(tmp_path / "shop", revised, CUSTOMERS))
    assert (changed.total.changed, errors) == (1, [])


@pytest.mark.usefixtures("_apart")
def test_when_the_process_that_reads_is_killed_the_import_says_so_and_can_be_repeated(
    workspace, tmp_path, monkeypatch
):
    folder = shop(tmp_path / "shop", many_deals()[:ROWS])
    hear = apart.Process.hear

    def hear_and_kill(process):
        heard = hear(process)
        if heard and len(heard[1]) == 500:  # the first of the deals
            for reader in readers():
                reader.kill()
        return heard

    monkeypatch.setattr(apart.Process, "hear", hear_and_kill)
    with pytest.raises(ProcessLost, match="Import again"):
        run(workspace, folder)
    monkeypatch.setattr(apart.Process, "hear", hear)
    summary, _ = run(workspace, folder)
    assert summary.total.failed == ROWS // 5
    with Workspace.open(tmp_path, workspace.database_url, "uninterrupted") as other:
        run(other, folder)
        assert story(workspace) == story(other)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda process: os.kill(process.pid, signal.SIGKILL), -signal.SIGKILL),
        (lambda process: os.killpg(process.pid, signal.SIGINT), 130),
    ],
    ids=["kill -9", "Ctrl-C"],
)
def test_an_import_that_ends_takes_the_process_that_reads_along_and_can_be_repeated(
    workspace, tmp_path, end, code
):
    folder = shop(tmp_path / "shop", many_deals()[:ROWS])
    with importing(folder, workspace) as process:
        while not (reading := readers(process.pid)):
            assert process.poll() is None
            time.sleep(0.01)
        wait_for(workspace, ROWS // 3, process)
        end(process)
        _, said = process.communicate(timeout=30)
        assert process.returncode == code
        assert b"Traceback" not in said
        ended, alive = psutil.wait_procs(reading, timeout=30)
        assert (len(ended), alive) == (1, [])
    summary, _ = run(workspace, folder)
    assert 0 < summary.total.unchanged < summary.total.rows
    with Workspace.open(tmp_path, workspace.database_url, "uninterrupted") as other:
        run(other, folder)
        assert story(workspace) == story(other)


@pytest.mark.usefixtures("_apart")
def test_what_the_other_process_cannot_read_is_told_here(workspace, tmp_path):
    folder = shop(tmp_path / "shop")
    with (folder / "deals.csv").open("a", encoding="utf-8") as file:
        file.write("D5," + "x" * (csv.field_size_limit() + 1) + "\n")
    with pytest.raises(csv.Error, match="field larger"):
        run(workspace, folder)
