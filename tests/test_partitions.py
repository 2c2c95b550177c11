"""However a rebuild is cut into batches, runs or parts, what it makes is the same."""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import projections.catch_up
from cli.demo.history import history, tell
from eventstore.workspace import Workspace
from eventstore.writer import Writer
from projections.catch_up import catch_up
from replay.cluster import RayMissing, on_ray
from replay.partitions import build_in_parts
from replay.rebuild import build
from replay.tables import folder_of, new_generation, open_tables
from tests.databases import empty_database
from tests.random_log import dice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from replay.partitions import Part

END = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Workspace]:
    """The first weeks of the demo's company."""
    with (
        empty_database(postgres_url) as url,
        Workspace.open(tmp_path_factory.mktemp("parts"), url) as workspace,
    ):
        with Writer(workspace.log) as writer:
            tell(history(END)[:260], writer, lambda _: None)
        yield workspace


@pytest.fixture(scope="module")
def expected(workspace: Workspace) -> dict[str, str]:
    """The digests of tables made in one go."""
    return digests(workspace, build(workspace))


def digests(workspace: Workspace, generation: Path) -> dict[str, str]:
    with closing(open_tables(workspace, generation)) as tables:
        assert tables.position == tables.taken == workspace.log.last_position()
        assert list(catch_up(tables, workspace.log.read_arrow)) == []
        return tables.database.digests(values=True)


@pytest.mark.parametrize("rows", [7, 1_000, 50_000])
def test_the_size_of_batches_leaves_no_trace(
    workspace: Workspace, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch, rows: int
):
    monkeypatch.setattr(projections.catch_up, "BATCH_ROWS", rows)
    monkeypatch.setattr(projections.catch_up, "SETTLE_ROWS", 70)
    assert digests(workspace, build(workspace)) == expected


@pytest.mark.parametrize("seed", range(3))
def test_restarts_leave_no_trace(
    workspace: Workspace, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch, seed: int
):
    chance, last = dice(seed), workspace.log.last_position()
    monkeypatch.setattr(projections.catch_up, "SETTLE_ROWS", 50)
    generation, position, restarts = new_generation(workspace.directory), 0, 0
    while position < last:
        monkeypatch.setattr(projections.catch_up, "BATCH_ROWS", chance.randrange(20, 90))
        with closing(open_tables(workspace, generation)) as tables:
            for taken in catch_up(tables, workspace.log.read_arrow):
                if taken.position < last and chance.random() < 0.5:
                    restarts += 1
                    break
            position = tables.position
    assert restarts
    assert digests(workspace, generation) == expected


@pytest.mark.parametrize("parts", [1, 3])
def test_parts_put_together_are_the_whole(
    workspace: Workspace, expected: dict[str, str], parts: int
):
    told: list[int] = []
    generation = build_in_parts(workspace, told.append, parts=parts)
    assert digests(workspace, generation) == expected
    assert told == sorted(told)
    assert told[-1] == workspace.log.last_position()
    assert {path.suffix for path in generation.iterdir()} == {".duckdb"}


def test_every_stream_is_in_one_part(workspace: Workspace):
    read, last = workspace.log.read_arrow, workspace.log.last_position()
    streams = [set(read(0, last, (number, 4))["stream_id"].to_pylist()) for number in range(4)]
    assert all(streams)
    assert sum(map(len, streams)) == len(set(read(0, last)["stream_id"].to_pylist()))


def test_a_part_that_fails_leaves_nothing(workspace: Workspace):
    def failing(build: Callable[[Part], int], parts: Sequence[Part]) -> Iterator[int]:
        yield build(parts[0])
        raise ConnectionError("a machine went away")

    before = set(folder_of(workspace.directory).iterdir())
    with pytest.raises(ConnectionError):
        build_in_parts(workspace, parts=2, run=failing)
    assert set(folder_of(workspace.directory).iterdir()) == before


@pytest.mark.filterwarnings("ignore")  # Ray warns of what it is about to change
def test_parts_built_on_a_cluster_are_the_same(workspace: Workspace, expected: dict[str, str]):
    generation = build_in_parts(workspace, parts=2, run=on_ray())
    assert digests(workspace, generation) == expected


def test_a_cluster_needs_the_extra(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RayMissing, match=r"backstory\[cluster\]"):
        build_in_parts(workspace, parts=2, run=on_ray())
