"""The short way of a command and the long one: what is answered does not depend on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from api.shortcut import Shortcut
from commands.lead import CaptureLead, QualifyLead
from tests.doors import Client, a_node

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


@pytest.fixture
def ann(node: Node) -> Iterator[Client]:
    with Client(node, ANN) as client:
        client.get("/events")  # from now on the key is known by heart
        yield client


@pytest.fixture
def taken(monkeypatch) -> list[str]:
    """Paths of the requests that the framework got to see."""
    seen: list[str] = []
    make = Shortcut.__init__

    def noting(self, app, **more):
        async def noted(scope, receive, send):
            seen.append(scope["path"])
            await app(scope, receive, send)

        make(self, noted, **more)

    monkeypatch.setattr(Shortcut, "__init__", noting)
    return seen


def test_a_command_in_good_order_takes_the_short_way(taken, ann: Client):
    taken.clear()
    lead = ann.post("/leads", LEAD, headers={"Idempotency-Key": "1"}).headers["Location"]
    ann.post(f"{lead}/qualify", BANT)
    ann.post(f"{lead}/qualify", BANT | {"budget": 5})
    assert taken == []
    assert ann.post(f"{lead}/qualify", BANT, headers=LONG).status_code == 200
    assert taken == [f"{lead}/qualify"]


def test_a_record_is_started_under_one_id_on_either_way(ann: Client):
    key = {"Idempotency-Key": "started-once"}
    short = ann.post("/leads", LEAD, headers=key)
    long = ann.post("/leads", LEAD, headers=key | LONG)
    assert short.json() == long.json()
    assert (short.status_code, long.status_code) == (201, 201)
    assert short.headers["Location"] == long.headers["Location"]


def test_an_idempotency_key_counts_on_either_way(ann: Client):
    lead = ann.post("/leads", LEAD).headers["Location"]
    key = {"Idempotency-Key": "engaged-once"}
    long = ann.post(f"{lead}/engage", {"kind": "call"}, headers=key | LONG)
    short = ann.post(f"{lead}/engage", {"kind": "call"}, headers=key)
    other = ann.post(f"{lead}/engage", {"kind": "reply"}, headers=key)
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
    "no such verb": ("POST", f"{SOMEWHERE}/praise", {"json": BANT}),
    "another method": ("PUT", QUALIFY, {"json": BANT}),
    "a key with blanks": ("POST", QUALIFY, {"json": BANT, "headers": {"Idempotency-Key": "a b"}}),
    "no API key": ("POST", QUALIFY, {"json": BANT, "headers": {"Authorization": ""}}),
    "a wrong one": ("POST", QUALIFY, {"json": BANT, "headers": {"Authorization": "Bearer bk_0"}}),
    "a time that is none": ("POST", f"{QUALIFY}?occurred_at=noon", {"json": BANT}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_in_the_same_words(fault, ann: Client, monkeypatch):
    method, path, more = FAULTS[fault]
    found = ann.ask(method, path, **more)
    monkeypatch.setattr(Shortcut, "_entrance", lambda *_: (None, None))
    expected = ann.ask(method, path, **more)
    assert (found.status_code, found.json()) == (expected.status_code, expected.json())
    assert found.status_code >= 400
    assert dict(found.headers) == dict(expected.headers)


def test_a_request_in_pieces_is_read_to_its_end(ann: Client):
    async def pieces():
        yield b'{"name": "Ann",'
        yield b' "source": "web"}'

    assert ann.ask("POST", "/leads", content=pieces(), headers=AS_JSON).status_code == 201
