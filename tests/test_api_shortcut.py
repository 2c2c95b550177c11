"""The short way of a command and the long one: what is answered does not depend on it."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from api.shortcut import Shortcut
from commands.lead import CaptureLead, QualifyLead
from tests.doors import a_node, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.node import Node

ANN = UUID(int=0xA)
LEAD, BANT = CaptureLead.example | {"email": None}, QualifyLead.example
SOMEWHERE = "/leads/018f0000-0000-7000-8000-000000000001"
LONG = {"Correlation-Id": str(uuid4())}


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("shortcut")) as started:
        yield started


@pytest.fixture(scope="module")
def address(node: Node) -> Iterator[str]:
    with listening(node) as address:
        yield address


@pytest.fixture(scope="module")
def key(node: Node) -> str:
    return node.api_keys.create(ANN, "a test")


@pytest.fixture
def ann(address: str, key: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}) as client:
        client.get("/events")  # from now on the key is known by heart
        yield client


@pytest.fixture
def taken(monkeypatch) -> list[str]:
    """Paths of the requests that the framework got to see."""
    seen: list[str] = []
    begin = Shortcut._begin_long

    def noting(self: Shortcut) -> None:
        seen.append(self.url.decode())
        begin(self)

    monkeypatch.setattr(Shortcut, "_begin_long", noting)
    return seen


def test_a_command_in_good_order_takes_the_short_way(ann: httpx.Client, taken):
    lead = ann.post("/leads", json=LEAD, headers={"Idempotency-Key": "1"}).headers["Location"]
    ann.post(f"{lead}/qualify", json=BANT)
    ann.post(f"{lead}/qualify", json=BANT | {"budget": 5})
    assert taken == []
    assert ann.post(f"{lead}/qualify", json=BANT, headers=LONG).status_code == 200
    assert taken == [f"{lead}/qualify"]


def test_a_record_is_started_under_one_id_on_either_way(ann: httpx.Client):
    key = {"Idempotency-Key": "started-once"}
    short = ann.post("/leads", json=LEAD, headers=key)
    long = ann.post("/leads", json=LEAD, headers=key | LONG)
    assert short.json() == long.json()
    assert (short.status_code, long.status_code) == (201, 201)
    assert short.headers["Location"] == long.headers["Location"]


def test_an_idempotency_key_counts_on_either_way(ann: httpx.Client):
    lead = ann.post("/leads", json=LEAD).headers["Location"]
    key = {"Idempotency-Key": "engaged-once"}
    long = ann.post(f"{lead}/engage", json={"kind": "call"}, headers=key | LONG)
    short = ann.post(f"{lead}/engage", json={"kind": "call"}, headers=key)
    other = ann.post(f"{lead}/engage", json={"kind": "reply"}, headers=key)
    assert long.json() == short.json()
    assert (long.status_code, other.status_code) == (200, 422)


QUALIFY = f"{SOMEWHERE}/qualify"
AS_JSON = {"Content-Type": "application/json"}
FAULTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "no JSON": ("POST", QUALIFY, {"content": b"{", "headers": AS_JSON}),
    "nothing": ("POST", QUALIFY, {"content": b"", "headers": AS_JSON}),
    "not UTF-8": ("POST", QUALIFY, {"content": b'"\xff"', "headers": AS_JSON}),
    "NaN": ("POST", QUALIFY, {"content": b'{"budget": NaN}', "headers": AS_JSON}),
    "too large": ("POST", QUALIFY, {"content": b'"' + b"x" * 2**20 + b'"', "headers": AS_JSON}),
    "no content type": ("POST", QUALIFY, {"content": b"{}"}),
    "a list": ("POST", QUALIFY, {"json": [1]}),
    "a field too much": ("POST", QUALIFY, {"json": BANT | {"more": 1}}),
    "a value too high": ("POST", QUALIFY, {"json": BANT | {"need": 6}}),
    "an unknown lead": ("POST", QUALIFY, {"json": BANT}),
    "no id": ("POST", "/leads/one/qualify", {"json": BANT}),
    "an id that is none": ("POST", f"/leads/{'x' * 36}/qualify", {"json": BANT}),
    "an id in other pieces": (
        "POST",
        "/leads/018f000-00000-7000-8000-000000000001/qualify",
        {"json": BANT},
    ),
    "an id with a digit of another kind": (
        "POST",
        "/leads/018f0000-0000-7000-8000-0000_0000001/qualify",
        {"json": BANT},
    ),
    "an id in braces": (
        "POST",
        "/leads/{018f0000000070008000000000000001}/qualify",
        {"json": BANT},
    ),
    "no such verb": ("POST", f"{SOMEWHERE}/praise", {"json": BANT}),
    "another method": ("PUT", QUALIFY, {"json": BANT}),
    "a key with blanks": ("POST", QUALIFY, {"json": BANT, "headers": {"Idempotency-Key": "a b"}}),
    "no API key": ("POST", QUALIFY, {"json": BANT, "headers": {"Authorization": ""}}),
    "a wrong one": ("POST", QUALIFY, {"json": BANT, "headers": {"Authorization": "Bearer bk_0"}}),
    "a time that is none": ("POST", f"{QUALIFY}?occurred_at=noon", {"json": BANT}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_in_the_same_words(fault, ann: httpx.Client, monkeypatch):
    method, path, more = FAULTS[fault]
    found = ann.request(method, path, **more)
    monkeypatch.setattr(Shortcut, "_entrance", lambda *_: (None, None))
    expected = ann.request(method, path, **more)
    assert (found.status_code, found.json()) == (expected.status_code, expected.json())
    assert found.status_code >= 400
    assert without_date(found) == without_date(expected)


def without_date(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


def test_a_request_in_pieces_is_read_to_its_end(ann: httpx.Client):
    def pieces():
        yield b'{"name": "Ann",'
        yield b' "source": "web"}'

    assert ann.request("POST", "/leads", content=pieces(), headers=AS_JSON).status_code == 201


def request(path: str, body: Any, key: str, *headers: str) -> bytes:
    """A request as it goes over the wire."""
    text = json.dumps(body).encode()
    head = [
        f"POST {path} HTTP/1.1",
        "Host: backstory",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(text)}",
        *headers,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + text


def answers(address: str, *pieces: bytes, number: int) -> list[bytes]:
    """What comes back over one connection, answer by answer; the last ends the connection."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as wire:
        for piece in pieces:
            wire.sendall(piece)
        received = b""
        while received.count(b"HTTP/1.1 ") < number and (more := wire.recv(65536)):
            received += more
        while more := wire.recv(65536):
            received += more
    return [b"HTTP/1.1 " + one for one in received.split(b"HTTP/1.1 ")[1:]]


