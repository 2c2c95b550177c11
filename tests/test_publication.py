"""What is published elsewhere is what the tables are, whoever reads and wherever it breaks off."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import replay.lake
from cli import main
from cli.demo.history import history, tell
from eventstore.workspace import Workspace
from eventstore.writer import Writer
from projections.catch_up import catch_up
from projections.tables import Tables, declared_name
from readmodels.digest import digest
from replay.lake import LAKE, Lake, LakeMissing, open_lake
from replay.publication import publish
from replay.tables import tables_in
from tests.databases import empty_database
from tests.random_log import dice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duckdb import DuckDBPyConnection

END = datetime(2026, 7, 1, tzinfo=UTC)
SCHEMA = "lake_of_a_test"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Workspace]:
    """The first weeks of the demo's company."""
    with (
        empty_database(postgres_url) as url,
        Workspace.open(tmp_path_factory.mktemp("published"), url) as workspace,
    ):
        with Writer(workspace.log) as writer:
            tell(history(END)[:200], writer, lambda _: None)
        yield workspace


@pytest.fixture(scope="module")
def tables(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    with closing(Tables(tmp_path_factory.mktemp("tables"))) as tables:
        list(catch_up(tables, workspace.log.read_arrow))
        yield tables


def digests(connection: DuckDBPyConnection) -> dict[str, str]:
    return {t.name: digest(connection, LAKE, t, values=False) for t in tables_in("main")}


def steps(workspace: Workspace, count: int) -> list[int]:
    last = workspace.log.last_position()
    return [last * number // count for number in range(1, count + 1)]


def test_one_writer_and_four_readers(
    workspace: Workspace, tables: Tables, postgres_url: str, tmp_path: Path
):
    last = workspace.log.last_position()
    with empty_database(postgres_url) as url, closing(Tables(tmp_path / "own")) as own:
        with closing(Lake(url, SCHEMA, tmp_path / "data")) as lake:
            publish(own, lake)
            command = [sys.executable, "-m", "tests.reading_lake", url, SCHEMA, str(last)]
            readers = [
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)
            ]
            for until in steps(workspace, 5):
                list(catch_up(own, workspace.log.read_arrow, until))
                own.settle(fully=True)
                assert publish(own, lake) == until
            said = [reader.communicate(timeout=60)[0] for reader in readers]
        looks = [json.loads(line) for lines in said for line in lines.splitlines()]
        assert [reader.returncode for reader in readers] == [0] * 4
        for position, events, _ in looks:
            assert events <= position  # never a row of what is not published yet
        assert len({json.dumps(found) for position, _, found in looks if position == last}) == 1
        expected = tables.digests()
        for position, _, found in looks:
            if position == last:
                assert found.items() <= expected.items()
        with open_lake(url, SCHEMA) as reader:
            assert digests(reader) == expected


def test_restarts_at_random_points_leave_no_trace(
    workspace: Workspace,
    tables: Tables,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    chance, take, broken = dice(0), Lake._take, 0

    def sometimes(self: Lake, *given: object) -> None:
        if chance.random() < 0.02:
            raise ConnectionError("cut")
        take(self, *given)

    monkeypatch.setattr(Lake, "_take", sometimes)
    with empty_database(postgres_url) as url:
        for until in [*sorted(chance.sample(range(workspace.log.last_position()), 3)), 10**9]:
            done = False
            while not done:
                with (
                    closing(Tables(tmp_path / "own")) as own,
                    closing(Lake(url, SCHEMA, tmp_path / "data")) as lake,
                ):
                    list(catch_up(own, workspace.log.read_arrow, until))
                    own.settle(fully=True)
                    try:
                        publish(own, lake)
                        done = True
                    except ConnectionError:
                        broken += 1
        assert broken
        with open_lake(url, SCHEMA) as reader:
            assert digests(reader) == tables.digests()


def test_a_lake_tells_of_the_past_and_of_reports(tables: Tables, postgres_url: str, tmp_path: Path):
    with empty_database(postgres_url) as url:
        with closing(Lake(url, SCHEMA, tmp_path / "data")) as lake:
            publish(tables, lake)
            assert lake.position(declared_name()) == tables.position
            assert lake.position("2-of-tomorrow") is None
        with open_lake(url, SCHEMA) as reader, tables.database.connection() as here:
            for sql in (
                "FROM deal ORDER BY id",
                "FROM deal_history ORDER BY id, position",
                "FROM deal_at('2024-08-01') ORDER BY id",
                "FROM deal_pipeline() ORDER BY ALL",
                "FROM lead_funnel('2024-08-01', position_at('2030-01-01')) ORDER BY ALL",
            ):
                assert reader.execute(sql).fetchall() == here.execute(sql).fetchall()
            found = reader.execute(
                "SELECT comment FROM duckdb_columns() WHERE database_name = 'lake' "
                "AND table_name = 'deal_current' AND column_name = 'amount'"
            ).fetchall()
            assert "Unit: money" in found[0][0]
            assert reader.execute("SELECT count(*) FROM lake.main.deal").fetchall() == (
                here.execute("SELECT count(*) FROM deal").fetchall()
            )


def test_a_lake_of_other_declarations_is_made_anew(
    tables: Tables, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with empty_database(postgres_url) as url:
        with closing(Lake(url, SCHEMA, tmp_path / "data")) as lake:
            with monkeypatch.context() as patch:
                patch.setattr("replay.publication.declared_name", lambda: "2-of-yesterday")
                publish(tables, lake)
            publish(tables, lake)
        with open_lake(url, SCHEMA) as reader:
            assert digests(reader) == tables.digests()


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replay.lake, "find_spec", lambda _: None)
    with pytest.raises(LakeMissing, match=r"backstory\[lake\]"):
        open_lake("postgresql://nowhere", SCHEMA)


def test_the_command_line_publishes_what_the_log_says(
    tables: Tables, workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    url = workspace.database_url
    given = ["--data", str(tmp_path / "data"), "--database-url", url, "--once"]
    (tmp_path / "data").mkdir()
    key = (workspace.directory / "master.key").read_bytes()
    (tmp_path / "data" / "master.key").write_bytes(key)
    assert main(["publish", "lake", "--storage", str(tmp_path / "lake"), *given]) == 0
    assert f"position {tables.position:,}" in capsys.readouterr().err
    with open_lake(url, "lake_of_default") as reader:
        assert digests(reader) == tables.digests()
