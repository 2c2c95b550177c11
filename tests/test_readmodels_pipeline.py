"""What is said about pipelines and their stages, beside what the events say."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from domain.deal import Deal, DealLost, DealMove, DealOpened, DealWon
from domain.pipeline import Pipeline
from tests.reports import At, Past, cents, check, days, mean, moments, quantile, reports, story

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

AT = pytest.mark.parametrize("at", moments(), ids=str)


def stage_numbers(past: Past) -> dict[tuple[UUID, str], int]:
    return {
        (id, stage.key): number
        for id, pipeline in past.of(Pipeline).items()
        for number, stage in enumerate(pipeline.stages, 1)
    }


@AT
def test_the_pipeline_is_what_open_deals_are_worth_stage_by_stage(at: At):
    past = Past(story(), at)
    numbers, names = stage_numbers(past), {i: p.name for i, p in past.of(Pipeline).items()}
    piles: dict[Any, list[Deal]] = defaultdict(list)
    for deal in past.of(Deal).values():
        if deal.status == "open":
            piles[deal.pipeline_id, deal.stage, deal.currency].append(deal)
    expected = {
        pile: {
            "pipeline": names[pile[0]],
            "stage_number": numbers.get(pile[:2]),
            "deals": len(found),
            "amount": sum(deal.amount for deal in found),
            "expected": cents(sum((deal.amount * deal.probability for deal in found), Decimal(0))),
        }
        for pile, found in piles.items()
    }
    rows = reports().ask("deal_pipeline", at=at)
    check(rows, "pipeline_id stage currency", expected)
    order = [(row["pipeline"], row["stage_number"]) for row in rows]
    assert order == sorted(order)
    assert len({row["currency"] for row in rows}) > 1


def stays(past: Past) -> dict[tuple[UUID, str], list[tuple[datetime, datetime | None]]]:
    """When each deal came into each open stage, and left it."""
    found: dict[tuple[UUID, str], list[tuple[datetime, datetime | None]]] = defaultdict(list)
    for id, told in past.told(Deal).items():
        here: tuple[str, datetime] | None = None
        for seen in told:
            match seen.event:
                case DealOpened():
                    here = seen.event.stage, seen.effective_at
                case DealMove():
                    if here:
                        found[id, here[0]].append((here[1], seen.effective_at))
                    closed = isinstance(seen.event, DealWon | DealLost)
                    here = None if closed else (seen.event.to_stage, seen.effective_at)
        if here:
            found[id, here[0]].append((here[1], None))
    return found


@AT
def test_stages_last_from_coming_in_to_going_out(at: At):
    past = Past(story(), at)
    found = stays(past)
    expected = {
        key: {
            "stays": len(times),
            "first_entered_at": times[0][0],
            "last_exited_at": times[-1][1],
            "latest_days": days(times[-1][0], times[-1][1] or past.moment),
            "cumulative_days": sum(days(come, go or past.moment) for come, go in times),
        }
        for key, times in found.items()
    }
    rows = reports().ask("stage_durations", at=at)
    check(rows, "deal_id stage", expected)
    assert any(row["stays"] > 1 for row in rows)


@AT
def test_the_summary_of_stages_is_over_deals(at: At):
    past = Past(story(), at)
    deals = past.of(Deal)
    piles: dict[Any, list[tuple[bool, int, float]]] = defaultdict(list)
    for (id, stage), times in stays(past).items():
        took = sum(days(come, go or past.moment) for come, go in times)
        piles[deals[id].pipeline_id, stage].append((times[-1][1] is None, len(times), took))
    expected = {
        pile: {
            "stage_number": stage_numbers(past).get(pile),
            "deals": len(found),
            "deals_there": [there for there, _, _ in found].count(True),
            "deals_returned": sum(times > 1 for _, times, _ in found),
            "mean_days": mean(took for _, _, took in found),
            "median_days": quantile((took for _, _, took in found), 0.5),
            "p90_days": quantile((took for _, _, took in found), 0.9),
        }
        for pile, found in piles.items()
    }
    check(reports().ask("stage_duration_summary", at=at), "pipeline_id stage", expected)
