"""Values: what a short cut lets through is what the long way lets through."""

from __future__ import annotations

import pytest
from email_validator import validate_email
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.values import PLAIN_EMAIL, EmailAddress, Line, Text

EMAIL: TypeAdapter[str] = TypeAdapter(EmailAddress)
LINE: TypeAdapter[str] = TypeAdapter(Line)
TEXT: TypeAdapter[str] = TypeAdapter(Text)


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
