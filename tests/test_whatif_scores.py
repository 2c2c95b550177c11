"""What if a learner learned otherwise: scores and figures, beside those there are."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st

from domain.lead import LeadConverted
from domain.score import OutcomeLearned, ScoreRecorded
from learning.base import Ask, Training
from learning.follower import listen
from learning.lead_conversion import LeadConversion
from learning.model import BinnedLogisticRegression, chance_of
from learning.models import MODELS
from replay.reread import Retold, retold
from replay.rescoring import Silenced, learned, trainings
from replay.rules import OtherLearner
from tests.test_learning import area_under_curve
from tests.whatif_story import asked, middle, story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore.envelope import RecordedEvent
    from projections.tables import Tables
    from replay.whatif import Sides, WhatIf


BOTH: dict[str, Any] = {"lead_conversion": {}, "customer_health": {}}


def said(side: Tables, learner: str) -> list[tuple[Any, ...]]:
    asked = (
        "SELECT subject_id, value, model_version, contributions, cause_position FROM score_change "
        "WHERE learner = $learner ORDER BY position"
    )
    return side.database.query(asked, {"learner": learner}).rows()


@pytest.fixture(scope="module")
def relearned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WhatIf, Sides]]:
    """The same models, learned anew."""
    with asked(tmp_path_factory.mktemp("relearned"), {"score": BOTH}) as answered:
        yield answered


@pytest.mark.parametrize("learner", BOTH)
def test_learned_anew_the_scores_are_those_that_were_recorded(
    relearned: tuple[WhatIf, Sides], learner: str
):
    recorded = [
        (str(e.subject_id), e.value, e.model_version, e.contributions, e.cause_position)
        for e in (one.event for one in story().events)
        if isinstance(e, ScoreRecorded) and e.learner == learner
    ]
    again = said(relearned[1].base, learner)
    assert len(again) > 100
    assert [(str(a), b, c, json.loads(d), e) for a, b, c, d, e in again] == recorded


def test_by_the_same_models_every_score_is_the_same(relearned: tuple[WhatIf, Sides]):
    found, sides = relearned
    assert sides.base.digests() == sides.other.digests()
    assert [report.report for report in found.reports if report.differing] == []
    assert [(one.moved, one.movers) for one in found.scores] == [(0, ())] * 2
    assert all(one.scores > 10 for one in found.scores)


class Blind(LeadConversion):
    """Lead conversion that does not look at some inputs; written down anew for these tests."""

    def observe(self, recorded: RecordedEvent) -> Iterator[Any]:
        for one in super().observe(recorded):
            if isinstance(one, Ask):
                yield replace(one, features=without(one.features))
            else:
                yield one


def without(features: Any) -> dict[str, Any]:
    gone = ("custom.", "engagements", "source")
    return {name: value for name, value in features.items() if not name.startswith(gone)}


def test_another_way_of_learning_is_judged_as_if_by_hand(tmp_path: Path):
    learner = {"without": ["custom.*", "engagements*", "source"], "model": {"bins": 4}}
    with asked(tmp_path, {"score": {"lead_conversion": learner}}) as (found, sides):
        scores = {
            str(subject): value for subject, value, *_ in said(sides.other, "lead_conversion")
        }
        was = {str(subject): value for subject, value, *_ in said(sides.base, "lead_conversion")}
    training = Training(Blind(), BinnedLogisticRegression(bins=4))
    events = [one for one in story().events if isinstance(one.event, LeadConversion.follows)]
    by_hand = [one.event for one in listen(training, iter(events))]
    assert scores == {str(e.subject_id): e.value for e in by_hand if isinstance(e, ScoreRecorded)}
    judged = [(e.predicted, e.outcome) for e in by_hand if isinstance(e, OutcomeLearned)]
    assert len(judged) > 100
    performance = found.reports[0]
    [row] = [one for one in performance.differing if one.key["learner"] == "lead_conversion"]
    by_formula = {
        "outcomes": len(judged),
        "auc": area_under_curve(judged),
        "log_loss": -fmean(math.log(p if outcome else 1 - p) for p, outcome in judged),
        "brier": fmean((p - outcome) ** 2 for p, outcome in judged),
    }
    assert {name: row.would_be[name] for name in by_formula} == pytest.approx(by_formula)
    assert performance.report == "learner_performance"
    [moved] = found.scores
    by = {subject: abs(scores[subject] - was[subject]) for subject in scores}
    assert [one.subject_id for one in moved.movers] == sorted(by, key=lambda s: (-by[s], s))[:20]
    for one in moved.movers:
        assert (one.was, one.would_be) == (was[one.subject_id], scores[one.subject_id])
        assert all(r.would_be is None for r in one.because if not without({r.input: 0}))


@pytest.mark.parametrize("kind", ["hoeffding_tree", "naive_bayes"])
def test_a_model_that_cannot_say_why_says_so(tmp_path: Path, kind: str):
    rules = {"score": {"lead_conversion": {"model": {"kind": kind}}}}
    with asked(tmp_path, rules, after=middle()) as (found, sides):
        gave = sides.other.database.query(
            "SELECT DISTINCT json_keys(contributions) AS k FROM score_change "
            "WHERE learner = 'lead_conversion'"
        )
    assert gave["k"].to_list() == [["intercept"]]
    [moved] = found.scores
    assert moved.moved > 10
    assert {one.because for one in moved.movers} == {()}
    [row] = [one for one in found.reports[0].differing if one.key["learner"] == "lead_conversion"]
    assert 0 < row.was["outcomes"] == row.would_be["outcomes"]


@pytest.mark.parametrize("kind", MODELS)
@for_any(st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_a_model_learns_the_same_in_whatever_order_inputs_are_named(kind, chance):
    one, other = MODELS[kind](), MODELS[kind]()
    rows = [
        ({"n": n % 7, "s": "ab"[n % 2], "m": None, "t": n % 3 == 0}, n % 5 < 2) for n in range(300)
    ]
    for row, outcome in rows:
        inputs = list(row.items())
        chance.shuffle(inputs)
        one.learn_one(row, outcome)
        other.learn_one(dict(inputs), outcome)
    assert [one.explain_one(x) for x, _ in rows[:20]] == [
        other.explain_one(x) for x, _ in rows[:20]
    ]
    assert 0 <= chance_of(one.explain_one({"unheard of": 1.0})) <= 1


def test_pages_in_which_only_a_learner_spoke_are_passed_over(monkeypatch: pytest.MonkeyPatch):
    table = story().table
    scores = table.filter(pc.starts_with(table["type"], "score."))
    silence = {"score": Silenced(frozenset(BOTH)).score}
    empty = retold(scores, silence, Retold())
    assert (len(scores) > 100, len(empty)) == (True, 0)
    end = story().last_position()
    again = learned(
        iter([empty, table, empty]), trainings({"lead_conversion": OtherLearner()}), end
    )
    once = learned(iter([table]), trainings({"lead_conversion": OtherLearner()}), end)
    monkeypatch.setattr("replay.rescoring.SAID_ROWS", 50)
    assert pa.concat_tables(again).equals(pa.concat_tables(once))


def test_what_an_older_version_recorded_is_learned_from_too():
    rows = story().table.to_pylist()
    older = []
    for row in rows:
        fields = json.loads(row["data"])
        if row["type"] == LeadConverted.type:
            del fields["made"], fields["role"]
            row |= {"type": "lead.converted.v1", "data": json.dumps(fields).encode()}
        older.append(row)
    table = pa.Table.from_pylist(older, story().table.schema)
    end = story().last_position()
    today, then = (
        pa.concat_tables(learned(iter([side]), trainings({"lead_conversion": OtherLearner()}), end))
        for side in (story().table, table)
    )
    assert b'"outcome":true' in b"".join(then["data"].to_pylist())
    assert then.equals(today)
