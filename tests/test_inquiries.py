"""The questions of an auditor: each one asked at its door and by its verb; and who read what."""

from __future__ import annotations

import json
import logging
import re
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import structlog

from api.app import create_app
from api.node import Node
from cli import main
from commands.lead import CaptureLead, QualifyLead
from commands.user import RegisterUser
from domain import EVENTS
from eventstore.errors import Unavailable
from eventstore.reads import Read, ReadLog, reads
from learning import LEARNERS
from learning.follower import catch_up
from replay.done import UNDO
from replay.inquiries import INQUIRIES
from tests.doors import Client, a_node, listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore.workspace import Workspace

ANN, BOB, EVE = UUID(int=0xA11), UUID(int=0xB0B), UUID(int=0xE7E)
MARCH = "2025-03-01T12:00:00Z"
APRIL = "2025-04-01T12:00:00Z"
LEAD = CaptureLead.example | {"email": "wanda@example.com"}


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.fixture(scope="module")
def ann(node: Node) -> Iterator[Client]:
    with Client(node, ANN) as client:
        client.post(
            f"/users/{ANN}/register", RegisterUser.example | {"name": "Ann", "handle": "ann"}
        )
        yield client


@pytest.fixture(scope="module")
def eve(node: Node) -> Iterator[Client]:
    with Client(node, EVE, personal=False) as client:
        yield client


@pytest.fixture(scope="module")
def story(node: Node, ann: Client) -> dict[str, str]:
    """Captured and scored in March, qualified in April by another request, which the log learned
    much later."""
    request = str(uuid4())
    captured = ann.post(
        "/leads", LEAD, params={"occurred_at": MARCH}, headers={"Correlation-Id": request}
    ).json()
    lead, page = captured["id"], ann.get("/events", params={"stream": captured["id"]}).text
    cause = json.loads(page.splitlines()[0])["event_id"]
    catch_up(node.workspace, LEARNERS, lambda _: None)
    ann.post(
        f"/leads/{lead}/qualify",
        QualifyLead.example,
        params={"occurred_at": APRIL},
        headers={"Causation-Id": cause},
    )
    ann.post(f"/leads/{lead}/disqualify", {"reason": "no_need"})
    return {"lead": lead, "request": request, "cause": cause}


