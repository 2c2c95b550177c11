"""Values: what a short cut lets through is what the long way lets through."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from email_validator import validate_email
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.values import PLAIN_EMAIL, Amount, Day, EmailAddress, Line, Moment, Text

EMAIL: TypeAdapter[str] = TypeAdapter(EmailAddress)
LINE: TypeAdapter[str] = TypeAdapter(Line)
TEXT: TypeAdapter[str] = TypeAdapter(Text)
AMOUNT: TypeAdapter[Decimal] = TypeAdapter(Amount)
DAY: TypeAdapter[date] = TypeAdapter(Day)
MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


@given(st.from_regex(PLAIN_EMAIL, fullmatch=True))
@example("Ann.O+news@mail.example.com")
@example("a@1-2.3-4.de")
@example("ann@printer.local")
@example("ann@xn--bcher-kva.example")
@example(f"{'a' * 64}@example.com")
def test_an_address_is_what_the_validator_makes_of_it(text):
    try:
        normal = validate_email(text, check_deliverability=False).normalized
    except ValueError:
        with pytest.raises(ValidationError):
            EMAIL.validate_python(text)
    else:
        assert EMAIL.validate_python(text) == normal


@pytest.mark.parametrize("text", ["Ann@EXAMPLE.com", "ann@bücher.example"])
def test_the_domain_of_an_address_is_normalized(text):
    assert EMAIL.validate_python(text).split("@")[1] in {"example.com", "bücher.example"}


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "a\udfff"])
def test_what_cannot_be_stored_is_refused(text):
    for kind in (LINE, TEXT):
        with pytest.raises(ValidationError):
            kind.validate_python(text)


def test_text_is_composed():
    assert LINE.validate_python("Mu\u0308ller") == "M\u00fcller"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Ann\nExample", "Ann Example"),
        (" Ann \r\n\t Example ", "Ann Example"),
        ("Ann\u2028Example", "Ann Example"),
        ("Ann  Example", "Ann  Example"),
        ("\U0001f600", "\U0001f600"),
        ("雪", "雪"),
    ],
)
def test_a_line_is_one_line(text, line):
    assert LINE.validate_python(text) == line


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "a\x07b", "a\x9bb", "\u200b", "\u0301", "\u202e", "\u00a0"]
)
def test_a_line_that_steers_a_terminal_or_shows_nothing_is_refused(text):
    with pytest.raises(ValidationError):
        LINE.validate_python(text)


@pytest.mark.parametrize(
    "wrong", [0, 1_700_000_000, 20240101, 1.5, True, "0", "1700000000", "20240101", "-5", "now"]
)
def test_a_number_is_no_time(wrong):
    for kind in (DAY, MOMENT):
        with pytest.raises(ValidationError, match="write it as in 2026-01-31"):
            kind.validate_python(wrong)


def test_a_time_is_written_with_its_zone_and_kept_in_utc():
    moment = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
    assert MOMENT.validate_python("2026-01-31T09:30:00+01:00") == moment
    assert MOMENT.validate_python(moment) == moment
    assert DAY.validate_python("2026-01-31") == DAY.validate_python(date(2026, 1, 31))
    with pytest.raises(ValidationError):
        MOMENT.validate_python("2026-01-31T09:30:00")


@pytest.mark.parametrize(
    ("written", "kept"),
    [(1e3, "1000.0"), ("-0", "0"), ("-0.00", "0"), (Decimal("1E3"), "1000"), ("12.50", "12.50")],
)
def test_an_amount_is_kept_as_people_write_it(written, kept):
    assert str(AMOUNT.validate_python(written)) == kept
