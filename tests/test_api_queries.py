"""Queries over HTTP: what was, what was known, one page after the other over one snapshot."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import api.answers
from api.app import create_app
from commands.campaign import PlanCampaign
from commands.custom_fields import DeclareCustomField
from commands.lead import CaptureLead, QualifyLead
from replay.inquiries import INQUIRIES
from tests.doors import Client, a_node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.node import Node

ANN, BOB = UUID(int=0xA), UUID(int=0xB)
NO_TABLES = {
    *("/events", "/health", "/checkpoint", "/checkpoint/keys"),
    *("/proofs/inclusion/{event_id}", "/proofs/consistency"),
    *(f"/audit/{inquiry.name}" for inquiry in INQUIRIES),
    *(f"/{home}s/{{id}}/access-report" for home in "lead customer contact ticket user".split()),
}
"""What is answered without the tables has no moment."""

LEAD, BANT = CaptureLead.example, QualifyLead.example


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.fixture(scope="module")
def ann(node: Node) -> Iterator[Client]:
    with Client(node, ANN) as client:
        yield client


def a_lead(client: Client, **more: Any) -> tuple[str, int]:
    """The address of a new lead, and its position."""
    reply = client.post("/leads", LEAD | {"email": f"{uuid4().hex}@example.com"} | more)
    return reply.headers["Location"], reply.json()["position"]


def slug(response: Any) -> str:
    return response.json()["type"].removeprefix("urn:backstory:problem:")


def read(client: Client, path: str, **params: Any) -> dict[str, Any]:
    """What is answered once the tables have all that was written."""
    reply = client.get(path, params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_everybody_reads_what_they_wrote(ann: Client):
    lead, written = a_lead(ann, name="Bob Example")
    reply = ann.get(lead, params={"min_position": written})
    assert reply.headers["ETag"] == '"1"'
    answer = reply.json()
    assert answer["position"] >= written
    assert (answer["item"]["status"], answer["item"]["name"]) == ("open", "Bob Example")
    assert answer["item"]["custom"] == {}


def test_a_position_not_reached_in_time_is_told(ann: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api.answers, "WAIT_SECONDS", 0.05)
    late = ann.get("/leads", params={"min_position": 10**9})
    assert (late.status_code, slug(late), late.headers["Retry-After"]) == (
        503,
        "position-not-reached",
        "1",
    )
    assert late.json()["details"]["position"] < 10**9


def test_what_does_not_exist_is_not_found(ann: Client):
    lead, written = a_lead(ann)
    for path in (f"/leads/{uuid4()}", f"/leads/{uuid4()}/history", f"/customers/{uuid4()}"):
        missing = ann.get(path, params={"min_position": written})
        assert (missing.status_code, slug(missing)) == (404, "not-found")
    before = ann.get(lead, params={"known_at": written - 1})
    assert before.status_code == 404


def test_a_record_is_shown_as_it_was(ann: Client):
    lead, _ = a_lead(ann)
    ann.post(f"{lead}/qualify", BANT, params={"occurred_at": datetime.now(UTC).isoformat()})
    between = datetime.now(UTC)
    written = ann.post(f"{lead}/disqualify", {"reason": "spam"}).json()["position"]
    assert read(ann, lead, min_position=written)["item"]["status"] == "disqualified"
    assert read(ann, lead, as_of=between.isoformat())["item"]["status"] == "qualified"
    assert read(ann, lead, known_at=between.isoformat())["item"]["status"] == "qualified"
    assert read(ann, lead, known_at=written - 1)["item"]["status"] == "qualified"
    assert read(ann, lead, known_at=written - 1)["position"] == written - 1


def test_what_happened_late_in_the_log_is_early_in_life(ann: Client):
    moment = "2025-03-31T12:00:00Z"
    reply = ann.post("/campaigns", PlanCampaign.example, params={"occurred_at": moment})
    campaign, written = reply.headers["Location"], reply.json()["position"]
    assert read(ann, campaign, as_of="2025-03-31", min_position=written)["item"]["id"]
    assert read(ann, campaign, as_of=moment)["item"]["id"]
    assert ann.get(campaign, params={"as_of": "2025-03-30"}).status_code == 404
    assert ann.get(campaign, params={"known_at": "2025-03-31"}).status_code == 404
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert read(ann, campaign, known_at=f"{tomorrow:%Y-%m-%d}")["item"]


def test_history_tells_every_version_up_to_the_moment(ann: Client):
    lead, _ = a_lead(ann)
    qualified = ann.post(f"{lead}/qualify", BANT).json()["position"]
    closed = ann.post(f"{lead}/disqualify", {"reason": "spam"}).json()["position"]
    versions = read(ann, f"{lead}/history", min_position=closed)["items"]
    assert [version["status"] for version in versions] == ["open", "qualified", "disqualified"]
    assert [version["valid_to"] for version in versions] == [
        *(version["valid_from"] for version in versions[1:]),
        None,
    ]
    known = read(ann, f"{lead}/history", known_at=qualified)["items"]
    assert [version["status"] for version in known] == ["open", "qualified"]
    assert (known[1]["valid_to"], known[1]["position_to"]) == (None, None)


def test_personal_columns_are_for_keys_that_may_see_them(node: Node, ann: Client):
    lead, written = a_lead(ann)
    assert read(ann, lead, min_position=written)["item"]["name"] == LEAD["name"]
    with Client(node, BOB, personal=False) as analyst:
        for path in (lead, f"{lead}/history", "/leads"):
            answer = read(analyst, path)
            assert "Ann Example" not in str(answer)
            assert "@example.com" not in str(answer)


def test_custom_fields_are_columns(ann: Client):
    ann.post("/custom-fields/declare", DeclareCustomField.example)
    secret = {"name": "nickname", "field_type": "text", "unit": None, "personal": True}
    ann.post("/custom-fields/declare", DeclareCustomField.example | secret)
    lead, written = a_lead(ann, custom={"total_visits": 3, "nickname": "Annie"})
    item = read(ann, lead, min_position=written)["item"]
    assert (item["total_visits"], item["nickname"]) == (3, "Annie")
    assert item["custom"] == {"total_visits": 3}
    names = [field["name"] for field in read(ann, "/custom-fields", aggregate="lead")["items"]]
    assert set(names) == {"total_visits", "nickname"}


def pages(client: Client, path: str, between: Any = lambda: None, **params: Any) -> list[dict]:
    """All rows of an answer, page after page; `between` happens after each."""
    page = read(client, path, **params)
    items, position = page["items"], page["position"]
    while page["next"]:
        between()
        page = read(client, path, cursor=page["next"], **params)
        assert page["position"] == position
        assert page["items"]
        items += page["items"]
    return items


def test_pages_are_of_one_moment_whatever_is_written_meanwhile(ann: Client):
    source = uuid4().hex
    written = [a_lead(ann, source=source) for _ in range(10)]

    def interfere() -> None:
        ann.post(f"{written[0][0]}/qualify", BANT)
        a_lead(ann, source=source)
        read(ann, "/leads", min_position=a_lead(ann, source=source)[1])

    items = pages(ann, "/leads", interfere, limit=3, source=source, min_position=written[-1][1])
    assert [f"/leads/{item['id']}" for item in items] == [lead for lead, _ in reversed(written)]
    assert {item["status"] for item in items} == {"open"}


def test_reports_have_pages_too(ann: Client):
    sources = sorted(uuid4().hex for _ in range(5))
    position = max(a_lead(ann, source=source)[1] for source in sources)
    items = pages(ann, "/leads/sources", limit=2, min_position=position)
    assert {*sources} <= {item["source"] for item in items}
    assert len(items) == len({item["source"] for item in items})
    assert items == read(ann, "/leads/sources", known_at=position, limit=1000)["items"]


def test_a_cursor_is_for_its_own_question(ann: Client):
    a_lead(ann), a_lead(ann)
    cursor = read(ann, "/leads", limit=1, min_position=a_lead(ann)[1])["next"]
    assert read(ann, "/leads", limit=5, cursor=cursor)["items"]
    for path, params in (
        ("/leads", {"status": "open"}),
        ("/leads", {"as_of": "2030-01-01"}),
        ("/deals", {}),
    ):
        refused = ann.get(path, params={"cursor": cursor} | params)
        assert (refused.status_code, slug(refused)) == (422, "cursor-invalid")


@settings(max_examples=100)
@given(
    at=st.integers(0, 1000),
    bit=st.integers(0, 7),
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100),
)
def test_a_forged_cursor_is_refused(ann: Client, at: int, bit: int, text: str):
    sealed = bytearray(base64.urlsafe_b64decode(a_cursor(ann)))
    sealed[at % len(sealed)] ^= 1 << bit
    for forged in (base64.urlsafe_b64encode(sealed).decode(), text):
        refused = ann.get("/leads", params={"cursor": forged})
        assert (refused.status_code, slug(refused)) == (422, "cursor-invalid")


def a_cursor(client: Client) -> str:
    while not (cursor := read(client, "/leads", limit=1)["next"]):
        read(client, "/leads", min_position=a_lead(client)[1])
    return cursor


def test_limits_are_kept(ann: Client):
    for limit in (0, -1, 1001, "many", 10**30):
        assert ann.get("/leads", params={"limit": limit}).status_code == 422


@pytest.mark.parametrize("name", ["as_of", "known_at"])
@pytest.mark.parametrize(
    "moment",
    [
        "tomorrow",
        "2026-02-30",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "-1",
        "99999999999999999999",
        "2026-01-01\x00",
        "1e5",
        "\u0662\u0660\u0662\u0666-\u0660\u0661-\u0660\u0661",
    ],
)
def test_a_moment_that_is_none_is_invalid(ann: Client, name: str, moment: str):
    refused = ann.get("/leads", params={name: moment})
    assert (refused.status_code, slug(refused)) == (422, "invalid")


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ("asof=2026-01-01", "asof"),
        ("as_of=2026-01-01&as_of=2026-02-01", "as_of"),
        ("known_at=nonsense", "known_at"),
        ("since=20260101", "since"),
    ],
)
def test_a_question_that_may_be_misread_is_not_answered(ann: Client, params: str, parameter: str):
    refused = ann.get(f"/deals/waterfall?{params}")
    assert (refused.status_code, slug(refused)) == (422, "invalid")
    assert [error["parameter"] for error in refused.json()["errors"]] == [parameter]


@pytest.mark.parametrize(
    "moment", ["0001-01-01", "9999-12-31", "2026-01-01T00:00", "2026-01-01T00:00:00.123456+05:30"]
)
@pytest.mark.parametrize("name", ["as_of", "known_at"])
def test_any_moment_there_is_may_be_asked_about(ann: Client, name: str, moment: str):
    assert ann.get("/leads", params={name: moment}).status_code == 200


def test_what_the_log_does_not_hold_yet_is_all_there_is(ann: Client):
    _, written = a_lead(ann)
    answer = read(ann, "/leads", known_at=written + 10**6)
    assert answer["position"] == written


def test_every_question_has_an_answer(node: Node, ann: Client):
    lead, written = a_lead(ann)
    read(ann, lead, min_position=written)
    paths = create_app(node).openapi()["paths"]
    asked = [path for path, methods in paths.items() if "get" in methods and path not in NO_TABLES]
    assert len(asked) > 60
    for path in asked:
        filled = path.replace("/leads/{id}", lead).replace("{id}", str(uuid4()))
        filled = filled.replace("{name}", "lead")
        for personal in ({}, {"as_of": "2026-01-01"}, {"known_at": written}):
            reply = ann.get(filled, params=personal)
            assert reply.status_code in {200, 404}, (path, reply.text)


@settings(max_examples=100)
@given(
    path=st.sampled_from(["/leads", "/deals", "/deals/waterfall", "/scores", "/events"]),
    params=st.dictionaries(
        st.sampled_from("status owner source since as_of known_at limit cursor learner".split()),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    ),
)
def test_any_parameter_is_answered(ann: Client, path: str, params: dict[str, str]):
    assert ann.get(path, params=params).status_code in {200, 422}


def test_many_ask_at_once(ann: Client):
    _, written = a_lead(ann)
    began = time.monotonic()
    replies = ann.together(*[("GET", "/leads/board", {"params": {"min_position": written}})] * 20)
    assert {reply.status_code for reply in replies} == {200}
    assert time.monotonic() - began < 60
