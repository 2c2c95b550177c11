"""Bodies are read the quick way where it says the same, to the last digit."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.body import _exactly, strict_json
from api.problems import Problem

TEXTS = st.text(max_size=30) | st.sampled_from(["1.5", "9e9", "\x00", "\ud800", "é", "0" * 40])
NUMBERS = (
    st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.integers(min_value=0, max_value=10**6)
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([True, False]))
@example({"amount": 0.1, "share": -0.0}, False)
@example(["x", {"y": 2**63}], False)
@example([{"y": [None, True, -(2**63), 2**64, 0.1]}], False)
@example({"name": "Zoë \x7f", "share": 12.50}, True)
def test_the_quick_way_reads_what_the_exact_way_reads(value: Any, escaped: Any):
    text = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    try:
        read = strict_json(text)
    except Problem:
        return  # refused: by the exact way, or for what its strings hold
    assert _same(read, _exactly(text))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"amount": 12345678901234567.25}', {"amount": Decimal("12345678901234567.25")}),
        (b'{"name": "v1.2", "count": 3}', {"name": "v1.2", "count": 3}),
        (b"[9223372036854775807]", [2**63 - 1]),
    ],
)
def test_no_digit_is_lost(text: bytes, value: Any):
    assert strict_json(text) == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'"\\ud800"',
        b'{"a": ["\\uDC00"]}',
        b'"\\u0000"',
        b'{"\\u0000": 1}',
        b"[" * 5000,
        b"[" * 1020 + b"]" * 1020,
        b"\xff",
        b"[1,]",
        b'{"a": {"b": [9223372036854775808]}}',
    ],
)
def test_what_cannot_be_kept_is_refused(text: bytes):
    with pytest.raises(Problem):
        strict_json(text)
