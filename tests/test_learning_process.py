"""Learners on a real log: every score once, none left out, wherever the process was cut off."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest

from commands.base import handle
from commands.lead import CaptureLead
from domain.score import ScoreRecorded, score_id
from domain.user import MODELS
from eventstore import saying
from eventstore.envelope import NewEvent, uuid7
from eventstore.errors import EventStoreError
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer
from learning import LEARNERS, follower, snapshot
from learning.base import Training
from learning.customer_health import CustomerHealth
from learning.follower import (
    Follower,
    Overtaken,
    bookmark_of,
    enveloped,
    follow,
    keep_bookmarks,
    listen,
)
from learning.lead_conversion import LeadConversion, LeadSeen
from learning.verification import SCORE_TYPES, verify_models
from tests.learning_story import (
    CONVERTED,
    START,
    as_new,
    captured,
    customers,
    lead_id,
    leads,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from domain.score import ScoreEvent
    from eventstore.envelope import RecordedEvent
    from learning.base import Learner
    from learning.model import Feature
    from tests.learning_story import Happening


def append(workspace: Workspace, happenings: Iterable[Happening], chapter: str = "") -> None:
    new = as_new(happenings, chapter)
    while batch := list(islice(new, 1_000)):
        with workspace.log.transaction() as turn:
            turn.append(batch)


@pytest.fixture
def history(workspace: Workspace) -> Workspace:
    """A log with a few hundred leads and some customers, which nobody has learned from yet."""
    append(workspace, [*leads(250), *customers(10, 100)])
    return workspace


def catch_up(workspace: Workspace, learner: type[Learner]) -> Follower:
    started = Follower(workspace, learner())
    while started.step():
        pass
    keep_bookmarks([started])
    return started


def recorded(workspace: Workspace) -> list[tuple[UUID, UUID, object]]:
    """What was said, with the ids of the events and of their streams."""
    return [
        (found.event_id, found.stream_id, found.event)
        for found in workspace.log.read(types=SCORE_TYPES)
    ]


def expected(workspace: Workspace, learner: Learner) -> list[tuple[UUID, UUID, object]]:
    """What has to be said of the log, by whoever reads it in one go."""
    types = [event.type for event in learner.follows]
    said = listen(Training(learner), workspace.log.read(types=types))
    new: Iterator[NewEvent] = (
        enveloped(each, learner, score_id(learner.name, each.event.subject_id), 1) for each in said
    )
    return [(each.event_id, each.stream_id, each.event) for each in new]


@pytest.mark.parametrize("learner", LEARNERS)
def test_what_is_said_is_in_the_log_with_its_cause(history: Workspace, learner: type[Learner]):
    end = history.log.last_position()
    assert catch_up(history, learner).position > end
    assert recorded(history) == expected(history, learner())
    assert verify_models(history) is None
    causes = {each.position: each for each in history.log.read(until=end)}
    for found in history.log.read(types=SCORE_TYPES):
        cause = causes[found.event.cause_position]  # type: ignore[attr-defined]
        assert found.actor == MODELS
        assert found.causation_id == cause.event_id
        assert found.correlation_id == cause.correlation_id
        assert found.occurred_at == cause.occurred_at


def test_scores_do_not_give_rise_to_scores(history: Workspace):
    started = catch_up(history, LeadConversion)
    said = recorded(history)
    assert not started.step()
    assert recorded(history) == said
    assert bookmark_of(history.log, started.learner) == history.log.last_position()


def test_cut_off_anywhere_nothing_is_said_twice_or_left_out(
    history: Workspace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(follower, "BATCH_EVENTS", 40)
    monkeypatch.setattr(follower, "SNAPSHOT_EVENTS", 100)
    chance = Random(3)  # noqa: S311 - the same every time
    say = saying.say

    def cut_off(*asked: Any) -> bool:
        """Die before what is said is sent, or before it is heard that it was stored."""
        moment = chance.random()
        done = moment > 0.2 and say(*asked)
        if moment < 0.4:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(follower, "say", cut_off)
    monkeypatch.setattr(follower, "PIECE_SAID", 16)
    cuts = 0
    for _ in range(1_000):
        try:
            started = Follower(history, LeadConversion())
            while started.step():
                if chance.random() < 0.1:
                    raise KeyboardInterrupt  # noqa: TRY301 - after the commit, before a snapshot
            break
        except KeyboardInterrupt:
            cuts += 1
    assert cuts > 10
    assert recorded(history) == expected(history, LeadConversion())


def test_a_snapshot_saves_learning_again(history: Workspace, monkeypatch: pytest.MonkeyPatch):
    catch_up(history, LeadConversion).save()
    read: list[int] = []

    def follow_none(_: Training, event: RecordedEvent) -> list[ScoreEvent]:
        read.append(event.position)
        return []

    monkeypatch.setattr(Training, "follow", follow_none)
    assert not Follower(history, LeadConversion()).step()
    assert read == []


@pytest.mark.parametrize("damage", ["cut short", "other code", "other log", "beyond the bookmark"])
def test_a_snapshot_that_does_not_fit_is_passed_over(
    history: Workspace, damage: str, monkeypatch: pytest.MonkeyPatch
):
    catch_up(history, LeadConversion).save()
    (path,) = (history.directory / "models").iterdir()
    position = int(path.stem.rsplit("-")[-1])
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "other code":
        monkeypatch.setattr(snapshot, "_code", lambda: "other")
    elif damage == "other log":
        with history.log.cursor() as cursor:
            cursor.execute(
                "UPDATE log_events SET event_id = %s WHERE notification_id = %s",
                (uuid7(), position),
            )
    else:
        position -= 1
    fresh = Training(LeadConversion())
    assert snapshot.restore(path.parent, fresh, position, history.log) == (fresh, 0)


def test_only_the_last_snapshots_are_kept(history: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(follower, "BATCH_EVENTS", 100)
    monkeypatch.setattr(follower, "SNAPSHOT_EVENTS", 100)
    catch_up(history, LeadConversion)
    assert len(list((history.directory / "models").iterdir())) == snapshot.KEPT


def test_one_of_two_that_speak_for_a_learner_gives_way(history: Workspace):
    one, other = Follower(history, LeadConversion()), Follower(history, LeadConversion())
    one.step()
    with pytest.raises(Overtaken):
        other.step()
    assert verify_models(history) is None
    append_one = Follower(history, LeadConversion())
    while append_one.step():
        pass
    assert recorded(history) == expected(history, LeadConversion())


def test_verification_names_the_first_score_that_was_changed(history: Workspace):
    catch_up(history, LeadConversion)
    catch_up(history, CustomerHealth)
    assert verify_models(history) is None
    positions = [
        each.position
        for each in history.log.read(types=SCORE_TYPES)
        if isinstance(each.event, ScoreRecorded)
    ]
    stored = next(history.log.read(positions[40] - 1, limit=1)).event
    assert isinstance(stored, ScoreRecorded)
    forged = stored.model_copy(update={"value": 0.999})
    with history.log.cursor() as cursor:
        cursor.execute(
            "UPDATE log_events SET state = %s WHERE notification_id = %s",
            (forged.model_dump_json().encode(), positions[40]),
        )
        cursor.execute("DELETE FROM log_events WHERE notification_id = %s", (positions[50],))
    found = verify_models(history)
    assert found is not None
    assert (found.learner, found.subject_id) == (stored.learner, stored.subject_id)
    assert found.cause_position == stored.cause_position
    assert "value is 0.999, learned anew" in str(found)


def test_verification_misses_a_score_that_is_gone(history: Workspace):
    catch_up(history, LeadConversion)
    *_, last = history.log.read(types=SCORE_TYPES)
    with history.log.cursor() as cursor:
        cursor.execute("DELETE FROM log_events WHERE notification_id = %s", (last.position,))
    assert "is missing" in str(verify_models(history))


def test_verification_names_a_score_nobody_said(history: Workspace):
    catch_up(history, LeadConversion)
    *_, last = history.log.read(types=SCORE_TYPES)
    more = NewEvent(
        event_id=uuid7(),
        stream_id=last.stream_id,
        version=last.version + 1,
        occurred_at=last.occurred_at,
        actor=MODELS,
        correlation_id=last.correlation_id,
        causation_id=last.causation_id,
        event=last.event,
    )
    with history.log.transaction() as turn:
        turn.append([more])
    assert "nothing would be said" in str(verify_models(history))


class LaterLeadConversion(LeadConversion):
    """A next version, which looks at less."""

    version = 2

    def _features(self, lead: LeadSeen) -> dict[str, Feature]:
        known = super()._features(lead)
        return {name: known[name] for name in ("source", "custom.visits", "engagements")}


def test_a_new_version_learns_what_was_and_speaks_of_what_comes(history: Workspace):
    catch_up(history, LeadConversion).save()
    said = recorded(history)
    more = [(lead_id(7_000), captured(), START), (lead_id(7_000), CONVERTED, START)]
    append(history, more, chapter="two")
    after = catch_up(history, LaterLeadConversion)
    assert after.training.model.learned > 100
    assert recorded(history)[: len(said)] == said
    score, outcome = (each for _, _, each in recorded(history)[len(said) :])
    assert score.model_version == f"2.{after.training.model.learned - 1}"  # type: ignore[attr-defined]
    assert set(score.inputs) == {"source", "custom.visits", "engagements"}  # type: ignore[attr-defined]
    assert outcome.outcome is True  # type: ignore[attr-defined]
    assert verify_models(history, [LaterLeadConversion]) is None
    assert verify_models(history, [LeadConversion]) is not None


# The process


def capture(writer: Writer) -> int:
    context = Context(actor=UUID(int=3), correlation_id=uuid7())
    command = CaptureLead.model_validate(CaptureLead.example | {"email": None})
    return handle(writer, command, uuid7(), context).result(10).position


def wait_for(what: Callable[[], object], seconds: float = 30.0) -> float:
    """Seconds until `what` is true."""
    started = time.monotonic()
    while not what():
        assert time.monotonic() - started < seconds, "in vain"
        time.sleep(0.01)
    return time.monotonic() - started


@contextmanager
def learning(workspace: Workspace) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=follow, args=(workspace, LEARNERS, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def said_last(workspace: Workspace) -> int:
    """The position of the newest event that a score was recorded of."""
    causes = [each.event for each in workspace.log.read(types=["score.recorded.v1"])]
    return max((each.cause_position for each in causes), default=0)  # type: ignore[attr-defined]


def test_a_lead_has_its_score_within_a_second(workspace: Workspace):
    with learning(workspace), Writer(workspace.log) as writer:
        first = capture(writer)
        wait_for(lambda: said_last(workspace) == first)
        seconds = []
        for _ in range(5):
            position = capture(writer)
            seconds.append(wait_for(partial(_said, workspace, position)))
        last = workspace.log.last_position()
        wait_for(lambda: bookmark_of(workspace.log, LeadConversion()) == last)
    assert min(seconds) < 1
    assert verify_models(workspace) is None


def _said(workspace: Workspace, position: int) -> bool:
    return said_last(workspace) == position


def test_two_processes_that_learn_are_one_that_speaks(workspace: Workspace):
    with learning(workspace), learning(workspace), Writer(workspace.log) as writer:
        for _ in range(10):
            position = capture(writer)
        wait_for(lambda: said_last(workspace) == position)
    assert recorded(workspace) == expected(workspace, LeadConversion())


def test_a_lost_connection_is_made_again(workspace: Workspace):
    with learning(workspace), Writer(workspace.log) as writer:
        first = capture(writer)
        wait_for(lambda: said_last(workspace) == first)
        with psycopg.connect(workspace.database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        second = wait_for(lambda: _captured(writer)) and workspace.log.last_position()
        wait_for(lambda: said_last(workspace) >= min(second, first + 2))
    assert verify_models(workspace) is None


def _captured(writer: Writer) -> bool:
    try:
        return capture(writer) > 0
    except EventStoreError:
        return False


@contextmanager
def process_that_learns(workspace: Workspace) -> Iterator[subprocess.Popen[bytes]]:
    arguments = ["--data", str(workspace.directory), "--database-url", workspace.database_url]
    with subprocess.Popen([sys.executable, "-m", "learning", *arguments]) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_killed_process_goes_on_where_it_was(history: Workspace):
    end = history.log.last_position()
    known = 0
    while bookmark_of(history.log, LeadConversion()) < end:
        with process_that_learns(history):
            wait_for(partial(_further, history, known))
        known = bookmark_of(history.log, LeadConversion())
    append(history, [(lead_id(8_000), captured(), START)], chapter="the last")
    with process_that_learns(history) as process:
        wait_for(lambda: _all_said(history))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert len(list((history.directory / "models").iterdir())) == len(LEARNERS)
    said = recorded(history)
    for learner in LEARNERS:
        of_one = [each for each in said if each[2].learner == learner.name]  # type: ignore[attr-defined]
        assert of_one == expected(history, learner())


def _further(workspace: Workspace, known: int) -> bool:
    return bookmark_of(workspace.log, LeadConversion()) > known


def _all_said(workspace: Workspace) -> bool:
    last = workspace.log.last_position()
    return all(bookmark_of(workspace.log, learner()) == last for learner in LEARNERS)
