"""Many commands in one request: each in its turn, each once, however often all of it is sent."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import api.bulk
from api.lines import MEMORY_BYTES_MAX, lines_of
from api.node import Node
from commands import COMMANDS
from commands.custom_fields import DeclareCustomField
from commands.lead import QualifyLead
from domain.clock import CLOCK
from domain.custom_fields import custom_fields_id
from eventstore.batch import Batch
from eventstore.errors import OutcomeUnknown
from eventstore.writer import Writer
from tests.doors import Client, a_node, listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

BANT = QualifyLead.example
Line = dict[str, Any]


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.fixture
def short_lived(tmp_path: Path, database_url: str) -> Iterator[Node]:
    """A node that its server will close."""
    with Node.open(tmp_path, database_url) as started:
        yield started


@pytest.fixture
def who() -> UUID:
    """Somebody new each time: what others have sent is not known of her."""
    return uuid4()


@pytest.fixture
def ann(node: Node, who: UUID) -> Iterator[Client]:
    with Client(node, who) as client:
        yield client


def text(*items: Line) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def send(client: Client, *items: Line | bytes, **headers: str) -> list[Line]:
    body = b"".join(item if isinstance(item, bytes) else text(item) for item in items)
    reply = client.ask("POST", "/commands", content=body, headers=headers)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in reply.text.splitlines()]


def capture(number: int, id: UUID | None = None) -> Line:
    fields = {"name": f"Lead {number}", "company": "Example Ltd", "source": "web"}
    return {"command": "CaptureLead", "fields": fields} | ({"id": str(id)} if id else {})


def engage(id: UUID | str, note: str = "") -> Line:
    return {"command": "EngageLead", "id": str(id), "fields": {"kind": "call", "note": note}}


def slug(line: Line) -> str:
    return line["problem"]["type"].removeprefix("urn:backstory:problem:")


def types(node: Node, actor: UUID) -> list[str]:
    """What somebody has brought about."""
    return [recorded.event.type for recorded in node.workspace.log.read(actor=actor)]


def test_each_line_is_answered_by_one_in_its_order(node: Node, ann: Client, who: UUID):
    lead, deal = uuid4(), uuid4()
    told = send(
        ann,
        capture(1, lead),
        {"command": "QualifyLead", "id": str(lead), "fields": BANT},
        {"command": "WinDeal", "id": str(deal)},
        {"command": "RegisterUser", "fields": {"name": "Eve", "handle": "eve", "team": "Sales"}},
    )
    assert [line["line"] for line in told] == [1, 2, 3, 4]
    captured, qualified = node.workspace.log.read_stream(lead)
    assert told[0] == {"line": 1, "id": str(lead), "version": 1, "position": captured.position}
    assert told[1] == {"line": 2, "id": str(lead), "version": 2, "position": qualified.position}
    assert slug(told[2]) == "deal-unknown"
    assert told[3]["version"] == 1
    assert types(node, who) == ["lead.captured.v1", "lead.qualified.v1", "user.registered.v1"]


def test_a_wrong_line_concerns_no_other(ann: Client):
    told = send(
        ann,
        b"{not json\n",
        b"[]\n",
        b'{"command": "QualifyLead", "fields": {"budget": 9}}\n',
        b'{"command": "FlyToTheMoon"}\n',
        b'{"command": "QualifyLead", "fields": ' + json.dumps(BANT).encode() + b"}\n",
        b'{"command": "CaptureLead", "surplus": 1}\n',
        b'{"command": "CaptureLead", "fields": {"name": "' + b"x" * 2**20 + b'"}}\n',
        b'{"command": "CaptureLead", "fields": {"name": "\\u0000", "source": "web"}}\n',
        b"\n  \n",
        capture(1),
    )
    assert [(line["line"], slug(line)) for line in told[:-1]] == [
        (1, "body-malformed"),
        (2, "invalid"),
        (3, "invalid"),
        (4, "command-unknown"),
        (5, "id-missing"),
        (6, "invalid"),
        (7, "line-too-long"),
        (8, "body-unstorable"),
    ]
    pointers = {fault["pointer"] for fault in told[2]["problem"]["errors"]}
    assert "#/fields/budget" in pointers
    assert told[-1]["line"] == 11
    assert told[-1]["version"] == 1


def test_a_line_says_when_at_which_version_and_because_of_whom(node: Node, ann: Client, who: UUID):
    lead, whole = uuid4(), uuid4()
    told = send(
        ann,
        capture(1, lead) | {"occurred_at": "2020-02-29T12:00:00Z"},
        engage(lead) | {"expected_version": 7},
        engage(lead) | {"expected_version": 1},
        engage(lead) | {"occurred_at": "2999-01-01T00:00:00Z"},
        **{"Correlation-Id": str(whole)},
    )
    assert slug(told[1]) == "stale-version"
    assert told[2]["version"] == 2
    assert slug(told[3]) == "occurred-in-the-future"
    captured, engaged = node.workspace.log.read(actor=who)
    assert captured.occurred_at.year == 2020
    assert {captured.correlation_id, engaged.correlation_id} == {whole}
    assert {captured.stream_id, engaged.stream_id} == {lead}


def test_streams_that_follow_from_a_command_need_no_id(ann: Client):
    declare = {"command": "DeclareCustomField", "fields": DeclareCustomField.example}
    tick = {"command": "TickClock", "fields": {"moment": "2026-01-31T10:00:00Z"}}
    ahead = {"command": "TickClock", "fields": {"moment": "2999-01-31T10:00:00Z"}}
    told = send(ann, declare, tick, ahead, declare | {"id": str(uuid4())})
    assert UUID(told[0]["id"]) == custom_fields_id("lead")
    assert UUID(told[1]["id"]) == CLOCK
    assert slug(told[2]) == "occurred-in-the-future"
    assert slug(told[3]) == "custom-fields-elsewhere"


def test_any_command_can_be_sent(ann: Client):
    lines = [
        {"command": command.__name__, "id": str(uuid4()), "fields": command.example}
        for command in COMMANDS
    ]
    told = send(ann, *lines)
    assert len(told) == len(COMMANDS)
    assert {slug(line) for line in told if "problem" in line} <= {
        *("lead-unknown", "customer-unknown", "contact-unknown", "pipeline-unknown"),
        *("deal-unknown", "activity-unknown", "ticket-unknown", "campaign-unknown"),
        *("user-unknown", "campaign-member-unknown", "custom-fields-elsewhere"),
        *("custom-field-unknown", "clock-elsewhere", "already-held"),
        *("reference-unknown", "retention-rule-unknown", "retention-rule-elsewhere"),
    }


def test_sent_again_everything_is_answered_the_same_and_done_once(
    node: Node, ann: Client, who: UUID
):
    lead = uuid4()
    delivery = [
        {"command": "RecycleLead", "id": str(lead), "fields": {"reason": "refused, unknown"}},
        capture(1, lead),
        capture(2),
        engage(lead),
        engage(lead),
        {"command": "QualifyLead", "id": str(lead), "fields": BANT},
        {"command": "QualifyLead", "id": str(lead), "fields": BANT | {"evidence": "as before"}},
        {"command": "ConvertLead", "id": str(lead), "fields": {}},
        {"command": "FlyToTheMoon"},
        {"command": "DisqualifyLead", "id": str(lead), "fields": {"reason": "spam"}},
    ]
    first = send(ann, *delivery)
    events = types(node, who)
    assert send(ann, *delivery) == first
    assert send(ann, *delivery[:4]) == first[:4]
    assert types(node, who) == events
    assert events.count("lead.engaged.v1") == 2
    assert first[3]["id"] == first[4]["id"]
    assert first[3]["version"] < first[4]["version"]


def test_what_was_true_already_is_not_made_true_again_later(node: Node, ann: Client):
    """Done on a resend, the first line would undo the second."""
    lead, eve, bob = uuid4(), uuid4(), uuid4()
    people = [
        {"command": "RegisterUser", "id": str(id), "fields": {"name": n, "handle": n, "team": "x"}}
        for id, n in ((eve, "eve"), (bob, "bob"))
    ]
    to = {
        id: {"command": "AssignLead", "id": str(lead), "fields": {"owner": str(id)}}
        for id in (eve, bob)
    }
    send(ann, *people, capture(1, lead), to[eve], **{"Idempotency-Key": "day-1"})
    delivery = [to[eve], to[bob]]
    first = send(ann, *delivery, **{"Idempotency-Key": "day-2"})
    again = send(ann, *delivery, **{"Idempotency-Key": "day-2"})
    assert first == again
    last = node.workspace.log.read_stream(lead)[-1].event
    assert last.owner == bob  # type: ignore[attr-defined]


def test_equal_lines_of_one_delivery_are_several_wishes_and_of_another_too(node: Node, ann: Client):
    lead = uuid4()
    send(ann, capture(1, lead))
    monday = send(ann, *[engage(lead)] * 3, **{"Idempotency-Key": "monday"})
    tuesday = send(ann, *[engage(lead)] * 3, **{"Idempotency-Key": "tuesday"})
    assert [line["version"] for line in monday + tuesday] == [2, 3, 4, 5, 6, 7]
    with Client(node, uuid4()) as bob:
        other = send(bob, engage(lead), **{"Idempotency-Key": "monday"})
    assert other[0]["version"] == 8


def test_a_key_stands_for_a_line_wherever_it_is(node: Node, ann: Client):
    lead = uuid4()
    send(ann, capture(1, lead))
    (first,) = send(ann, engage(lead) | {"key": "call-17"})
    again = send(ann, engage(lead, "x"), engage(lead) | {"key": "call-17"})
    assert again[1] == first | {"line": 2}
    (other,) = send(ann, engage(lead, "another body") | {"key": "call-17"})
    assert slug(other) == "idempotency-key-reused"
    assert len(node.workspace.log.read_stream(lead)) == 3


def test_a_delivery_under_way_twice_at_once_counts_once(node: Node, ann: Client, who: UUID):
    body = text(*(capture(number) for number in range(60)))
    replies = ann.together(*[("POST", "/commands", {"content": body})] * 4)
    assert len({reply.text for reply in replies}) == 1
    assert len(types(node, who)) == 60


def test_no_key_no_commands(node: Node, ann: Client, who: UUID):
    reply = ann.ask("POST", "/commands", content=text(capture(1)), headers={"Authorization": ""})
    assert reply.status_code == 401
    assert types(node, who) == []


def test_nothing_sent_is_answered_by_nothing(ann: Client):
    assert send(ann) == []
    assert send(ann, b"\n\n") == []


def test_a_full_writer_is_waited_for(
    node: Node, ann: Client, who: UUID, monkeypatch: pytest.MonkeyPatch
):
    """Twenty places in the queue, and a batch of four at a time: nobody is turned away."""
    monkeypatch.setattr("eventstore.writer.BATCH_MAX", 4)
    monkeypatch.setattr(node.writer, "waiting_max", 20)
    told = send(ann, *(capture(number) for number in range(300)))
    assert [line["version"] for line in told] == [1] * 300
    assert types(node, who) == ["lead.captured.v1"] * 300


def test_no_more_is_read_than_can_be_under_way(ann: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api.bulk, "IN_FLIGHT_MAX", 10)
    pause, waiting = threading.Event(), threading.Event()
    decide = Batch.decide
    read = 0

    def held(batch: Batch, turn: Any) -> None:
        waiting.set()
        pause.wait(30)
        decide(batch, turn)

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for number in range(100):
            read += 1
            yield text(capture(number))

    monkeypatch.setattr(Batch, "decide", held)
    seen: list[int] = []

    def look() -> None:
        waiting.wait(30)
        time.sleep(0.5)
        seen.append(read)
        pause.set()

    looking = threading.Thread(target=look)
    looking.start()
    reply = ann.ask("POST", "/commands", content=body())
    looking.join()
    assert len(reply.text.splitlines()) == 100
    assert seen[0] <= 13


def test_after_an_outcome_that_is_unknown_nothing_more_is_done(
    node: Node, ann: Client, monkeypatch: pytest.MonkeyPatch
):
    """Otherwise, sent again, the lines after it would have come before it."""
    lead = uuid4()
    send(ann, capture(1, lead))
    commit = Writer._commit
    failures = [OutcomeUnknown("gone")]

    def failing(writer: Writer, intents: Any) -> Any:
        if failures:
            raise failures.pop()
        return commit(writer, intents)

    monkeypatch.setattr(Writer, "_commit", failing)
    delivery = [engage(lead, f"{number}") | {"key": f"k{number}"} for number in range(500)]
    told = send(ann, *delivery)
    unsettled = next(n for n, line in enumerate(told) if slug(line) == "earlier-line-unsettled")
    assert told[0]["problem"]["outcome"] == "unknown"
    assert told[0]["problem"]["retry_by"] == "k0"
    assert {slug(line) for line in told[unsettled:]} == {"earlier-line-unsettled"}
    assert len(node.workspace.log.read_stream(lead)) == 1
    again = send(ann, *delivery)
    assert [line["version"] for line in again] == list(range(2, 502))
    notes = [recorded.event.note for recorded in node.workspace.log.read_stream(lead, 1)]  # type: ignore[attr-defined]
    assert notes == [str(number) for number in range(500)]


def hung_up(address: str, key: str, body: bytes, lines: int) -> list[Line]:
    """What is heard by a client that hangs up after so many lines of the answer."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port)) as line:
        head = (
            f"POST /commands HTTP/1.1\r\nHost: backstory\r\nAuthorization: Bearer {key}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        line.sendall(head.encode() + f"{len(body):x}\r\n".encode() + body + b"\r\n")
        with line.makefile("rb") as reply:
            told: list[Line] = []
            while len(told) < lines:
                heard = reply.readline()
                assert heard
                if heard.startswith(b'{"line"'):
                    told.append(json.loads(heard))
    return told


def test_who_hangs_up_keeps_what_was_acknowledged_and_goes_on_later(short_lived: Node, who: UUID):
    key = short_lived.api_keys.create(who)
    delivery = [capture(number) for number in range(200)]
    cut_off = text(*delivery[:120]) + text(delivery[120])[:-1]  # whole, but not ended
    with listening(short_lived) as address:
        heard = hung_up(address, key, cut_off, 100)
        headers = {"Authorization": f"Bearer {key}"}
        reply = httpx.post(
            f"{address}/commands", content=text(*delivery), headers=headers, timeout=60
        )
        told = [json.loads(line) for line in reply.text.splitlines()]
        assert told[:100] == heard
        assert [line["version"] for line in told] == [1] * 200
        assert len(types(short_lived, who)) == 200


def test_a_server_that_ends_answers_what_it_has_taken_and_takes_no_more(
    node: Node, ann: Client, who: UUID, monkeypatch: pytest.MonkeyPatch
):
    stopping = threading.Event()
    monkeypatch.setattr(node.pulse, "stopping", stopping)

    async def body() -> AsyncIterator[bytes]:
        for number in range(100):
            if number == 50:
                stopping.set()
            yield text(capture(number))

    reply = ann.ask("POST", "/commands", content=body())
    told = [json.loads(line) for line in reply.text.splitlines()]
    assert [line["version"] for line in told] == [1] * 50
    assert len(types(node, who)) == 50


def test_a_client_that_sends_all_before_it_reads_is_answered(short_lived: Node, who: UUID):
    """Its answers wait in a file meanwhile: more of them than sockets and memory would hold."""
    key = short_lived.api_keys.create(who)
    count = 60_000
    line = b'{"command": "' + b"X" * 60 + b'"}\n'
    with listening(short_lived) as address:
        reply = httpx.post(
            f"{address}/commands",
            content=line * count,
            headers={"Authorization": f"Bearer {key}"},
            timeout=100,
        )
    assert len(reply.content) > 8 * MEMORY_BYTES_MAX
    numbers = [json.loads(line)["line"] for line in reply.text.splitlines()]
    assert numbers == list(range(1, count + 1))


def test_a_client_that_waits_to_be_told_to_go_on_is_told(short_lived: Node, who: UUID):
    key = short_lived.api_keys.create(who)
    with listening(short_lived) as address:
        parts = urlsplit(address)
        with socket.create_connection((parts.hostname, parts.port)) as line:
            body = text(capture(1))
            head = (
                f"POST /commands HTTP/1.1\r\nHost: backstory\r\nAuthorization: Bearer {key}\r\n"
                f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
            )
            line.sendall(head.encode())
            with line.makefile("rb") as reply:
                assert reply.readline() == b"HTTP/1.1 100 Continue\r\n"
                line.sendall(body)
                assert reply.readline() == b"\r\n"
                assert reply.readline() == b"HTTP/1.1 200 OK\r\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.binary(max_size=80), max_size=8), st.lists(st.integers(1, 40), max_size=20))
def test_whatever_lines_are_sent_each_is_answered(
    ann: Client, lines: list[bytes], sizes: list[int]
):
    body = b"\n".join(lines)

    async def chunks() -> AsyncIterator[bytes]:
        rest = body
        for size in sizes:
            chunk, rest = rest[:size], rest[size:]
            yield chunk
        yield rest

    reply = ann.ask("POST", "/commands", content=chunks())
    told = [json.loads(line) for line in reply.text.splitlines()]
    wanted = [n for n, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
    assert [line["line"] for line in told] == wanted
    assert all(400 <= line["problem"]["status"] < 500 for line in told)


@given(st.binary(max_size=200), st.lists(st.integers(0, 30), max_size=20), st.integers(1, 50))
def test_lines_are_the_same_however_they_are_cut(body: bytes, sizes: list[int], limit: int):
    async def collected() -> list[bytes | None]:
        async def chunks() -> AsyncIterator[bytes]:
            rest = body
            for size in sizes:
                chunk, rest = rest[:size], rest[size:]
                yield chunk
            yield rest

        return [line async for line in lines_of(chunks(), limit)]

    wanted = body.split(b"\n")
    if not wanted[-1]:
        wanted.pop()
    assert asyncio.run(collected()) == [w if len(w) <= limit else None for w in wanted]
