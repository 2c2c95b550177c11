"""Commands over HTTP: what is answered, how often it counts, and what is said when it cannot be."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest
from structlog.testing import capture_logs

from api.app import create_app
from commands import COMMANDS
from commands.campaign import PlanCampaign
from commands.custom_fields import DeclareCustomField
from commands.lead import CaptureLead, QualifyLead
from commands.pipeline import DefinePipeline
from domain.custom_fields import custom_fields_id
from eventstore.errors import OutcomeUnknown, Overloaded, Unavailable
from eventstore.promise import Promise
from tests.doors import Client, a_node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.node import Node
    from eventstore.envelope import RecordedEvent
    from eventstore.errors import EventStoreError

ANN, BOB = UUID(int=0xA), UUID(int=0xB)
LEAD, BANT = CaptureLead.example, QualifyLead.example


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.fixture(scope="module")
def ann(node: Node) -> Iterator[Client]:
    with Client(node, ANN) as client:
        yield client


def somebody(**more: Any) -> dict[str, Any]:
    """What is known of a new lead: nobody else has this address."""
    return LEAD | {"email": f"{uuid4().hex}@example.com"} | more


def captured(client: Client) -> str:
    return client.post("/leads", somebody()).headers["Location"]


def events(node: Node, address: str) -> list[RecordedEvent]:
    return node.workspace.log.read_stream(UUID(address.split("/")[2]))


def slug(response) -> str:
    return response.json()["type"].removeprefix("urn:backstory:problem:")


def test_every_command_has_a_door(node: Node):
    doors = {
        route["operationId"]
        for path in create_app(node).openapi()["paths"].values()
        for route in path.values()
    }
    names = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", one.__name__).lower() for one in COMMANDS}
    assert names <= doors


def test_a_record_is_started_under_an_id_made_here(ann: Client):
    reply = ann.post("/leads", somebody())
    lead, position = reply.json()["id"], reply.json()["position"]
    assert reply.status_code == 201
    assert reply.json() == {"id": lead, "version": 1, "position": position}
    assert (reply.headers["Location"], reply.headers["ETag"]) == (f"/leads/{lead}", '"1"')


def test_a_record_is_started_under_an_id_the_client_made(ann: Client):
    lead, body = uuid4(), somebody()
    first = ann.post(f"/leads/{lead}/capture", body)
    again = ann.post(f"/leads/{lead}/capture", body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert (first.json()["id"], first.json()["version"]) == (str(lead), 1)
    assert first.json() == again.json()


def test_a_command_answers_with_version_and_position(ann: Client):
    reply = ann.post(f"{captured(ann)}/qualify", BANT)
    assert reply.status_code == 200
    assert (reply.json()["version"], reply.headers["ETag"]) == (2, '"2"')


def test_a_command_without_fields_needs_no_body(ann: Client):
    campaign = ann.post("/campaigns", PlanCampaign.example).headers["Location"]
    assert slug(ann.post(f"{campaign}/pause")) == "campaign-not-running"


def test_custom_fields_are_declared_per_aggregate(ann: Client):
    reply = ann.post("/custom-fields/declare", DeclareCustomField.example)
    assert UUID(reply.json()["id"]) == custom_fields_id("lead")
    lead = ann.post("/leads", somebody(custom={"total_visits": 3}))
    assert lead.status_code == 201


def test_the_clock_is_not_set_ahead(ann: Client):
    now = datetime.now(UTC)
    assert ann.post("/clock/tick", {"moment": now.isoformat()}).status_code == 200
    ahead = ann.post("/clock/tick", {"moment": (now + timedelta(hours=1)).isoformat()})
    assert (ahead.status_code, slug(ahead)) == (422, "occurred-in-the-future")


@pytest.mark.parametrize("params", [{"occured_at": "2026-01-31"}, {"occurred_at": "1700000000"}])
def test_a_moment_that_is_misspelt_is_not_overlooked(node: Node, ann: Client, params: dict):
    before = node.workspace.log.last_position()
    refused = ann.post("/leads", somebody(), params=params)
    assert (refused.status_code, slug(refused)) == (422, "invalid")
    assert refused.json()["errors"][0]["parameter"] == next(iter(params))
    assert node.workspace.log.last_position() == before


def test_a_refusal_that_is_kept_repeats_nothing_personal(node: Node, ann: Client):
    salary = {"aggregate": "lead", "name": "salary", "field_type": "integer", "personal": True}
    ann.post("/custom-fields/declare", salary | {"description": "What somebody earns."})
    body, key = somebody(custom={"salary": "a secret sum"}), {"Idempotency-Key": "salary"}
    refused = [ann.post("/leads", body, headers=key) for _ in range(2)]
    assert [reply.status_code for reply in refused] == [409, 409]
    assert refused[0].json()["details"]["given"] == "text"
    with node.workspace.log.cursor() as cursor:
        kept = cursor.execute("SELECT reply::text AS reply FROM idempotency").fetchall()
    assert any("CustomFieldMistyped" in row["reply"] for row in kept)
    assert not any("secret" in row["reply"] for row in kept)


def test_an_idempotency_key_that_names_a_person_is_kept_nowhere_in_the_clear(
    node: Node, ann: Client
):
    key, body = "wanda.secret@example.com", somebody()
    ones = [ann.post("/leads", body, headers={"Idempotency-Key": key}) for _ in range(2)]
    assert len({one.json()["id"] for one in ones}) == 1
    line = json.dumps({"command": "CaptureLead", "key": key, "fields": somebody()})
    ann.post("/commands", content=line, headers={"Content-Type": "application/x-ndjson"})
    with psycopg.connect(node.workspace.database_url) as database:
        tables = database.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'backstory_default'"
        ).fetchall()
        stored = "\n".join(
            str(row)
            for (table,) in tables
            for row in database.execute(f'SELECT t::text FROM backstory_default."{table}" t')
        )
    assert node.keys.keyed_hash("idempotency_key", key).hex() in stored, "the search works"
    assert key not in stored
    assert key.encode().hex() not in stored


def test_a_refusal_is_a_conflict_with_its_reason(ann: Client):
    lead = captured(ann)
    ann.post(f"{lead}/qualify", BANT)
    refused = ann.post(f"{lead}/qualify", BANT | {"need": 4})
    assert refused.status_code == 409
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json() == {
        "type": "urn:backstory:problem:lead-not-open",
        "title": "Lead not open",
        "status": 409,
        "detail": "The lead is qualified; only an open lead can do this.",
        "details": {"status": "qualified"},
    }


def test_invalid_fields_are_pointed_at_and_never_repeated(ann: Client):
    invalid = ann.post(
        f"/leads/{uuid4()}/qualify", BANT | {"need": 9, "a/b": "my secret", "budget": "my secret"}
    )
    assert invalid.status_code == 422
    assert {error["pointer"] for error in invalid.json()["errors"]} == {
        "#/need",
        "#/a~1b",
        "#/budget",
    }
    assert "secret" not in invalid.text


def test_invalid_parameters_are_named(ann: Client):
    invalid = ann.post("/leads/7/qualify?occurred_at=tomorrow", BANT, headers={"If-Match": "new"})
    assert invalid.status_code == 422
    assert {(error["in"], error["parameter"]) for error in invalid.json()["errors"]} == {
        ("path", "id"),
        ("query", "occurred_at"),
        ("header", "if-match"),
    }


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 422, "invalid"),
        (b"{", 400, "body-malformed"),
        (b"[" * 100_000, 400, "body-malformed"),
        (b'"\xed\xa0\x80"', 400, "body-malformed"),
        (b'{"source": NaN}', 422, "body-unstorable"),
        (b'{"source": 9223372036854775808}', 422, "body-unstorable"),
        (b'{"source": 1e999999}', 422, "body-unstorable"),
        (b'{"source": "a\\u0000b"}', 422, "body-unstorable"),
        (b'{"source": "\\ud800"}', 422, "body-unstorable"),
        (b'{"\\ud800": 1}', 422, "body-unstorable"),
        (b'"' + b"x" * 2**20 + b'"', 413, "body-too-large"),
    ],
)
def test_a_body_that_cannot_be_kept_is_refused(ann: Client, body: bytes, status: int, said: str):
    json = {"Content-Type": "application/json"}
    refused = ann.post("/leads", content=body, headers=json)
    assert (refused.status_code, slug(refused)) == (status, said)


def test_money_arrives_to_the_last_cent(node: Node, ann: Client):
    pipeline = ann.post("/pipelines", DefinePipeline.example).json()["id"]
    body = f'{{"name": "x", "pipeline_id": "{pipeline}", "currency": "EUR", "amount": %s}}'
    amount = "1234567890123456.78"
    json = {"Content-Type": "application/json"}
    deal = ann.post("/deals", content=body % amount, headers=json).headers["Location"]
    (event,) = events(node, deal)
    assert event.event.model_dump()["amount"] == Decimal(amount)


def test_a_stale_version_is_told_the_present_one(ann: Client):
    lead = captured(ann)
    ann.post(f"{lead}/qualify", BANT, headers={"If-Match": '"1"'})
    stale = ann.post(f"{lead}/disqualify", {"reason": "spam"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, slug(stale), stale.headers["ETag"]) == (412, "stale-version", '"2"')
    assert ann.post(
        f"{lead}/disqualify", {"reason": "spam"}, headers={"If-Match": 'W/"2"'}
    ).is_success


def test_a_key_asked_twenty_times_at_once_counts_once(node: Node, ann: Client):
    before = node.workspace.log.last_position()
    request = "POST", "/leads", {"json": somebody(), "headers": {"Idempotency-Key": "once"}}
    replies = ann.together(*[request] * 20)
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.text for reply in replies}) == 1
    assert len({reply.headers["Location"] for reply in replies}) == 1
    assert len(list(node.workspace.log.read(before))) == 1


def test_a_stored_refusal_is_given_again(node: Node, ann: Client):
    lead = captured(ann)
    key = {"Idempotency-Key": "recycle"}
    refused = ann.post(f"{lead}/recycle", {"reason": "new budget"}, headers=key)
    ann.post(f"{lead}/disqualify", {"reason": "no_budget"})
    again = ann.post(f"{lead}/recycle", {"reason": "new budget"}, headers=key)
    assert refused.status_code == 409
    assert again.json() == refused.json()
    assert len(events(node, lead)) == 2


def test_a_key_with_another_body_is_invalid(ann: Client):
    key, body = {"Idempotency-Key": "mine"}, somebody()
    ann.post("/leads", body, headers=key)
    other = ann.post("/leads", body | {"source": "fair"}, headers=key)
    assert (other.status_code, slug(other)) == (422, "idempotency-key-reused")
    reordered = dict(reversed(body.items()))
    assert ann.post("/leads", reordered, headers=key).status_code == 201


def test_a_key_is_one_actors_at_one_door(node: Node, ann: Client):
    key = {"Idempotency-Key": "1"}
    lead = ann.post("/leads", somebody(), headers=key).headers["Location"]
    with Client(node, BOB) as bob:
        other = bob.post("/leads", somebody(), headers=key)
    assert other.status_code == 201
    assert other.headers["Location"] != lead
    assert ann.post(f"{lead}/qualify", BANT, headers=key).json()["version"] == 2


def test_what_happened_earlier_is_recorded_with_its_own_time(node: Node, ann: Client):
    then = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    params = {"occurred_at": "2026-01-31T10:30:00+01:00"}
    (event,) = events(node, ann.post("/leads", somebody(), params=params).headers["Location"])
    assert event.occurred_at == then < event.recorded_at


def test_nothing_is_recorded_before_it_happens(node: Node, ann: Client):
    before = node.workspace.log.last_position()
    later = datetime.now(UTC) + timedelta(minutes=1)
    refused = ann.post("/leads", somebody(), params={"occurred_at": later.isoformat()})
    assert (refused.status_code, slug(refused)) == (422, "occurred-in-the-future")
    assert node.workspace.log.last_position() == before


def test_the_thread_of_cause_and_effect_is_kept(node: Node, ann: Client):
    correlation, causation = uuid4(), uuid4()
    headers = {"Correlation-Id": str(correlation), "Causation-Id": str(causation)}
    (event,) = events(node, ann.post("/leads", somebody(), headers=headers).headers["Location"])
    assert (event.actor, event.correlation_id, event.causation_id) == (ANN, correlation, causation)


@pytest.mark.parametrize("error", [Overloaded, Unavailable, OutcomeUnknown])
def test_a_busy_or_absent_store_asks_to_come_again(
    node: Node, ann: Client, error: type[EventStoreError], monkeypatch: pytest.MonkeyPatch
):
    answer = Promise(error("the database at secret.example.com went away"))
    monkeypatch.setattr(node.writer, "submit", lambda *_: answer)
    told = ann.post("/leads", somebody(), headers={"Idempotency-Key": "k-1"})
    assert (told.status_code, told.headers["Retry-After"]) == (503, "1")
    assert "secret" not in told.text
    expected = {"outcome": "unknown", "retry_by": "k-1"} if error is OutcomeUnknown else {}
    assert {key: told.json().get(key) for key in expected} == expected
    assert ("outcome" in told.json()) == bool(expected)


def test_one_line_is_logged_per_command_and_nothing_personal(ann: Client):
    with capture_logs() as lines:
        lead = captured(ann)
        ann.post(f"{lead}/recycle", {"reason": "my secret"})
    accepted, refused = (line for line in lines if line["event"] == "command")
    assert (accepted["command"], accepted["outcome"]) == ("CaptureLead", "accepted")
    assert accepted["position"] > 0
    assert (refused["command"], refused["outcome"], refused["actor"]) == (
        "RecycleLead",
        "LeadNotDisqualified",
        ANN,
    )
    assert "Ann Example" not in str(lines)
    assert "secret" not in str(lines)