def asked(client: Client, question: str, **params: Any) -> Any:
    reply = client.get(f"/audit/{question}", params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_what_was_true_of_a_record_at_a_moment(ann: Client, story: dict[str, str]):
    told = asked(ann, "history", record=story["lead"], as_of="2025-04-30")
    assert (told["record"]["status"], told["record"]["email"]) == ("qualified", "wanda@example.com")
    assert told["later"] == 1


def test_what_changed_between_two_moments_and_through_what(ann: Client, story: dict[str, str]):
    told = asked(ann, "diff", record=story["lead"], since="2025-03-15", until="2025-04-30")
    assert {"field": "status", "old": "open", "new": "qualified"} in told["changes"]
    assert [one["type"] for one in told["happenings"]] == ["lead.qualified.v1"]


def test_why_a_field_has_its_value_up_to_who_asked(ann: Client, story: dict[str, str]):
    told = asked(ann, "why", record=story["lead"], field="status", as_of="2025-04-30")
    assert told["setter"]["type"] == "lead.qualified.v1"
    assert [one["event_id"] for one in told["causes"]] == [story["cause"]]
    request = told["request"]
    assert (request["correlation_id"], request["actor_name"]) == (story["request"], "Ann")


def test_what_a_user_did(ann: Client, story: dict[str, str]):
    told = asked(ann, "done", user="ann", since="2025-02-01", until="2025-12-31")
    assert told["by_type"] == {"lead.captured.v1": 1, "lead.qualified.v1": 1}
    assert [one["stream_id"] for one in told["last"]] == [story["lead"]] * 2
    assert len(asked(ann, "done", user="ann", limit=1)["last"]) == 1


def test_what_was_known_then_as_against_what_had_happened(ann: Client, story: dict[str, str]):
    told = asked(ann, "hindsight", at="2025-04-30", record=story["lead"])
    assert {"field": "status", "old": None, "new": "qualified"} in told["changes"]
    assert len(told["late"]) == 2
    of_all = asked(ann, "hindsight", at="2025-04-30")
    assert {one["stream_id"] for one in of_all["late"]} >= {story["lead"]}
    now = datetime.now(UTC).isoformat()
    assert asked(ann, "hindsight", at=now, record=story["lead"])["late"] == []


def test_which_score_was_seen_and_from_what(ann: Client, story: dict[str, str]):
    [score] = asked(ann, "seen", record=story["lead"])["scores"]
    assert score["learner"] == "lead_conversion"
    assert score["because_of"]["type"] == "lead.captured.v1"
    assert score["inputs"].keys() == score["contributions"].keys() - {"intercept"}
    assert score["model_version"].startswith("1.")
    missing = ann.get("/audit/seen", params={"record": story["lead"], "as_of": "2025-02-01"})
    assert missing.status_code == 404


def test_what_a_request_and_an_event_led_to(ann: Client, story: dict[str, str]):
    by_request = asked(ann, "caused", cause=story["request"])
    assert by_request["by_type"] == {"lead.captured.v1": 1, "score.recorded.v1": 1}
    by_event = asked(ann, "caused", cause=story["cause"])
    assert by_event["by_type"].keys() == {
        "lead.captured.v1",
        "lead.qualified.v1",
        "score.recorded.v1",
    }


def test_what_can_be_undone_says_how_and_whether_it_was(ann: Client):
    request = {"Correlation-Id": str(uuid4())}
    lead = ann.post("/leads", LEAD | {"email": "u@example.com"}).json()["id"]
    ann.post(f"/leads/{lead}/disqualify", {"reason": "spam"}, headers=request)
    [undo] = asked(ann, "caused", cause=request["Correlation-Id"])["undo"]
    assert (undo["by"], undo["undone_at"]) == (f"POST /leads/{lead}/recycle", None)
    again = ann.post(f"/leads/{lead}/recycle", {"reason": "Real"}).json()["position"]
    [undo] = asked(ann, "caused", cause=request["Correlation-Id"])["undo"]
    assert undo["undone_at"] == again


def test_what_a_request_made_is_undone_by_taking_it_back(ann: Client):
    request = {"Correlation-Id": str(uuid4())}
    lead = ann.post("/leads", LEAD | {"email": "v@example.com"}, headers=request).json()["id"]
    [undo] = asked(ann, "caused", cause=request["Correlation-Id"])["undo"]
    assert (undo["by"], undo["undone_at"]) == (f"POST /leads/{lead}/retract", None)
    taken_back = ann.post(f"/leads/{lead}/retract", {"reason": "Never was"}).json()["position"]
    [undo] = asked(ann, "caused", cause=request["Correlation-Id"])["undo"]
    assert undo["undone_at"] == taken_back


def test_whatever_can_be_taken_back_is_told_how(node: Node):
    doors = create_app(node).openapi()["paths"]
    retracting = {event for event in EVENTS.values() if event.__name__.endswith("Retracted")}
    assert retracting <= {undone for undone, _ in UNDO.values()}
    for _, how in UNDO.values():
        if how.startswith("POST "):
            assert re.sub("{.*?}", "{id}", how.removeprefix("POST ")) in doors


def test_a_door_and_a_verb_give_the_same_answer(
    node: Node, ann: Client, story: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    lead = story["lead"]
    typed: dict[str, tuple[list[str], dict[str, str]]] = {
        "history": ([lead], {"record": lead}),
        "diff": ([lead, "--from", "2025-03-15"], {"record": lead, "since": "2025-03-15"}),
        "why": ([lead, "status"], {"record": lead, "field": "status"}),
        "done": (["ann", "--to", "2025-12-31"], {"user": "ann", "until": "2025-12-31"}),
        "reads": (["--of", lead], {"record": lead}),
        "hindsight": (["2025-04-30"], {"at": "2025-04-30"}),
        "seen": ([lead], {"record": lead}),
        "caused": ([story["request"]], {"cause": story["request"]}),
        "due": (["--on", "2030-01-01"], {"on": "2030-01-01"}),
    }
    assert typed.keys() == {inquiry.name for inquiry in INQUIRIES}
    place = ["--data", str(node.workspace.directory)]
    place += ["--database-url", node.workspace.database_url]
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    for name, (arguments, params) in typed.items():
        capsys.readouterr()
        assert main([name, *arguments, "--json", *place]) == 0
        by_verb = json.loads(capsys.readouterr().out)
        assert by_verb == asked(ann, name, **params), name
        assert main([name, *arguments, *place]) == 0
        assert capsys.readouterr().out


def test_who_may_not_see_personal_values_is_shown_none(eve: Client, story: dict[str, str]):
    for question, params in (
        ("history", {"record": story["lead"]}),
        ("caused", {"cause": story["cause"]}),
        ("done", {"user": "ann"}),
    ):
        text = eve.get(f"/audit/{question}", params=params).text
        assert "wanda" not in text
        assert "[hidden]" in text
    assert asked(eve, "reads", user=str(EVE)) == {"about": [], "user": str(EVE), "readings": []}


@pytest.mark.parametrize(
    ("question", "params", "status"),
    [
        ("history", {"record": "deadbeef"}, 404),
        ("history", {"record": "no id"}, 404),
        ("history", {}, 422),
        ("history", {"record": "deadbeef", "as_off": "2025-01-01"}, 422),
        ("hindsight", {"at": "yesterday"}, 422),
        ("done", {"user": "nobody"}, 404),
        ("caused", {"cause": "x"}, 404),
        ("caused", {"cause": str(UUID(int=9))}, 404),
        ("done", {"user": "ann", "limit": "0"}, 422),
    ],
)
def test_what_cannot_be_answered_is_told(
    ann: Client, question: str, params: dict[str, str], status: int
):
    reply = ann.get(f"/audit/{question}", params=params)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"


# Reads of personal data


def test_who_read_what_of_a_customer_is_known_and_never_the_values(
    tmp_path: Path, database_url: str
):
    begun = datetime.now(UTC)
    node = Node.open(tmp_path, database_url).start()
    with Client(node, ANN) as ann:
        customer = ann.post("/customers", {"name": "Acme"}).json()["id"]
        told = {"name": "Wanda Read", "email": "read@example.com", "customer_id": customer}
        made = ann.post("/contacts", told).json()
    key = {"Authorization": f"Bearer {node.api_keys.create(BOB, 'a real client')}"}
    with listening(node) as url, httpx.Client(base_url=url, headers=key) as bob:
        shown = bob.get(f"/contacts/{made['id']}", params={"min_position": made["position"]})
        assert shown.json()["item"]["name"] == "Wanda Read"
        listed = bob.get("/contacts")
        whole = bob.get("/audit/history", params={"record": made["id"]})
        found = bob.get("/audit/reads", params={"record": customer, "user": str(BOB)}).json()
        asked_before = bob.get("/audit/reads", params={"until": begun.isoformat()}).json()
    assert asked_before["readings"] == []
    assert made["id"] in found["about"]
    readings = found["readings"]
    assert [one["door"] for one in readings] == [
        "GET /audit/history", "GET /contacts", f"GET /contacts/{made['id']}"
    ]  # fmt: skip
    assert all(one["subjects"] == [made["id"]] for one in readings)
    assert all(set(one["fields"]) >= {"email", "name"} for one in readings)
    assert [one["request_id"] for one in readings] == [
        reply.headers["X-Request-Id"] for reply in (whole, listed, shown)
    ]
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT t::text FROM backstory_default.personal_read t"
        ).fetchall()
    assert len(rows) == 3
    assert "Wanda" not in str(rows)
    assert "@" not in str(rows)


def test_the_log_and_questions_over_whole_tables_are_read_by_somebody_too(
    node: Node, ann: Client, story: dict[str, str]
):
    with Client(node, UUID(int=0x515)) as sue:
        lines = sue.get("/events", params={"stream": story["lead"]})
        assert "wanda" in lines.text
        sue.post("/sql", {"sql": "SELECT count(name) AS names FROM lead_personal"})
        sue.post("/sql", {"sql": "SELECT count(*) AS leads FROM lead"})
    whole, log = asked(ann, "reads", record=story["lead"], user=str(UUID(int=0x515)))["readings"]
    assert (log["door"], log["subjects"]) == ("GET /events", [story["lead"]])
    assert set(log["fields"]) >= {"email", "name"}
    assert (whole["door"], whole["subjects"], whole["fields"]) == (
        "POST /sql",
        [],
        ["lead_personal"],
    )


def test_a_table_is_read_by_somebody_too(node: Node, ann: Client, story: dict[str, str]):
    tom = UUID(int=0x70B)
    with Client(node, tom) as client:
        rows = client.get("/tables/lead_personal", params={"id": story["lead"]})
        assert "wanda" in rows.text
        assert client.get("/tables/customer").status_code == 200
    found = asked(ann, "reads", record=story["lead"], user=str(tom))["readings"]
    assert {one["door"] for one in found} == {"GET /tables/lead_personal"}
    assert rows.headers["X-Request-Id"] in {one["request_id"] for one in found}


def test_what_is_not_personal_and_who_may_not_see_it_leaves_no_trace(
    node: Node, eve: Client, story: dict[str, str]
):
    with Client(node, UUID(int=0x51E)) as zoe:
        zoe.get("/customers")
        zoe.get("/health")
        assert asked(zoe, "reads", user=str(UUID(int=0x51E)))["readings"] == []
    eve.get(f"/leads/{story['lead']}")
    assert reads(node.workspace.log, actor=EVE, limit=10) == []


def test_reads_are_kept_for_good(node: Node, ann: Client, story: dict[str, str]):
    ann.get(f"/leads/{story['lead']}")
    for rewriting in ("DELETE FROM personal_read", "UPDATE personal_read SET fields = '{}'"):
        with (
            node.workspace.log.cursor() as cursor,
            pytest.raises(psycopg.errors.RaiseException, match="only grows"),
        ):
            cursor.execute(rewriting.encode())


def test_who_leaves_while_a_read_is_recorded_holds_up_nobody(workspace: Workspace):
    log, actor = ReadLog(workspace.log), UUID(int=0x1EF7)
    try:
        for _ in range(20):
            log.note(Read(actor, uuid4(), "GET /leads", (), ("name",))).cancel()
        log.note(Read(actor, uuid4(), "GET /leads", (), ("name",))).result(timeout=10)
    finally:
        log.close()
    assert 1 <= len(reads(workspace.log, actor=actor, limit=100)) <= 21


def test_many_reads_at_once_are_all_recorded(workspace: Workspace):
    log, threads = ReadLog(workspace.log), 8
    whose = [uuid4() for _ in range(threads)]

    def read(actor: UUID) -> None:
        for number in range(50):
            log.note(Read(actor, uuid4(), "GET /x", (UUID(int=number),), ("name",))).result(30)

    readers = [threading.Thread(target=read, args=(actor,)) for actor in whose]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    log.close()
    for actor in whose:
        found = reads(workspace.log, actor=actor, limit=100)
        assert [one.subjects[0].int for one in reversed(found)] == list(range(50))
    one = reads(workspace.log, subjects=[UUID(int=7)], limit=1000)
    assert len(one) == threads
    later = one[0].read_at + timedelta(seconds=1)
    assert reads(workspace.log, since=later, limit=10) == []


def test_what_cannot_be_recorded_is_not_shown(workspace: Workspace):
    log = ReadLog(workspace.log)
    with workspace.log.cursor() as cursor:
        cursor.execute("ALTER TABLE personal_read RENAME TO gone")
    noted = log.note(Read(ANN, uuid4(), "GET /x", (), ("name",)))
    with pytest.raises(Unavailable):
        noted.result(30)
    log.close()


def test_an_access_report_is_a_read_of_everybody_in_it(node: Node, story: dict[str, str]):
    with Client(node, UUID(int=0xACC)) as officer:
        officer.get(f"/leads/{story['lead']}/access-report").raise_for_status()
        [reading] = asked(officer, "reads", user=str(UUID(int=0xACC)))["readings"]
    assert reading["door"] == f"GET /leads/{story['lead']}/access-report"
    assert story["lead"] in reading["subjects"]
    assert "email" in reading["fields"]
