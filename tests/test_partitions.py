"""However a rebuild is cut into batches, runs or parts, what it makes is the same."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

import projections.catch_up
from projections.catch_up import catch_up
from replay.cluster import RayMissing, on_ray
from replay.partitions import build_in_parts
from replay.rebuild import build
from replay.tables import folder_of, new_generation, open_tables
from tests.random_log import dice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from eventstore.workspace import Workspace
    from projections.tables import Tables
    from replay.partitions import Part


@pytest.fixture(scope="module")
def expected(first_tables: Tables) -> dict[str, str]:
    """The digests of tables made in one go."""
    return first_tables.database.digests(values=True)


def digests(first_weeks: Workspace, generation: Path) -> dict[str, str]:
    with closing(open_tables(first_weeks, generation)) as tables:
        assert tables.position == tables.taken == first_weeks.log.last_position()
        assert list(catch_up(tables, first_weeks.log.read_arrow)) == []
        return tables.database.digests(values=True)


@pytest.mark.parametrize("rows", [7, 1_000, 50_000])
def test_the_size_of_batches_leaves_no_trace(
    first_weeks: Workspace, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch, rows: int
):
    monkeypatch.setattr(projections.catch_up, "BATCH_ROWS", rows)
    monkeypatch.setattr(projections.catch_up, "SETTLE_ROWS", 70)
    assert digests(first_weeks, build(first_weeks)) == expected


@pytest.mark.parametrize("seed", range(3))
def test_restarts_leave_no_trace(
    first_weeks: Workspace, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch, seed: int
):
    chance, last = dice(seed), first_weeks.log.last_position()
    monkeypatch.setattr(projections.catch_up, "SETTLE_ROWS", 50)
    generation, position, restarts = new_generation(first_weeks.directory), 0, 0
    while position < last:
        monkeypatch.setattr(projections.catch_up, "BATCH_ROWS", chance.randrange(20, 90))
        with closing(open_tables(first_weeks, generation)) as tables:
            for taken in catch_up(tables, first_weeks.log.read_arrow):
                if taken.position < last and chance.random() < 0.5:
                    restarts += 1
                    break
            position = tables.position
    assert restarts
    assert digests(first_weeks, generation) == expected


def test_parts_put_together_are_the_whole(first_weeks: Workspace, expected: dict[str, str]):
    told: list[int] = []
    generation = build_in_parts(first_weeks, told.append, parts=3)
    assert digests(first_weeks, generation) == expected
    assert told == sorted(told)
    assert told[-1] == first_weeks.log.last_position()
    assert {path.suffix for path in generation.iterdir()} == {".duckdb"}


def test_every_stream_is_in_one_part(first_weeks: Workspace):
    read, last = first_weeks.log.read_arrow, first_weeks.log.last_position()
    streams = [set(read(0, last, (number, 4))["stream_id"].to_pylist()) for number in range(4)]
    assert all(streams)
    assert sum(map(len, streams)) == len(set(read(0, last)["stream_id"].to_pylist()))


def test_a_part_that_fails_leaves_nothing(first_weeks: Workspace):
    def failing(build: Callable[[Part], int], parts: Sequence[Part]) -> Iterator[int]:
        yield build(parts[0])
        raise ConnectionError("a machine went away")

    before = set(folder_of(first_weeks.directory).iterdir())
    with pytest.raises(ConnectionError):
        build_in_parts(first_weeks, parts=2, run=failing)
    assert set(folder_of(first_weeks.directory).iterdir()) == before


@pytest.mark.filterwarnings("ignore")  # Ray warns of what it is about to change
def test_parts_built_on_a_cluster_are_the_same(first_weeks: Workspace, expected: dict[str, str]):
    generation = build_in_parts(first_weeks, parts=2, run=on_ray())
    assert digests(first_weeks, generation) == expected


def test_a_cluster_needs_the_extra(first_weeks: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RayMissing, match=r"backstory\[cluster\]"):
        build_in_parts(first_weeks, parts=2, run=on_ray())
