"""A notebook looks at what the tables say, wherever they are; `test_docs.py` has one that ran."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import jupytext
import pytest

import cli.notebook
from cli import main
from cli.look import Look
from cli.tables import Refused
from replay.snapshot import Format, WrongFormat, write_snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from eventstore.workspace import Workspace
    from projections.tables import Tables

FUNNEL = "FROM lead_funnel() ORDER BY ALL"
AS_OF = "2024-07-25"


@pytest.fixture(scope="module")
def snapshot(
    first_weeks: Workspace, first_tables: Tables, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("looked_at") / "snapshot"
    write_snapshot(first_tables, first_weeks, folder, Format.duckdb)
    return folder


@pytest.fixture
def prepared(snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Prepares a notebook about a snapshot; tells what was to be opened instead of opening it."""
    opened: list[list[str]] = []
    monkeypatch.setattr(cli.notebook, "find_spec", lambda _: True)

    def call(command: list[str]) -> int:
        opened.append(command)
        return 0

    monkeypatch.setattr(subprocess, "call", call)

    def prepare(file: str, *given: str) -> list[str]:
        where = ["--snapshot", str(snapshot), "-o", str(tmp_path / file)]
        assert main(["notebook", *where, *given]) == 0
        return opened.pop()

    return prepare


def test_a_look_at_a_snapshot_is_a_look_at_the_tables(
    first_weeks: Workspace, first_tables: Tables, snapshot: Path
):
    last = first_weeks.log.last_position()
    for as_of, known_at in ((None, None), (AS_OF, None), (AS_OF, str(last // 2))):
        then = Look(snapshot, as_of, known_at)
        assert then.within.known_at == int(known_at or last)
        assert then.sql(FUNNEL).equals(
            first_tables.database.sql_as_of(
                FUNNEL, as_of=then.within.as_of, known_at=then.within.known_at
            )
        )
    [*_, late] = first_weeks.log.read(limit=40)
    at = late.recorded_at
    assert Look(snapshot, known_at=at.isoformat()).within.known_at == (
        first_weeks.log.position_at(at)
    )


def test_a_look_at_a_workspace_stays_at_the_position_where_it_began(
    first_weeks: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BACKSTORY_DATABASE_URL", first_weeks.database_url)
    (tmp_path / "master.key").write_bytes((first_weeks.directory / "master.key").read_bytes())
    then = Look(tmp_path, AS_OF)
    assert then.within.known_at == first_weeks.log.last_position()
    assert str(then).endswith(
        f"as of {AS_OF} 23:59 UTC, as known at position {then.within.known_at}"
    )
    assert then.sql("SELECT count(*) FROM lead").item() > 0


def test_a_look_draws_what_there_is_and_says_what_there_is_not(snapshot: Path):
    then = Look(snapshot)
    assert then.draw("funnel").to_dict()["title"]["text"] == "From lead to sale"
    assert then.draw("scores").startswith("there is nothing to draw: no scores")
    assert "but of pipeline, funnel" in then.draw("circus")


def test_what_cannot_be_looked_at_is_said(
    first_weeks: Workspace, first_tables: Tables, tmp_path: Path
):
    with pytest.raises(Refused, match="neither a snapshot nor the directory of a workspace"):
        Look(tmp_path / "nowhere")
    write_snapshot(first_tables, first_weeks, tmp_path / "p", Format.parquet)
    with pytest.raises(WrongFormat, match="in parquet, not in DuckDB"):
        Look(tmp_path / "p").sql(FUNNEL)


@pytest.mark.parametrize("file", ["n.ipynb", "n.py"])
def test_a_prepared_notebook_begins_with_what_was_asked(
    snapshot: Path, tmp_path: Path, prepared: Any, file: str
):
    command = prepared(file, "--as-of", AS_OF, "--since", "2024-07-10")
    assert command[1:] == ["-m", "jupyterlab", str(tmp_path / file)]
    [cell] = [c for c in jupytext.read(tmp_path / file).cells if "tags" in c.metadata]
    said: dict[str, Any] = {}
    exec(cell.source, said)  # noqa: S102 - it is ours
    asked = [said[name] for name in ("PLACE", "AS_OF", "KNOWN_AT", "SINCE")]
    assert asked == [str(snapshot), AS_OF, None, "2024-07-10"]


def test_a_notebook_that_is_there_is_opened_as_it_is(
    tmp_path: Path, prepared: Any, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "mine.py").write_text("# mine")
    prepared("mine.py")
    assert (tmp_path / "mine.py").read_text() == "# mine"
    assert "is there already" in capsys.readouterr().err


def test_what_is_missing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cli.notebook, "find_spec", lambda name: name != "jupyterlab")
    assert main(["notebook", "-o", str(tmp_path / "n.ipynb")]) == 1
    assert "pip install 'backstory[notebook]'" in capsys.readouterr().err
    assert main(["notebook", "--snapshot", str(tmp_path), "-o", str(tmp_path / "n.ipynb")]) == 1
