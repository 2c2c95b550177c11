"""What can be asked of learners in SQL: how good they are, and why a score is what it is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

import readmodels
from domain.score import OutcomeLearned, ScoreRecorded
from learning.customer_health import CustomerHealth
from learning.follower import Follower
from learning.lead_conversion import LeadConversion
from projections.score import score, score_change, score_outcome
from projections.tables import Tables
from readmodels.query import Moment, page
from readmodels.score import score_explained
from tests.learning_story import DAY, START, as_new, customers, leads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore.workspace import Workspace

TENTHS = 10


@pytest.fixture
def scored(workspace: Workspace) -> Workspace:
    """A log of leads and customers, with what the learners said of them."""
    with workspace.log.transaction() as turn:
        turn.append(list(as_new([*leads(120), *customers(8, 130)])))
    for learner in (LeadConversion(), CustomerHealth()):
        follower = Follower(workspace, learner)
        while follower.step():
            pass
    return workspace


@pytest.fixture
def tables(scored: Workspace, tmp_path: Path) -> Iterator[Tables]:
    opened = Tables(tmp_path / "tables", dimensions=[score], facts=[score_change, score_outcome])
    opened.apply(scored.log.read_arrow(0, 1_000_000))
    with opened.database.connection() as connection:
        connection.execute(f'USE "{opened.database.catalog}"')
        for name in ("learner.sql", "score.sql"):
            path = Path(readmodels.__file__).parent / name
            connection.execute(path.read_text(encoding="utf-8"))
    yield opened
    opened.close()


def outcomes(workspace: Workspace, learner: str) -> list[OutcomeLearned]:
    return [
        found.event
        for found in workspace.log.read(types=[OutcomeLearned.type])
        if isinstance(found.event, OutcomeLearned) and found.event.learner == learner
    ]


@pytest.mark.parametrize("learner", ["lead_conversion", "customer_health"])
def test_the_figures_are_those_one_computes_by_hand(
    scored: Workspace, tables: Tables, learner: str
):
    judged = outcomes(scored, learner)
    (row,) = tables.database.query(
        "FROM learner_performance() WHERE learner = ?", [learner]
    ).to_dicts()
    happened = [each.predicted for each in judged if each.outcome]
    not_so = [each.predicted for each in judged if not each.outcome]
    above = sum((a > b) + (a == b) / 2 for a in happened for b in not_so)
    assert row["outcomes"] == len(judged)
    assert row["base_rate"] == pytest.approx(len(happened) / len(judged))
    assert row["auc"] == pytest.approx(above / len(happened) / len(not_so))
    told = [each.predicted if each.outcome else 1 - each.predicted for each in judged]
    assert row["log_loss"] == pytest.approx(-sum(map(math.log, told)) / len(told))
    assert row["brier"] == pytest.approx(sum((1 - each) ** 2 for each in told) / len(told))
    assert row["calibration_error"] == pytest.approx(_calibration_error(judged))


def _calibration_error(judged: list[OutcomeLearned]) -> float:
    tenths: dict[int, list[float]] = {}
    for each in judged:
        bin_ = min(int(each.predicted * TENTHS), TENTHS - 1)
        tenths.setdefault(bin_, []).append(each.predicted - each.outcome)
    return sum(abs(sum(gaps)) for gaps in tenths.values()) / len(judged)


def test_a_learner_that_has_seen_one_side_only_has_no_rank(tables: Tables):
    rows = tables.database.query(
        "FROM learner_performance(known_at := (SELECT min(position) FROM score_outcome))"
    )
    assert rows["outcomes"].to_list() == [1]
    assert rows["auc"].to_list() == [None]


def test_the_tenths_hold_every_outcome_once(tables: Tables):
    count = tables.database.query("SELECT learner, count(*) AS n FROM score_outcome GROUP BY ALL")
    for macro in ("learner_calibration", "learner_progress"):
        split = tables.database.query(
            f"SELECT learner, sum(outcomes)::BIGINT AS n FROM {macro}() GROUP BY ALL"
        )
        assert dict(split.iter_rows()) == dict(count.iter_rows())


def test_figures_can_be_asked_as_of_a_time_and_as_known_at_a_position(
    scored: Workspace, tables: Tables
):
    moment = START + 20 * DAY
    learned = list(scored.log.read(types=[OutcomeLearned.type]))
    until = [each for each in learned if each.occurred_at <= moment]
    found = tables.database.query("FROM learner_performance(as_of := ?)", [moment])
    assert found["outcomes"].sum() == len(until)
    position = learned[9].position
    found = tables.database.query("FROM learner_performance(known_at := ?)", [position])
    assert found["outcomes"].sum() == TENTHS


def test_what_a_score_is_made_of_adds_up_to_it(scored: Workspace, tables: Tables):
    sums = tables.database.query(
        "SELECT position, any_value(value) AS value, any_value(previous_value) AS previous, "
        "sum(log_odds) AS log_odds, sum(moved) AS moved FROM score_explained() GROUP BY position"
    )
    said = list(scored.log.read(types=[ScoreRecorded.type]))
    assert sorted(sums["position"]) == [each.position for each in said]
    for row in sums.iter_rows(named=True):
        log_odds = math.log(row["value"] / (1 - row["value"]))
        assert row["log_odds"] == pytest.approx(log_odds, abs=1e-9)
        if row["previous"] is not None:
            before = math.log(row["previous"] / (1 - row["previous"]))
            assert row["moved"] == pytest.approx(log_odds - before, abs=1e-9)


def test_the_scores_of_one_record_are_asked_alone(tables: Tables):
    subjects = tables.database.query("SELECT DISTINCT subject_id FROM score_change LIMIT 3")
    for subject in subjects.to_series():
        given = dict.fromkeys(score_explained.parameters) | {"subject_id": UUID(subject)}
        rows = page(
            tables.database, score_explained, Moment(None, 10**6), given, limit=10_000
        ).items
        assert {row["subject_id"] for row in rows} == {subject}
        whole = "SELECT count(*) FROM score_explained() WHERE subject_id = ?"
        assert len(rows) == tables.database.query(whole, [subject]).item()


def test_why_a_score_moved_is_told_input_by_input(scored: Workspace, tables: Tables):
    *_, after = (
        each.event
        for each in scored.log.read(types=[ScoreRecorded.type])
        if isinstance(each.event, ScoreRecorded) and each.event.learner == "customer_health"
    )
    rows = tables.database.query(
        "FROM score_explained() WHERE subject_id = ? AND cause_position = ?",
        [after.subject_id, after.cause_position],
    ).to_dicts()
    assert {row["input"] for row in rows} == {"intercept", *after.inputs}
    for row in rows:
        assert row["log_odds"] == after.contributions[row["input"]]
    moved = [abs(row["moved"]) for row in rows]
    assert moved == sorted(moved, reverse=True)
    known = next(row for row in rows if row["input"] == "days_known")
    assert known["says"] == str(after.inputs["days_known"])
    assert known["changed"] is True
    assert next(row for row in rows if row["input"] == "tier")["changed"] is False
