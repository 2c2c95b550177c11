"""What is said about leads, beside what the events say."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from domain.deal import Deal
from domain.lead import Lead, LeadCaptured, LeadConverted, LeadEngaged, LeadQualified
from domain.score import Score, ScoreRecorded
from tests.reports import At, Past, check, days, moments, month, reports, share, story

if TYPE_CHECKING:
    from uuid import UUID

AT = pytest.mark.parametrize("at", moments(), ids=str)


class Journey:
    """How far one lead came, counted event by event."""

    def __init__(self, past: Past, lead_id: UUID, lead: Lead, deals: dict[UUID, Deal]) -> None:
        events = [seen.event for seen in past.streams[lead_id]]
        assert lead.captured is not None
        self.source = lead.captured.source
        self.month = month(past.streams[lead_id][0].effective_at)
        self.captured_at = past.streams[lead_id][0].effective_at
        self.status = lead.status
        self.engaged = any(isinstance(event, LeadEngaged) for event in events)
        self.qualified = any(isinstance(event, LeadQualified) for event in events)
        self.converted = lead.conversion is not None
        self.deal_id = lead.conversion.deal_id if lead.conversion else None
        self.deal = deals.get(self.deal_id) if self.deal_id else None


def journeys(past: Past) -> dict[UUID, Journey]:
    deals = past.of(Deal)
    return {id: Journey(past, id, lead, deals) for id, lead in past.of(Lead).items()}


@AT
def test_the_board_shows_every_lead_in_work_with_its_last_score(at: At):
    past = Past(story(), at)
    scores: dict[UUID, Any] = {}
    for told in past.told(Score).values():
        for seen in told:
            if isinstance(seen.event, ScoreRecorded) and seen.event.learner == "lead_conversion":
                scores[seen.event.subject_id] = seen
    engaged: dict[UUID, Any] = {}
    for recorded in past.happened(LeadEngaged):
        before = engaged.get(recorded.stream_id, recorded.occurred_at)
        engaged[recorded.stream_id] = max(before, recorded.occurred_at)
    expected = {}
    for id, lead in past.of(Lead).items():
        if lead.status in {"open", "qualified"}:
            bant, score = lead.qualification, scores.get(id)
            captured_at = past.streams[id][0].effective_at
            expected[id] = {
                "status": lead.status,
                "owner": lead.owner,
                "source": lead.captured and lead.captured.source,
                "score": score and score.event.value,
                "scored_at": score and score.effective_at,
                "bant": bant and bant.budget + bant.authority + bant.need + bant.timeline,
                "engagements": lead.engagements,
                "last_engaged_at": engaged.get(id),
                "captured_at": captured_at,
                "age_days": days(captured_at, past.moment),
            }
    rows = reports().ask("lead_board", at=at)
    check(rows, "lead_id", expected)
    known = [row["score"] for row in rows if row["score"] is not None]
    assert known == sorted(known, reverse=True)
    assert len(known) > 5


@AT
def test_sources_count_every_lead_once_whatever_became_of_it(at: At):
    by_source: dict[str, list[Journey]] = defaultdict(list)
    for journey in journeys(Past(story(), at)).values():
        by_source[journey.source].append(journey)
    expected = {}
    for source, found in by_source.items():
        status = [journey.status for journey in found]
        deals = {journey.deal_id: journey.deal.status for journey in found if journey.deal}
        expected[source] = {
            "captured": len(found),
            "in_work": status.count("open") + status.count("qualified"),
            "qualified": sum(journey.qualified for journey in found),
            "disqualified": status.count("disqualified"),
            "converted": status.count("converted"),
            "conversion_rate": share(status.count("converted"), len(found)),
            "deals": len(deals),
            "deals_won": list(deals.values()).count("won"),
            "deals_lost": list(deals.values()).count("lost"),
        }
    check(reports().ask("lead_sources", at=at), "source", expected)


@AT
def test_revenue_of_sources_is_that_of_their_deals_and_never_mixes_currencies(at: At):
    past = Past(story(), at)
    first: dict[UUID, Journey] = {}
    for _, journey in sorted(
        journeys(past).items(), key=lambda item: (item[1].captured_at, str(item[0]))
    ):
        if journey.deal and journey.deal_id:
            first.setdefault(journey.deal_id, journey)
    expected: dict[tuple[str, str], dict[str, Any]] = defaultdict(
        lambda: dict.fromkeys(("deals", "deals_won", "won_amount", "deals_open", "open_amount"), 0)
    )
    for journey in first.values():
        assert journey.deal is not None
        row, deal = expected[journey.source, journey.deal.currency], journey.deal
        row["deals"] += 1
        for status in ("won", "open"):
            row[f"deals_{status}"] += deal.status == status
            row[f"{status}_amount"] += deal.amount if deal.status == status else 0
    rows = reports().ask("lead_source_revenue", at=at)
    check(rows, "source currency", expected)
    assert len({row["currency"] for row in rows}) > 1


@AT
def test_the_funnel_counts_the_lost_ones(at: At):
    past = Past(story(), at)
    cohorts: dict[Any, list[Journey]] = defaultdict(list)
    for journey in journeys(past).values():
        cohorts[journey.month, journey.source].append(journey)
    expected = {}
    for cohort, found in cohorts.items():
        deals = [journey.deal.status for journey in found if journey.deal]
        converted = sum(journey.converted for journey in found)
        expected[cohort] = {
            "captured": len(found),
            "engaged": sum(journey.engaged for journey in found),
            "qualified": sum(journey.qualified for journey in found),
            "converted": converted,
            "disqualified": [journey.status for journey in found].count("disqualified"),
            "deals": len(deals),
            "deals_open": deals.count("open"),
            "deals_won": deals.count("won"),
            "deals_lost": deals.count("lost"),
            "conversion_rate": share(converted, len(found)),
            "win_rate": share(deals.count("won"), len(found)),
        }
    rows = reports().ask("lead_funnel", at=at)
    check(rows, "month source", expected)
    for row in rows:
        assert row["captured"] == row["in_work"] + row["disqualified"] + row["converted"]
        assert row["deals"] == row["deals_open"] + row["deals_won"] + row["deals_lost"]
    captured = sum(
        1 for id in past.told(Lead) if isinstance(past.streams[id][0].event, LeadCaptured)
    )
    assert sum(row["captured"] for row in rows) == captured
    assert sum(row["deals_lost"] + row["disqualified"] for row in rows) > 0


@AT
def test_a_cohort_counts_who_had_become_a_customer_by_the_end_of_each_month(at: At):
    past = Past(story(), at)
    captured: dict[Any, list[int | None]] = defaultdict(list)
    for id in past.of(Lead):
        first, turn = past.streams[id][0].effective_at, past.last(id, LeadConverted)
        captured[month(first)].append(turn and age(first, turn.effective_at))
    expected = {}
    for begun, ages in captured.items():
        for months in range(age(begun, past.moment) + 1):
            converted = sum(each is not None and each <= months for each in ages)
            expected[begun, months] = {
                "captured": len(ages),
                "converted": converted,
                "conversion_rate": share(converted, len(ages)),
            }
    assert any(values["converted"] for values in expected.values())
    check(reports().ask("lead_cohorts", at=at), "month months_since", expected)


def age(since: Any, until: Any) -> int:
    """How many months a month is after another."""
    return (until.year - since.year) * 12 + until.month - since.month
