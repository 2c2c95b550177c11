"""Learners: what they say follows from the log alone, adds up, and is learned from once."""

from __future__ import annotations

import csv
import math
import os
import pickle
import subprocess
import sys
from datetime import timedelta
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st

from domain.base import HIDDEN
from domain.score import OutcomeLearned, ScoreRecorded
from domain.ticket import TicketOpened, TicketSolved
from learning import LEARNERS
from learning.base import Ask, Label, Training
from learning.customer_health import PER_TICK_MAX, CustomerHealth
from learning.follower import listen
from learning.lead_conversion import LeadConversion
from learning.model import CATEGORIES_MAX, BinnedLogisticRegression, chance_of
from tests.learning_story import (
    ASSIGNED,
    CONVERTED,
    DAY,
    DISQUALIFIED,
    QUALIFIED,
    RECYCLED,
    SPACE,
    START,
    VISITS,
    as_recorded,
    call,
    captured,
    customer_created,
    customers,
    engaged,
    lead_id,
    leads,
    tick,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from domain.base import Event
    from domain.score import ScoreEvent
    from learning.base import Learner
    from learning.model import Feature
    from tests.learning_story import Happening

DATA = Path(os.environ.get("BACKSTORY_DATA", "../shared/data"))
ANN = lead_id(0)
FIRM = uuid5(SPACE, "firm")


def said_of(learner: Learner, happenings: Iterable[Happening]) -> list[ScoreEvent]:
    return [said.event for said in listen(Training(learner), as_recorded(happenings))]


def scores(said: Iterable[ScoreEvent]) -> list[ScoreRecorded]:
    return [event for event in said if isinstance(event, ScoreRecorded)]


def outcomes(said: Iterable[ScoreEvent]) -> list[OutcomeLearned]:
    return [event for event in said if isinstance(event, OutcomeLearned)]


def area_under_curve(judged: Iterable[tuple[float, bool]]) -> float:
    """The chance that a case that came true was ranked above one that did not."""
    ranked = sorted(judged)
    tied: dict[float, list[int]] = {}
    for rank, (value, _) in enumerate(ranked, start=1):
        tied.setdefault(value, []).append(rank)
    mean = {value: sum(ranks) / len(ranks) for value, ranks in tied.items()}
    positives = sum(outcome for _, outcome in ranked)
    total = sum(mean[value] for value, outcome in ranked if outcome)
    pairs = positives * (len(ranked) - positives)
    return (total - positives * (positives + 1) / 2) / pairs


# The model


feature = st.none() | st.booleans() | st.text(max_size=5) | st.floats(allow_nan=False)
rows = st.lists(st.tuples(st.dictionaries(st.sampled_from("abcdef"), feature), st.booleans()))


@for_any(rows, st.dictionaries(st.sampled_from("abcdefg"), feature))
@settings(max_examples=200)
def test_whatever_a_model_is_told_its_contributions_are_finite_and_add_up(past, asked):
    model = BinnedLogisticRegression()
    for row, outcome in past:
        model.learn_one(row, outcome)
    contributions = model.explain_one(asked)
    assert set(contributions) == {"intercept", *asked}
    assert all(math.isfinite(share) for share in contributions.values())
    chance = chance_of(contributions)
    assert 0 <= chance <= 1
    assert model.predict_proba_one(asked) == {True: chance, False: 1 - chance}


@for_any(rows, st.randoms())
def test_the_order_of_the_inputs_does_not_matter(past, chance):
    one, other = BinnedLogisticRegression(), BinnedLogisticRegression()
    for row, outcome in past:
        names = list(row)
        chance.shuffle(names)
        one.learn_one(row, outcome)
        other.learn_one({name: row[name] for name in names}, outcome)
    assert one.explain_one({"a": 1.0, "b": "x"}) == other.explain_one({"b": "x", "a": 1.0})


def test_a_number_may_matter_in_the_middle():
    model = BinnedLogisticRegression()
    chance = Random(1)  # noqa: S311 - the same every time
    for _ in range(3_000):
        number = chance.uniform(0, 30)
        model.learn_one({"n": number}, 10 < number < 20)
    low, middle, high = (model.predict_proba_one({"n": n})[True] for n in (5, 15, 25))
    assert middle > 0.7
    assert max(low, high) < 0.3


def test_a_model_tells_only_so_many_categories_apart():
    model = BinnedLogisticRegression()
    for number in range(10 * CATEGORIES_MAX):
        model.learn_one({"free text": str(number)}, number % 2 == 0)
    assert len(model._regression.weights) <= CATEGORIES_MAX + 1
    late = [model.explain_one({"free text": text}) for text in ("never seen", "999")]
    assert late[0] == late[1]


def lead_rows(*dropped: str) -> Iterator[tuple[dict[str, Feature], bool]]:
    """leads_xeducation in file order, without what was filled in after the fact."""
    path = DATA / "leads_xeducation" / "Leads.csv"
    if not path.exists():
        pytest.skip(f"{path} is absent; BACKSTORY_DATA names the folder with the real data")
    leaks = ("Tags", "Lead Quality", "Lead Profile", "Asymmetrique", "Last Notable Activity")
    left_out = ("Prospect ID", "Lead Number", *leaks, *dropped)
    numbers = {"TotalVisits", "Total Time Spent on Website", "Page Views Per Visit"}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            outcome = row.pop("Converted") == "1"
            yield (
                {
                    name: None
                    if value in {"", "Select"}
                    else float(value)
                    if name in numbers
                    else value
                    for name, value in row.items()
                    if name and not name.startswith(left_out)
                },
                outcome,
            )


# A logistic regression fitted anew after every tenth of the file reaches 0.878 with the same
# columns, and 0.849 without the last activity, which may have been noted after the fact too.
@pytest.mark.parametrize(("dropped", "floor"), [((), 0.89), (("Last Activity",), 0.865)])
def test_real_leads_are_ranked_better_than_by_a_batch_model(dropped, floor):
    model = BinnedLogisticRegression()
    judged = []
    for row, outcome in lead_rows(*dropped):
        judged.append((chance_of(model.explain_one(row)), outcome))
        model.learn_one(row, outcome)
    assert len(judged) == 9_240
    area = area_under_curve(judged[len(judged) // 10 :])
    assert area >= floor, f"progressive AUC {area:.4f}"


# Any learner


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_learner_is_described(learner):
    assert learner.__doc__
    assert learner.version >= 1
    assert learner.name == learner.name.lower()
    assert len(set(learner.follows)) == len(learner.follows)


HISTORIES = {
    LeadConversion: list(leads(400)),
    CustomerHealth: list(customers(20, 150)),
}


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_score_can_be_taken_apart(learner):
    said = said_of(learner(), HISTORIES[learner])
    assert len(scores(said)) > 400
    for score in scores(said):
        assert set(score.contributions) == {"intercept", *score.inputs}
        assert score.value == chance_of(score.contributions)
        log_odds = math.log(score.value / (1 - score.value))
        assert sum(score.contributions.values()) == pytest.approx(log_odds, abs=1e-9)


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_score_read_back_from_the_log_is_the_score_that_was_written(learner):
    for event in said_of(learner(), HISTORIES[learner]):
        again = type(event).model_validate_json(event.model_dump_json())
        assert again == event
        assert again.model_dump_json() == event.model_dump_json()


@pytest.mark.parametrize("learner", LEARNERS)
def test_learning_stopped_and_resumed_anywhere_says_the_same(learner):
    history = HISTORIES[learner]
    whole = said_of(learner(), history)
    chance = Random(7)  # noqa: S311 - the same every time
    training = Training(learner())
    said: list[ScoreEvent] = []
    for recorded in as_recorded(history):
        if chance.random() < 0.02:
            training = pickle.loads(pickle.dumps(training))  # noqa: S301
        said += training.follow(recorded)
    assert said == whole


def test_the_seed_of_hashes_changes_nothing():
    told = {
        subprocess.run(
            [sys.executable, "-m", "tests.learning_story", "150"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "4711")
    }
    assert len(told) == 1
    assert said_of(LeadConversion(), leads(150)) == [
        (ScoreRecorded if b'"value"' in line else OutcomeLearned).model_validate_json(line)
        for line in told.pop().splitlines()
    ]


def test_what_is_hidden_from_a_learner_makes_no_difference_to_it():
    assert captured(hidden=True).name is HIDDEN
    blind = said_of(LeadConversion(), leads(100, hidden=True))
    assert blind == said_of(LeadConversion(), leads(100))


def test_leads_are_told_apart_before_their_outcome_is_known():
    learned = outcomes(said_of(LeadConversion(), leads(1_200)))
    late = learned[len(learned) // 2 :]
    assert area_under_curve((event.predicted, event.outcome) for event in late) > 0.75


def test_customers_are_told_apart_before_their_outcome_is_known():
    # The quiet ones are active in every fourth window, so 0.9 is the best there can be.
    learned = outcomes(said_of(CustomerHealth(), customers(40, 300)))
    late = learned[len(learned) // 2 :]
    assert area_under_curve((event.predicted, event.outcome) for event in late) > 0.75


# Leads


def story(*events: Event) -> list[Happening]:
    return [(ANN, event, START + number * DAY) for number, event in enumerate(events)]


def test_a_lead_is_scored_when_something_new_is_known():
    said = said_of(LeadConversion(), story(captured(), ASSIGNED, engaged("call"), QUALIFIED))
    assert [score.cause_position for score in scores(said)] == [1, 2, 3, 4]
    first, *_, last = scores(said)
    assert first.inputs["title_level"] == "manager"
    assert first.inputs["budget"] is None
    assert last.inputs["budget"] == 3.0
    assert last.inputs["engagements.call"] == 1.0
    assert last.inputs["days_since_capture"] == 3.0
    assert last.inputs["assigned"] is True


def test_nothing_new_is_no_score():
    twice = [(ANN, captured(), START), (ANN, ASSIGNED, START), (ANN, ASSIGNED, START)]
    assert len(said_of(LeadConversion(), twice)) == 2


def test_what_counts_is_what_was_said_when_the_lead_came_in():
    before = [happening for happening in leads(200) if happening[0] != ANN]
    said = said_of(
        LeadConversion(), [*before, *story(captured(), engaged("call"), QUALIFIED, CONVERTED)]
    )
    first = next(score for score in scores(said) if score.subject_id == ANN)
    learned = next(event for event in outcomes(said) if event.subject_id == ANN)
    assert learned.outcome is True
    assert learned.predicted == first.value
    assert learned.cause_position == len(before) + 4


def test_a_long_case_is_learned_at_no_more_than_five_points():
    training = Training(LeadConversion())
    events = [captured(), *(engaged("reply", number) for number in range(1, 40))]
    for recorded in as_recorded(story(*events)):
        list(training.follow(recorded))
    kept = [prediction.asked_at for prediction in training.memories[ANN].waiting]
    assert len(kept) == 5
    assert kept[0] == 1
    assert kept == sorted(kept)
    list(training.follow(list(as_recorded(story(*events, CONVERTED)))[-1]))
    assert training.model.learned == 5
    assert training.memories == {}


def test_the_model_version_says_how_much_was_learned():
    other = [(lead_id(1), captured(), START), (lead_id(1), CONVERTED, START)]
    said = scores(said_of(LeadConversion(), [*other, *story(captured())]))
    assert [score.model_version for score in said] == ["1.0", "1.1"]


def test_a_recycled_lead_is_a_new_case():
    said = said_of(
        LeadConversion(),
        story(captured(), QUALIFIED, DISQUALIFIED, engaged("reply"), RECYCLED, CONVERTED),
    )
    assert [event.outcome for event in outcomes(said)] == [False, True]
    third = scores(said)[2]
    assert third.cause_position == 5
    assert third.inputs["recycled"] == 1.0
    assert third.inputs["budget"] is None
    assert third.inputs["engagements.reply"] == 1.0


def test_a_declared_custom_field_is_an_input_like_any_other():
    declared = [(UUID(int=3), VISITS, START), (ANN, captured(visits=7), START)]
    (score,) = said_of(LeadConversion(), declared)
    assert score.inputs["custom.visits"] == 7.0
    (score,) = said_of(LeadConversion(), [*declared[:1], (ANN, captured(), START)])
    assert score.inputs["custom.visits"] is None


def test_custom_fields_that_are_personal_or_of_others_are_no_inputs():
    for change in ({"personal": True}, {"aggregate": "deal"}):
        declared = VISITS.model_copy(update=change)
        (score,) = said_of(
            LeadConversion(), [(UUID(int=3), declared, START), (ANN, captured(visits=7), START)]
        )
        assert "custom.visits" not in score.inputs


# Customers


def days(number: float) -> timedelta:
    return timedelta(days=number)


def firm(*happenings: tuple[float, Event | None]) -> list[Happening]:
    """Events of one customer, by the day on which they happen; a number alone is a tick."""
    return [
        tick(START + days(day))
        if event is None
        else (
            FIRM
            if event == customer_created()
            else uuid5(SPACE, f"{number}" if not isinstance(event, TicketSolved) else "ticket"),
            event,
            START + days(day),
        )
        for number, (day, event) in enumerate(happenings)
    ]


def test_a_customer_is_judged_when_sixty_days_have_passed():
    said = said_of(CustomerHealth(), firm((0, customer_created()), (59, None), (61, None)))
    (learned,) = outcomes(said)
    assert learned.outcome is False
    assert learned.cause_position == 3


def test_an_interaction_within_sixty_days_makes_a_customer_active():
    for day, active in ((59, True), (60.5, False)):
        said = said_of(
            CustomerHealth(), firm((0, customer_created()), (day, call(FIRM)), (61, None))
        )
        assert outcomes(said)[0].outcome is active


def test_only_what_the_customer_took_part_in_counts():
    said = said_of(
        CustomerHealth(),
        firm((0, customer_created()), (5, call(FIRM, "no_answer")), (61, None)),
    )
    assert outcomes(said)[0].outcome is False


def test_a_call_recorded_late_counts_when_it_happened():
    said = said_of(
        CustomerHealth(),
        firm((0, customer_created()), (30, None), (20, call(FIRM)), (61, None)),
    )
    assert outcomes(said)[0].outcome is True


def test_history_brought_in_out_of_order_teaches_nothing_wrong():
    other = uuid5(SPACE, "other")
    history = [
        (other, customer_created(), START),
        (uuid5(SPACE, "a"), call(other), START + days(400)),
        *firm((0, customer_created()), (30, call(FIRM))),
        tick(START + days(401)),
    ]
    learned = {
        event.subject_id: event for event in reversed(outcomes(said_of(CustomerHealth(), history)))
    }
    assert learned[FIRM].outcome is True
    assert learned[other].outcome is False


def test_a_quiet_customer_is_asked_about_more_and_more_rarely_until_dormant():
    ticks = [(day, None) for day in range(1, 800)]
    said = scores(said_of(CustomerHealth(), firm((0, customer_created()), *ticks)))
    asked_on = [score.cause_position - 1 for score in said]
    assert asked_on[:6] == [0, 7, 14, 21, 28, 35]
    pauses = [later - day for day, later in pairwise(asked_on)]
    assert pauses == sorted(pauses)
    assert 300 < asked_on[-1] < 365
    assert said[-1].inputs["days_known"] == float(asked_on[-1])


def test_of_many_predictions_one_a_month_is_learned_from():
    talks = [(day, call(FIRM)) for day in range(1, 100)]
    learned = outcomes(
        said_of(CustomerHealth(), firm((0, customer_created()), *talks, (200, None)))
    )
    assert [event.outcome for event in learned] == [True, True, True, True]


def test_the_work_of_one_tick_is_bounded():
    many = [
        (uuid5(SPACE, f"customer {number}"), customer_created(), START)
        for number in range(PER_TICK_MAX + 200)
    ]
    said = said_of(CustomerHealth(), [*many, tick(START + days(7)), tick(START + days(7.1))])
    causes = [score.cause_position - len(many) for score in scores(said)]
    assert causes.count(1) == PER_TICK_MAX
    assert causes.count(2) == 200


def test_tickets_and_ratings_are_inputs():
    opened = TicketOpened(
        customer_id=FIRM,
        contact_id=None,
        title="Broken",
        body="",
        channel="email",
        priority="normal",
        category=None,
        follow_up_of=None,
        custom={},
        custom_personal={},
    )
    solved = TicketSolved(from_status="open", to_status="solved", resolution="")
    ticket = uuid5(SPACE, "ticket")
    history = [
        (FIRM, customer_created(), START),
        (ticket, opened, START + days(1)),
        (ticket, solved, START + days(2)),
    ]
    said = scores(said_of(CustomerHealth(), history))
    assert [score.inputs["open_tickets"] for score in said] == [0.0, 1.0, 0.0]
    assert [score.inputs["tickets_90_days"] for score in said] == [0.0, 1.0, 1.0]


def test_asks_and_labels_are_all_a_learner_says():
    learner = LeadConversion()
    for recorded in islice(as_recorded(leads(20)), 50):
        assert all(isinstance(said, Ask | Label) for said in learner.observe(recorded))
