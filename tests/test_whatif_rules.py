"""What if decisions were taken by other rules: which would be others, and what came of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st

from commands.lead import QualifyLead
from commands.rules import QUALIFICATION, Qualification
from domain.base import fold
from domain.lead import BantTooLow, Lead
from replay.redecision import REFUSED, Qualifications
from replay.reread import Force, Retold, retold
from tests.examples import BANT, CAPTURED
from tests.random_log import arrow, random_log
from tests.whatif_story import asked, middle, story

if TYPE_CHECKING:
    from pathlib import Path

MARKS = ("budget", "authority", "need", "timeline")


def qualifications() -> pl.DataFrame:
    """What was judged of leads, from the rows of the log alone."""
    events = pl.DataFrame(story().table).filter(pl.col("type") == "lead.qualified.v1")
    data = pl.col("data").cast(pl.String)
    marks = [data.str.json_path_match(f"$.{mark}").cast(pl.Int64).alias(mark) for mark in MARKS]
    return events.select("position", "stream_id", "occurred_at", *marks)


def too_low(rule: Qualification) -> pl.Expr:
    return (pl.sum_horizontal(MARKS) < rule.sum_min) | (pl.min_horizontal(MARKS) < rule.each_min)


def stated(rule: Qualification) -> dict[str, Any]:
    return {"rule": {"qualification": rule.model_dump()}}


def test_the_rule_in_force_is_the_one_commands_keep():
    lead = fold(Lead(), [CAPTURED])
    wish = QualifyLead(**BANT)
    assert list(wish.decide(lead)) == list(wish.decide(lead, QUALIFICATION))
    with pytest.raises(BantTooLow, match="with 20 or more, and 1 in each"):
        list(wish.decide(lead, Qualification(sum_min=20)))


def test_by_the_same_rule_everything_is_the_same(tmp_path: Path):
    with asked(tmp_path, stated(QUALIFICATION)) as (found, sides):
        assert sides.base.digests() == sides.other.digests()
    assert (found.decisions, found.left_out) == ((), {})
    assert [report.report for report in found.reports] == ["lead_funnel", "lead_sources"]


@for_any(st.integers(0, 10**9), st.sampled_from([None, 50, datetime(2024, 1, 2, tzinfo=UTC)]))
@settings(max_examples=30)
def test_whatever_happened_to_leads_is_told_as_it_was_by_the_rule_in_force(seed, after):
    table = arrow(random_log(seed, 150, of=(Lead,)))
    judge = Qualifications(QUALIFICATION, Force(after))
    assert retold(table, {"lead": judge.lead}, Retold()) is table
    assert judge.otherwise == []


@for_any(st.integers(0, 20), st.integers(0, 5), st.booleans())
@settings(max_examples=25)
def test_by_any_rule_just_those_are_left_out_that_fall_short(sum_min, each_min, halfway):
    rule = Qualification(sum_min=sum_min, each_min=each_min)
    after = story().events[len(story().events) // 2].position if halfway else None
    judge = Qualifications(rule, Force(after))
    table = retold(story().table, {"lead": judge.lead}, Retold())
    short = qualifications().filter(too_low(rule), pl.col("position") > (after or 0))
    assert [one.position for one in judge.otherwise] == short["position"].to_list()
    gone = set(story().table["position"].to_pylist()) - set(table["position"].to_pylist())
    assert gone == set(short["position"])


def test_a_stricter_rule_tells_what_came_of_those_it_would_have_refused(tmp_path: Path):
    rule = Qualification(sum_min=13, each_min=2)
    with asked(tmp_path, stated(rule), after=middle()) as (found, sides):
        counted = "SELECT sum(qualified) FROM lead_sources()"
        would_be, was = (side.database.query(counted).item() for side in (sides.other, sides.base))
    qualified = qualifications()
    in_force = pl.col("occurred_at") > middle()
    short = qualified.filter(too_low(rule), in_force)
    left = qualified.filter(~pl.col("position").is_in(short["position"].to_list()))
    assert was == qualified["stream_id"].n_unique()
    assert would_be == left["stream_id"].n_unique() < was
    assert found.left_out == {"lead.qualified.v1": len(short)}
    assert [one.position for one in found.decisions] == short["position"].to_list()
    assert "with 13 or more, and 2 in each" in found.decisions[0].refusal
    states = {
        lead: fold(Lead(), [one.event for one in story().events if one.stream_id == lead])
        for lead in {UUID(one.record) for one in found.decisions}
    }
    assert {one.became for one in found.decisions} >= {"converted"}
    for one in found.decisions:
        state = states[UUID(one.record)]
        assert one.became == state.status
        has_deal = state.conversion is not None and state.conversion.deal_id is not None
        assert (one.deal_status is not None) == has_deal
    assert REFUSED in found.not_known


def test_a_milder_rule_changes_nothing_that_is_in_the_log(tmp_path: Path):
    with asked(tmp_path, stated(Qualification(sum_min=0, each_min=0))) as (found, _):
        assert [report.report for report in found.reports if report.differing] == []
    assert (found.decisions, found.left_out) == ((), {})
    assert REFUSED in found.not_known


def test_stages_models_and_rules_may_be_asked_at_once(tmp_path: Path):
    rules = stated(Qualification(sum_min=15)) | {
        "pipeline": {"New business": {"discovery": {"into": "prospecting"}}},
        "score": {"lead_conversion": {"without": ["source"]}},
    }
    with asked(tmp_path, rules) as (found, _):
        differing = {report.report for report in found.reports if report.differing}
    assert {"lead_funnel", "deal_pipeline", "learner_performance"} <= differing
    assert {"lead.qualified.v1", "deal.stage_changed.v1"} <= found.left_out.keys()
    assert found.decisions
    assert found.scores[0].moved
