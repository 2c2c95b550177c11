"""What is published elsewhere is what the tables are, whoever reads and wherever it breaks off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

import replay.lake
from cli import main
from eventstore.workspace import Workspace
from projections.catch_up import catch_up
from projections.tables import Tables, declared_name
from readmodels.digest import digest
from replay.lake import LAKE, Lake, LakeMissing, _secret, open_lake
from replay.publication import publish
from replay.tables import tables_in
from tests.databases import empty_database
from tests.random_log import dice

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

SCHEMA = "lake_of_a_test"


@pytest.fixture(scope="module")
def expected(first_tables: Tables) -> dict[str, str]:
    """The digests of what is published at the end of the log."""
    found = first_tables.digests()
    return {table.name: found[table.name] for table in tables_in("main")}


def digests(connection: DuckDBPyConnection) -> dict[str, str]:
    return {t.name: digest(connection, LAKE, t, values=False) for t in tables_in("main")}


def steps(first_weeks: Workspace, count: int) -> list[int]:
    last = first_weeks.log.last_position()
    return [last * number // count for number in range(1, count + 1)]


def test_one_writer_and_four_readers(
    first_weeks: Workspace, expected: dict[str, str], postgres_url: str, tmp_path: Path
):
    last = first_weeks.log.last_position()
    with empty_database(postgres_url) as url, closing(Tables(tmp_path / "own")) as own:
        with closing(Lake(url, SCHEMA, tmp_path / "data")) as lake:
            looks: list[tuple[int, int, dict[str, str]]] = []
            readers: list[subprocess.Popen[str]] = []
            for until in steps(first_weeks, 4):
                list(catch_up(own, first_weeks.log.read_arrow, until))
                own.settle(fully=True)
                assert publish(own, lake) == until
                if not readers:
                    readers = [reading(url, last) for _ in range(4)]
                    looks = [json.loads(each.stdout.readline()) for each in readers]
        for each in readers:
            looks += map(json.loads, each.communicate(timeout=60)[0].splitlines())
        assert [each.returncode for each in readers] == [0] * 4
        for position, events, found in looks:
            assert events <= position  # never a row of what is not published yet
            assert position < last or found.items() <= expected.items()
        assert sum(position == last for position, *_ in looks) == 4
        assert any(0 < position < last for position, *_ in looks)
        with open_lake(url, SCHEMA) as reader:
            assert digests(reader) == expected


def reading(url: str, until: int) -> subprocess.Popen[str]:
    """A process that looks at a lake until it has come to a position."""
    command = [sys.executable, "-m", "tests.reading_lake", url, SCHEMA, str(until)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_restarts_at_random_points_leave_no_trace(
    first_weeks: Workspace,
    expected: dict[str, str],
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
    with empty_database(postgres_url) as url, closing(Tables(tmp_path / "own")) as own:
        for until in [*sorted(chance.sample(range(first_weeks.log.last_position()), 2)), 10**9]:
            list(catch_up(own, first_weeks.log.read_arrow, until))
            own.settle(fully=True)
            done = False
            while not done:
                with closing(Lake(url, SCHEMA, tmp_path / "data")) as lake:
                    try:
                        publish(own, lake)
                        done = True
                    except ConnectionError:
                        broken += 1
        assert broken
        with open_lake(url, SCHEMA) as reader:
            assert digests(reader) == expected


def test_a_lake_tells_of_the_past_and_of_reports(
    first_tables: Tables, postgres_url: str, tmp_path: Path
):
    with empty_database(postgres_url) as url:
        with closing(Lake(url, SCHEMA, tmp_path / "data")) as lake:
            publish(first_tables, lake)
            assert lake.position(declared_name()) == first_tables.position
            assert lake.position("2-of-tomorrow") is None
        with open_lake(url, SCHEMA) as reader, first_tables.database.connection() as here:
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


@pytest.mark.skipif(
    "AWS_ENDPOINT_URL" not in os.environ,
    reason="needs an object storage: AWS_ENDPOINT_URL, its keys, and a bucket `lake`",
)
def test_a_lake_may_lie_in_object_storage(
    first_weeks: Workspace, expected: dict[str, str], postgres_url: str, tmp_path: Path
):
    data = f"s3://lake/{uuid4()}"
    with empty_database(postgres_url) as url, closing(Tables(tmp_path / "own")) as own:
        with closing(Lake(url, SCHEMA, data)) as lake:
            for until in steps(first_weeks, 2):
                list(catch_up(own, first_weeks.log.read_arrow, until))
                own.settle(fully=True)
                assert publish(own, lake) == until
        with reading(url, first_weeks.log.last_position()) as reader:
            [*_, last] = map(json.loads, reader.communicate(timeout=60)[0].splitlines())
        assert last[2].items() <= expected.items()
        with open_lake(url, SCHEMA) as reader_here:
            assert digests(reader_here) == expected
            files = reader_here.execute(f"SELECT count(*) FROM glob('{data}/**/*.parquet')")
            assert files.fetchone()[0] > 10


def test_the_keys_of_an_object_storage_come_from_the_variables_of_its_tools():
    keys = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "it's", "AWS_REGION": "eu-1"}
    assert _secret(keys) == (
        "CREATE SECRET storage (TYPE s3, KEY_ID 'me', SECRET 'it''s', REGION 'eu-1')"
    )
    own = _secret(keys | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"})
    assert own.endswith("ENDPOINT '127.0.0.1:9000', URL_STYLE 'path', USE_SSL 'false')")


def test_a_lake_of_other_declarations_is_made_anew(
    first_tables: Tables,
    expected: dict[str, str],
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    with empty_database(postgres_url) as url:
        with closing(Lake(url, SCHEMA, tmp_path / "data")) as lake:
            with monkeypatch.context() as patch:
                patch.setattr("replay.publication.declared_name", lambda: "2-of-yesterday")
                publish(first_tables, lake)
            publish(first_tables, lake)
        with open_lake(url, SCHEMA) as reader:
            assert digests(reader) == expected


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replay.lake, "find_spec", lambda _: None)
    with pytest.raises(LakeMissing, match=r"backstory\[lake\]"):
        open_lake("postgresql://nowhere", SCHEMA)


def test_the_command_line_publishes_what_the_log_says(
    first_weeks: Workspace,
    expected: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    url = first_weeks.database_url
    given = ["--data", str(tmp_path / "data"), "--database-url", url, "--once"]
    (tmp_path / "data").mkdir()
    key = (first_weeks.directory / "master.key").read_bytes()
    (tmp_path / "data" / "master.key").write_bytes(key)
    assert main(["publish", "lake", "--storage", str(tmp_path / "lake"), *given]) == 0
    assert f"position {first_weeks.log.last_position():,}" in capsys.readouterr().err
    with open_lake(url, "lake_of_default") as reader:
        assert digests(reader) == expected
