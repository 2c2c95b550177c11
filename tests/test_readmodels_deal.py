"""What is said about deals, beside what the events say."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.deal import (
    Deal,
    DealLost,
    DealMove,
    DealOpened,
    DealReopened,
    DealWon,
)
from tests.random_log import random_log
from tests.reports import (
    At,
    Past,
    Reports,
    cents,
    check,
    days,
    mean,
    moments,
    month,
    reports,
    share,
    story,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

AT = pytest.mark.parametrize("at", moments(), ids=str)
NOUGHT = Decimal(0)


@AT
def test_a_forecast_counts_open_deals_when_they_are_due_and_won_ones_when_they_were_won(at: At):
    past = Past(story(), at)
    piles: dict[Any, list[Deal]] = defaultdict(list)
    overdue: dict[Any, int] = defaultdict(int)
    for id, deal in past.of(Deal).items():
        if deal.status == "lost":
            continue
        won = past.last(id, DealWon)
        due = won.effective_at.date() if deal.status == "won" and won else deal.expected_close
        move = past.last(id, DealMove, DealOpened)
        assert move is not None
        pile = due and month(due), move.event.forecast_category, deal.currency
        piles[pile].append(deal)
        overdue[pile] += bool(deal.status == "open" and due and due < past.moment.date())
    expected = {
        pile: {
            "deals": len(found),
            "amount": sum(deal.amount for deal in found),
            "expected": cents(sum((deal.amount * deal.probability for deal in found), NOUGHT)),
            "deals_overdue": overdue[pile],
        }
        for pile, found in piles.items()
    }
    check(reports().ask("deal_forecast", at=at), "month forecast_category currency", expected)


def open_worth(deals: dict[UUID, Deal]) -> dict[str, Decimal]:
    worth: dict[str, Decimal] = defaultdict(Decimal)
    for deal in deals.values():
        if deal.status == "open":
            worth[deal.currency] += deal.amount
    return worth


def movements(past: Past, since: datetime) -> Iterator[tuple[UUID, str, str, Decimal]]:
    """(deal, movement, currency, amount) after a time, by folding each deal event by event."""
    for id, told in past.told(Deal).items():
        before = Deal()
        for seen in told:
            after = before.evolve(seen.event)
            if seen.effective_at > since:
                for movement in moved(before, after):
                    yield id, *movement
            before = after


def moved(before: Deal, after: Deal) -> Iterator[tuple[str, str, Decimal]]:
    was, is_ = before.status == "open", after.status == "open"
    if was and before.currency != after.currency:
        yield "currency_changed", before.currency, -before.amount
        yield "currency_changed", after.currency, after.amount
    elif was and before.amount != after.amount:
        more = after.amount - before.amount
        yield ("expanded" if more > 0 else "contracted"), after.currency, more
    if is_ and not was:
        kind = "new" if before.status == "unknown" else "reopened"
        yield kind, after.currency, after.amount
    if was and not is_:
        yield after.status, after.currency, -after.amount


@AT
def test_the_waterfall_tells_every_movement_and_closes_to_zero(at: At):
    past = Past(story(), at)
    since = story()[0].occurred_at + (past.moment - story()[0].occurred_at) / 3
    opening = open_worth(Past(story(), At(since, at.known_at)).of(Deal))
    closing = open_worth(past.of(Deal))
    expected: dict[str, dict[str, Any]] = defaultdict(lambda: defaultdict(Decimal))
    for currency in opening.keys() | closing.keys():
        expected[currency] |= {"opening": opening[currency], "closing": closing[currency]}
    for _, kind, currency, amount in movements(past, since):
        expected[currency][kind] += amount
    for row in expected.values():
        row["residual"] = NOUGHT
    rows = reports().ask("pipeline_waterfall", since=since, at=at)
    check(rows, "currency", expected)
    kinds = "new reopened expanded contracted currency_changed won lost".split()
    for row in rows:
        assert row["opening"] + sum(row[kind] for kind in kinds) == row["closing"]
    if at == At():
        assert all(any(row[kind] for row in rows) for kind in kinds), "the story has all of them"


def later(after: Deal, before: Deal) -> bool:
    was, is_ = before.expected_close, after.expected_close
    return was is not None and is_ is not None and is_ > was


@AT
def test_a_deal_pushed_counts_once_with_what_it_is_worth_after_the_last_push(at: At):
    past = Past(story(), at)
    pushed: dict[tuple[str, UUID], Decimal] = {}
    for id, told in past.told(Deal).items():
        before = Deal()
        for seen in told:
            after = before.evolve(seen.event)
            if before.status == after.status == "open" and later(after, before):
                pushed[after.currency, id] = after.amount
            before = after
    found = {
        row["currency"]: (row["pushed_deals"], row["pushed"])
        for row in reports().ask("pipeline_waterfall", at=at)
        if row["pushed_deals"]
    }
    assert found == {
        currency: (
            sum(1 for key in pushed if key[0] == currency),
            sum(amount for key, amount in pushed.items() if key[0] == currency),
        )
        for currency, _ in pushed
    }


@AT
def test_without_a_beginning_the_waterfall_starts_from_nothing(at: At):
    for row in reports().ask("pipeline_waterfall", at=at):
        assert (row["opening"], row["opening_deals"], row["residual"]) == (0, 0, 0)


@cache
def unlikely() -> Reports:
    """Deals that do what no command would let them: won twice, worth less than nothing …"""
    return Reports(random_log(5, 1_500, of=[Deal], streams=40))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_waterfall_closes_to_zero_for_any_period_of_any_log(data: st.DataObject):
    told = data.draw(st.sampled_from([reports(), unlikely()]))
    first, last = told.log[0].occurred_at, told.log[-1].recorded_at
    times = st.datetimes(first.replace(tzinfo=None), last.replace(tzinfo=None)).map(
        lambda time: time.replace(tzinfo=first.tzinfo)
    )
    since, until = sorted([data.draw(times), data.draw(times)])
    known_at = data.draw(st.none() | st.integers(0, told.log[-1].position))
    rows = told.ask("pipeline_waterfall", since=since, at=At(until, known_at))
    assert all(row["residual"] == 0 for row in rows)
    closing = {row["currency"]: row["closing"] for row in rows if row["closing_deals"]}
    assert closing == open_worth(Past(told.log, At(until, known_at)).of(Deal))


def quarter(moment: datetime) -> date:
    return date(moment.year, (moment.month - 1) // 3 * 3 + 1, 1)


def closings(past: Past) -> Iterator[tuple[Deal, UUID | None, datetime, float]]:
    """(deal, owner when it was closed, when, days it took) of deals that are closed."""
    for id, deal in past.of(Deal).items():
        if deal.status not in {"won", "lost"}:
            continue
        state, owner, closed_at = Deal(), None, None
        for seen in past.streams[id]:
            state = state.evolve(seen.event)
            if isinstance(seen.event, DealWon | DealLost):
                owner, closed_at = state.owner, seen.effective_at
        assert closed_at is not None
        yield deal, owner, closed_at, days(past.streams[id][0].effective_at, closed_at)


@AT
def test_wins_and_losses_count_for_who_had_the_deal_when_it_was_closed(at: At):
    past = Past(story(), at)
    piles: dict[Any, list[tuple[Deal, float]]] = defaultdict(list)
    for deal, owner, closed_at, took in closings(past):
        piles[quarter(closed_at), owner, deal.currency].append((deal, took))
    expected = {}
    for pile, found in piles.items():
        won = [(deal, took) for deal, took in found if deal.status == "won"]
        lost = [(deal, took) for deal, took in found if deal.status == "lost"]
        expected[pile] = {
            "won": len(won),
            "lost": len(lost),
            "win_rate": share(len(won), len(found)),
            "won_amount": sum(deal.amount for deal, _ in won),
            "lost_amount": sum(deal.amount for deal, _ in lost),
            "won_cycle_days": mean(took for _, took in won),
            "lost_cycle_days": mean(took for _, took in lost),
            "cycle_days": mean(took for _, took in found),
        }
    check(reports().ask("win_loss", at=at), "quarter owner currency", expected)


@AT
def test_products_and_reasons_say_what_is_won_and_why_it_is_lost(at: At):
    past = Past(story(), at)
    products: dict[Any, dict[str, Any]] = defaultdict(lambda: defaultdict(Decimal))
    reasons: dict[Any, list[Decimal]] = defaultdict(list)
    for deal, _, _, _ in closings(past):
        assert deal.opened is not None
        row = products[deal.opened.product, deal.currency]
        row[deal.status] += 1
        row[f"{deal.status}_amount"] += deal.amount
        if isinstance(deal.turn, DealLost):
            key = deal.turn.reason, deal.turn.competitor, deal.currency
            reasons[key].append(deal.amount)
    check(reports().ask("win_loss_by_product", at=at), "product currency", products)
    lost: dict[str, int] = defaultdict(int)
    for key, amounts in reasons.items():
        lost[key[2]] += len(amounts)
    expected = {
        key: {
            "lost": len(amounts),
            "lost_amount": sum(amounts),
            "share_of_lost": share(len(amounts), lost[key[2]]),
        }
        for key, amounts in reasons.items()
    }
    check(reports().ask("loss_reasons", at=at), "reason competitor currency", expected)


def test_a_reopened_win_is_no_win_until_it_is_won_again():
    reopened = next(
        recorded
        for recorded in story()
        if isinstance(recorded.event, DealReopened) and recorded.event.from_stage == "won"
    )
    deal_id, known_at = str(reopened.stream_id), reopened.position
    before = reports().ask("closed_deals", at=At(None, known_at - 1))
    after = reports().ask("closed_deals", at=At(None, known_at))
    assert deal_id in {row["deal_id"] for row in before}
    assert deal_id not in {row["deal_id"] for row in after}


def test_what_was_expected_then_is_not_moved_by_what_was_written_later():
    known_at = story()[len(story()) // 2].position
    then = story()[len(story()) // 2].recorded_at - timedelta(days=30)
    asked = At(then, known_at)
    short = Reports([recorded for recorded in story() if recorded.position <= known_at])
    for report in ("deal_pipeline", "deal_forecast", "win_loss", "stage_duration_summary"):
        assert reports().ask(report, at=asked) == short.ask(report, at=At(then))