CLOSE = "Connection: close"


@pytest.mark.usefixtures("ann")
def test_what_is_asked_at_once_is_answered_in_turn(address, key, taken):
    lead = f"/leads/{uuid4()}"
    asked = [
        request(f"{lead}/capture", LEAD, key),
        request(f"{lead}/engage", {"kind": "call"}, key),
        request(f"{lead}/praise", {}, key),
        request(f"{lead}/qualify", BANT, key),
        request(f"{lead}/qualify", BANT, key, CLOSE),
    ]
    told = answers(address, b"".join(asked), number=5)
    assert [one.split(b"\r\n")[0][9:12] for one in told] == [b"201", b"200", b"404"] + [b"200"] * 2
    versions = [json.loads(one.partition(b"\r\n\r\n")[2]).get("version") for one in told]
    assert versions == [1, 2, None, 3, 3]
    assert taken[0] != f"{lead}/capture"


def test_an_answer_is_the_same_to_the_byte_on_either_way(address, key, ann: httpx.Client, taken):
    lead = ann.post("/leads", json=LEAD).headers["Location"]
    ann.post(f"{lead}/qualify", json=BANT)
    short = answers(address, request(f"{lead}/qualify", BANT, key, CLOSE), number=1)
    assert taken == []
    long = answers(
        address, request(f"{lead}/qualify", BANT, key, f"Correlation-Id: {ANN}", CLOSE), number=1
    )
    assert taken == [f"{lead}/qualify"]
    lines = [
        sorted(line for line in one[0].split(b"\r\n") if b"date:" not in line)
        for one in (short, long)
    ]
    assert lines[0] == lines[1]
    assert b"connection: close" in lines[0]


@pytest.mark.usefixtures("ann")
def test_a_header_that_is_said_twice_goes_the_long_way(address, key, taken):
    asked = request(f"/leads/{uuid4()}/capture", LEAD, key, "X-Trace: 1", "X-Trace: 2", CLOSE)
    [told] = answers(address, asked, number=1)
    assert told.startswith(b"HTTP/1.1 201 ")
    assert len(taken) == 1


@pytest.mark.usefixtures("ann")
def test_who_waits_to_be_told_to_go_on_is_told(address, key):
    asked = request(f"/leads/{uuid4()}/capture", LEAD, key, "Expect: 100-continue", CLOSE)
    head, _, body = asked.partition(b"\r\n\r\n")
    told = answers(address, head + b"\r\n\r\n", body, number=2)
    assert [one[9:12] for one in told] == [b"100", b"201"]


def test_an_id_may_be_written_in_capitals(ann: httpx.Client):
    lead = ann.post("/leads", json=LEAD).headers["Location"]
    told = ann.post(f"/leads/{lead.rpartition('/')[2].upper()}/qualify", json=BANT)
    assert (told.status_code, told.json()["id"]) == (200, lead.rpartition("/")[2])


@pytest.mark.usefixtures("ann")
def test_a_path_is_no_template(address, key):
    """As it stands in the description of the API, braces and all; clients fill it in."""
    [told] = answers(address, request("/leads/{id}/capture", LEAD, key, CLOSE), number=1)
    assert told.startswith(b"HTTP/1.1 422 ")


def test_a_large_command_goes_the_long_way(ann: httpx.Client, taken):
    body = LEAD | {"name": "x" * 70_000}
    assert ann.post("/leads", json=body).status_code == 422
    assert taken == ["/leads"]


@pytest.mark.usefixtures("ann")
def test_a_connection_is_closed_when_it_was_idle_for_long_enough(address, key, monkeypatch):
    made = Shortcut.connection_made

    def hurried(self: Shortcut, transport: Any) -> None:
        made(self, transport)
        self.timeout_keep_alive = 2

    monkeypatch.setattr(Shortcut, "connection_made", hurried)
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as wire:
        for _ in range(4):  # longer in all, but never idle for so long
            wire.sendall(request(f"/leads/{uuid4()}/capture", LEAD, key))
            assert wire.recv(65_536).startswith(b"HTTP/1.1 201 ")
            time.sleep(0.6)
        began = time.monotonic()
        assert wire.recv(1) == b""
        assert time.monotonic() - began > 0.1


def test_who_hangs_up_stops_nothing(address, key, ann: httpx.Client):
    lead = f"/leads/{uuid4()}"
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port)) as wire:
        wire.sendall(request(f"{lead}/capture", LEAD, key))
    for _ in range(100):
        if ann.post(f"{lead}/engage", json={"kind": "call"}).status_code == 200:
            break
    assert ann.post(f"{lead}/qualify", json=BANT).json()["version"] >= 3
