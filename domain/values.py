"""Values that several aggregates share, with the limits the log and the tables can bear."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    FiniteFloat,
    StringConstraints,
    WrapValidator,
)

if TYPE_CHECKING:
    from collections.abc import Callable

INTEGER_MAX = 2**63 - 1

NIL = UUID(int=0)
"""The id that nothing has."""


UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
BREAK = re.compile(" *[\t-\r\x1c-\x1f\x85\u2028\u2029]\\s*")
YEAR = re.compile(r"\d{4}-", re.ASCII)
DIGITS = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?", re.ASCII)
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
PLAIN_EMAIL = re.compile(
    r"[a-zA-Z0-9_+-]++(?:\.[a-zA-Z0-9_+-]++)*+@(?:[a-z0-9]++(?:-[a-z0-9]++)*+\.)++([a-z]{2,})"
)
PLAIN_EMAIL_LENGTH_MAX = 63
LINE_LENGTH_MAX = 200


def _storable(text: str) -> str:
    """PostgreSQL and JSON cannot hold NUL; UTF-8 cannot hold lone surrogates."""
    if text.isascii() and "\x00" not in text:  # as most are: 0.1 µs instead of 0.5
        return text
    if UNSTORABLE.search(text):
        raise ValueError("contains NUL or a lone surrogate, which cannot be stored")
    return unicodedata.normalize("NFC", text)


def _one_line(text: str) -> str:
    """What was broken into lines is one line; what would steer a terminal is no text."""
    line = BREAK.sub(" ", text)
    if CONTROL.search(line):
        raise ValueError("contains a control character")
    if not line.isascii() and not any(unicodedata.category(char)[0] in "LNPS" for char in line):
        raise ValueError("contains nothing that can be seen")
    return line


def _plain_line(value: object, validate: Callable[[object], str]) -> str:
    """Most lines are such that nothing is to be said of them: to see that takes 0.2 µs, not 1."""
    if (
        type(value) is str
        and value.isascii()
        and value.isprintable()
        and 0 < len(value) <= LINE_LENGTH_MAX
        and value == value.strip()
    ):
        return value
    return validate(value)


def _written(value: object) -> object:
    """Numbers count seconds to some and days to others: times are written out."""
    if isinstance(value, int | float | Decimal) or (
        isinstance(value, str) and not YEAR.match(value)
    ):
        raise ValueError("write it as in 2026-01-31 or 2026-01-31T09:30:00+01:00")
    return value


def _in_digits(value: object) -> object:
    """A number, or a text of nothing but its digits: `1_000`, ` 5 `, `1e3` and `true` are slips."""
    if isinstance(value, bool) or (isinstance(value, str) and not DIGITS.fullmatch(value)):
        raise ValueError("write it in digits, as in 1234.50")
    return value


def _plain(number: Decimal) -> Decimal:
    """The same number without an exponent or a sign of nothing: 1E+3 is 1000, -0 is 0."""
    exponent = number.as_tuple().exponent
    if number and isinstance(exponent, int) and exponent <= 0:
        return number
    return Decimal(int(number))


def _email(text: str) -> str:
    # Most addresses are such that there is nothing to normalize; to see that at a glance takes
    # 0.4 µs instead of 40, twice for each lead.
    plain = PLAIN_EMAIL.fullmatch(text) if len(text) <= PLAIN_EMAIL_LENGTH_MAX else None
    if plain and plain[1] not in SPECIAL_USE_DOMAIN_NAMES:
        return text
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside the years 1 to 9999 in UTC") from None


Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    AfterValidator(_storable),
    AfterValidator(_one_line),
    Field(min_length=1, max_length=LINE_LENGTH_MAX),
    WrapValidator(_plain_line),
]
"""One line of text, 1 to 200 characters; a break within becomes a space."""

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
"""A short name for programs as much as for people, such as `closed_won`."""

Text = Annotated[str, AfterValidator(_storable), StringConstraints(max_length=20_000)]
"""Free text, up to 20,000 characters; may be empty."""

EmailAddress = Annotated[str, StringConstraints(max_length=254), AfterValidator(_email)]
"""An e-mail address, syntactically valid and normalized (no look-up is made)."""

Phone = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^\+?[0-9 ()./-]{3,30}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 code, such as EUR."""

Amount = Annotated[
    Decimal,
    Field(max_digits=18, decimal_places=2, allow_inf_nan=False),
    AfterValidator(_plain),
    BeforeValidator(_in_digits),
]
"""Money without its currency: DECIMAL(18,2), exact from door to table."""

Probability = Annotated[
    Decimal,
    Field(ge=0, le=1, max_digits=5, decimal_places=4),
    AfterValidator(_plain),
    BeforeValidator(_in_digits),
]
"""0 to 1 in steps of a ten-thousandth: DECIMAL(5,4), so that expected values stay exact."""

ForecastCategory = Literal["pipeline", "best_case", "commit", "closed", "omitted"]
"""How far a forecast counts on a deal."""

Whole = Annotated[int, Field(strict=True, ge=-INTEGER_MAX - 1, le=INTEGER_MAX)]
"""A whole number that a column can hold; `true`, `"1"` and `1.0` are none."""

Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_utc)]
"""A point in time with a zone, kept in UTC."""

Day = Annotated[date, BeforeValidator(_written)]
"""A day of the calendar."""

EmailKind = Literal["business", "free", "none"]
CustomValue = bool | Whole | FiniteFloat | Line | None
"""What a custom field may hold; what exactly is declared per field."""

TitleLevel = Literal["executive", "manager", "staff", "other"]

FREE_MAIL = frozenset(
    "gmail.com googlemail.com yahoo.com outlook.com hotmail.com live.com icloud.com aol.com "
    "gmx.de gmx.net web.de mail.ru yandex.ru proton.me protonmail.com qq.com 163.com "
    "rediffmail.com me.com msn.com".split(),
)


def email_kind(email: str | None) -> EmailKind:
    """Whether an address belongs to a business or a free mailbox: what models may know of it."""
    if not email:
        return "none"
    return "free" if email.rsplit("@", 1)[-1].lower() in FREE_MAIL else "business"


EXECUTIVE = re.compile(
    r"\b(chief|c[defimoprt]o|president|founder|[es]?vp|managing director|chair(man|woman)?"
    r"|geschäftsführer(in)?|vorstand)\b|^(co-?)?owner$"
)
MANAGER = re.compile(
    r"\b(director|head|manager(in)?|lead|leader|supervisor|\w*leiter(in)?|\w*leitung)\b"
)


def title_level(title: str | None) -> TitleLevel:
    """How high a job title stands, "other" if there is none: what models may know of it.

    >>> title_level("VP Sales"), title_level("Head of IT"), title_level("Clerk"), title_level(None)
    ('executive', 'manager', 'staff', 'other')
    """
    if not title:
        return "other"
    plain = title.casefold()
    if EXECUTIVE.search(plain):
        return "executive"
    return "manager" if MANAGER.search(plain) else "staff"


def identity(name: str) -> str:
    """The key by which two spellings of one company are one: case, marks and legal form aside.

    >>> identity("Müller & Söhne GmbH") == identity("MÜLLER & SÖHNE")
    True
    """
    plain = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    words = re.findall(r"\w+", plain)
    legal = {"inc", "llc", "ltd", "limited", "gmbh", "ag", "corp", "corporation", "co", "sa", "bv"}
    while len(words) > 1 and words[-1] in legal:
        words.pop()
    return " ".join(words) or plain.strip()
