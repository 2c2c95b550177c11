"""Whatever is sent, it is answered: with a problem, never with a crash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.app import create_app
from commands.lead import CaptureLead
from tests.doors import Client, a_node

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from api.node import Node

ANN = UUID(int=0xA)

fuzzed = settings(max_examples=150)

TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "\x00", "\ud800", "a\u0000b", "💥" * 300, "x" * 30_000, "1e999", "NaN"]),
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([2**63, -(2**63) - 1, 10**400, 1e308, -0.0, 0.1 + 0.2]),
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), NUMBERS, TEXTS, st.uuids().map(str), st.datetimes().map(str)
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.fixture(scope="module")
def ann(node: Node) -> Iterator[Client]:
    with Client(node, ANN) as client:
        client.post("/leads", CaptureLead.example)
        yield client


@pytest.fixture(scope="module")
def commanded(node: Node) -> list[tuple[str, dict[str, Any]]]:
    """Every door for a command, with the example of what it takes."""
    paths = create_app(node).openapi()["paths"]
    asked = [
        (path, route["requestBody"]["content"].get("application/json"))
        for path, methods in paths.items()
        for method, route in methods.items()
        if method == "post"
    ]
    shown = [(path, body.get("examples", {})) for path, body in asked if body]
    # A question of anybody's has tests of its own, and other examples.
    return [(path, known["example"]["value"]) for path, known in shown if "example" in known]


def check(reply: httpx.Response) -> None:
    """An answer, or a problem that says what it is."""
    assert reply.status_code < 500
    if reply.status_code >= 400:
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert reply.json()["status"] == reply.status_code


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@fuzzed
@given(data=st.data())
def test_any_value_in_any_field(ann: Client, commanded: list, data: st.DataObject):
    path, example = data.draw(st.sampled_from(commanded))
    field = data.draw(st.sampled_from([*example, "surplus"]))
    body = encoded(example | {field: data.draw(VALUES)})
    check(
        ann.post(
            path.replace("{id}", str(uuid4())),
            content=body,
            headers={"Content-Type": "application/json", "Idempotency-Key": str(uuid4())},
        )
    )


@fuzzed
@given(
    content=st.one_of(st.binary(max_size=200), VALUES.map(encoded)),
    kind=st.sampled_from(
        ["application/json", "application/problem+json", "text/plain", "multipart/form-data", ""]
    ),
)
def test_any_body(ann: Client, content: bytes, kind: str):
    check(ann.post("/leads", content=content, headers={"Content-Type": kind}))


@fuzzed
@given(
    headers=st.dictionaries(
        st.sampled_from(
            ["Idempotency-Key", "If-Match", "Correlation-Id", "Causation-Id", "Authorization"]
        ),
        HEADER.map(lambda text: text.encode("latin-1")),
    )
)
def test_any_header(ann: Client, headers: dict[str, bytes]):
    check(ann.post(f"/leads/{uuid4()}/recycle", {"reason": "x"}, headers=headers))


@fuzzed
@given(id=st.text(st.characters(exclude_categories=["Cs"]), max_size=40), moment=TEXTS)
def test_any_address(ann: Client, id: str, moment: str):
    moment = moment.encode(errors="replace").decode()
    url = f"/leads/{quote(id, safe='')}/recycle"
    check(ann.post(url, {"reason": "x"}, params={"occurred_at": moment}))


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00Z",
        "2026-01-01T00:00:00",
        "-1",
        "1e400",
        "999999999999999999",
        "2026-02-30T00:00:00Z",
    ],
)
def test_any_moment(ann: Client, moment: str):
    check(ann.post("/leads", CaptureLead.example, params={"occurred_at": moment}))


def test_a_stream_of_another_kind_is_refused(node: Node, ann: Client):
    lead = next(node.workspace.log.read()).stream_id
    refused = ann.post(f"/deals/{lead}/win", {})
    check(refused)
    assert refused.status_code in {409, 422}
