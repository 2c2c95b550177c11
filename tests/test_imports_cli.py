"""`backstory import`, with and without a running server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cli.session import session
from tests.imports_shop import DEALS, shop
from tests.test_cli import Shell, served

if TYPE_CHECKING:
    from pathlib import Path

BAD = "X,Moses,GTX,Acme,New,10.02.2024,,,no,"
MORE = "E1,Moses,GTX Pro,Acme,New,14.02.2024,,,no,1"


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "data", capsys)


def test_files_are_imported_whether_or_not_a_server_runs(shell: Shell, tmp_path: Path):
    folder = shop(tmp_path / "shop")
    arguments = ("import", str(folder / "shop.toml"), str(folder), "--errors", f"{folder}/bad.csv")
    dry = shell.json(*arguments, "--dry-run")
    assert (dry["dry_run"], dry["rows"], dry["failed"], dry["errors_file"]) == (True, 12, 0, None)

    done = shell.json(*arguments)
    counts = ("rows", "imported", "changed", "unchanged", "failed", "commands", "skipped", "events")
    assert {name: done[name] for name in counts} == {name: dry[name] for name in counts}
    assert done["dry_run"] is False
    assert set(done["steps"]) == {"agent", "customer", "pipeline", "deal"}

    shop(folder, [*DEALS, MORE, BAD])
    with served(shell.data):
        more = shell.json(*arguments, code=1)
        assert (more["imported"], more["failed"]) == (1, 1)
        assert more["errors_file"] == f"{folder}/bad.csv"
    said = shell(*arguments, code=1)
    assert "shop" in said
    assert "1 rows were not taken, or not whole: see" in " ".join(shell.err.split())
    with session(shell.data, None, "test") as opened:
        events = [event.event.type for event in opened.workspace.log.read(types=["deal"])]
        assert events.count("deal.opened.v1") == 5


def test_what_cannot_be_imported_is_wrong_use(shell: Shell, tmp_path: Path):
    folder = shop(tmp_path / "shop")
    shell("import", "nope", str(folder), code=2)
    assert "there is no recipe nope" in " ".join(shell.err.replace("│", "").split())
    (folder / "prices.csv").unlink()
    shell("import", str(folder / "shop.toml"), str(folder), code=2)
    assert "there is no prices.csv" in " ".join(shell.err.replace("│", "").split())


def test_an_import_may_be_in_the_name_of_a_user(shell: Shell, tmp_path: Path):
    folder = shop(tmp_path / "shop")
    arguments = ("import", str(folder / "shop.toml"), str(folder))
    shell(*arguments, "--actor", "nobody@example.com", code=1)
    shell(*arguments)
    with session(shell.data, None, "test") as opened:
        moses = next(opened.workspace.log.read(types=["user"])).stream_id
    shop(folder, [*DEALS, MORE])
    assert json.loads(shell(*arguments, "--actor", str(moses), "--json"))["imported"] == 1
    with session(shell.data, None, "test") as opened:
        assert [event.event.type for event in opened.workspace.log.read(actor=moses)] == [
            "import_run.started.v1",
            "deal.opened.v1",
            "import_run.ended.v1",
        ]
    listed = json.loads(shell("imports", "--json"))
    assert [(run["created"], run["rows"], run["status"]) for run in listed] == [
        (10, 12, "ended"),
        (1, 14, "ended"),
    ]
    assert listed[1]["started_by"] == str(moses)
    assert "deals.csv" in shell("imports")
    last = listed[1]["run"]
    kept = ("--kept", str(tmp_path / "kept.csv"))
    dry = json.loads(shell("import", "revert", last[:8], "--dry-run", *kept, "--json"))
    assert (dry["retracted"], dry["kept"], dry["kept_file"], dry["dry_run"]) == (1, 0, None, True)
    assert "1 records taken back" in shell("import", "revert", last, "--yes", *kept)
    shell("imports", "revert", last)
    assert "taken back before: nothing to do" in " ".join(shell.err.split())
    assert json.loads(shell("imports", "--json"))[1]["status"] == "reverted"
    shell("import", "revert", "00000000", "--yes", code=1)
    assert "there is no run" in shell.err
