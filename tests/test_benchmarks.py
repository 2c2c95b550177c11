"""Each benchmark runs and says what must hold; how fast anything is, is not asked here."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING

import psycopg
import pytest
import structlog

from benchmarks import length, write
from benchmarks.__main__ import NAMES, main, warnings_only
from benchmarks.base import Must, Report, median_ratio, percentile
from benchmarks.contest import Ground

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MUSTS = {"write": 3, "length": 1, "import": 3, "rebuild": 4, "live": 3, "read": 7, "audit": 6}


@pytest.fixture
def _ground(tmp_path: Path, postgres_url: str, monkeypatch) -> Iterator[None]:
    """The server of the tests, and the shortest way through."""
    grounds: list[Ground] = []

    def prepared(options):
        grounds.append(Ground(tmp_path, postgres_url, options))
        return nullcontext(grounds[-1])

    monkeypatch.setattr(Ground, "prepared", prepared)
    monkeypatch.setattr(write, "POOLS", (5,))
    monkeypatch.setattr(length, "WINDOWS", 1)
    monkeypatch.setattr(write, "others", lambda *_: ())
    yield
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in (name for ground in grounds for name in ground.databases):
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.usefixtures("_ground")
@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_runs_and_says_what_must_hold(name, capsys):
    status = main([name, "--json", "--seconds", "0.3", "--rounds", "1", "--events", "300"])
    report = json.loads(capsys.readouterr().out)
    assert report["benchmark"] == name
    assert all(value >= 0 for row in report["figures"].values() for value in row.values())
    assert len(report["must"]) == MUSTS[name]
    for must in report["must"]:
        assert must.keys() >= {"name", "value", "holds"}
        assert len(must.keys() & {"at_least", "at_most"}) == 1
    assert status == (0 if all(must["holds"] for must in report["must"]) else 1)


def test_a_benchmark_leaves_the_log_lines_of_others_alone():
    before = structlog.get_config()
    with warnings_only():
        assert structlog.get_config() != before
    assert structlog.get_config() == before


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["bicycle"])
    assert "no benchmark bicycle" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("must", "holds"),
    [
        (Must("a", 4.0, at_least=4), True),
        (Must("a", 3.9, at_least=4), False),
        (Must("a", 1.0, at_most=1), True),
        (Must("a", 1.1, at_most=1), False),
    ],
)
def test_a_bound_is_kept_or_broken(must, holds):
    assert must.holds is holds
    assert Report("r", must=[must]).holds is holds


def test_percentiles_are_values_that_were_measured():
    assert [percentile([3, 1, 2], share) for share in (0, 0.5, 0.99)] == [1, 2, 3]
    assert percentile([], 0.5) == 0


def test_ratios_are_taken_round_by_round():
    assert median_ratio([10, 2, 30], [5, 2, 3]) == 2
