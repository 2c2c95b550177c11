"""From the text of a cell to a value: moments, numbers, yes and no, countries."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal[
    "text", "integer", "number", "decimal", "boolean", "date", "moment", "country", "json"
]
"""What a cell can be read as."""

REMEMBERED_MAX = 20_000
DATE_PARTS = {"yyyy": r"(?P<year>\d{4})", "mm": r"(?P<month>\d{1,2})", "dd": r"(?P<day>\d{1,2})"}
TIME = (
    r"(?:[T ](?P<hour>\d{1,2}):(?P<minute>\d\d)"
    r"(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,6})\d*)?)?"
    r"\s*(?P<zone>Z|[+-]\d\d:?\d\d)?)?"
)
GROUP_MARKS = {".": ",' \u00a0\u202f", ",": ".' \u00a0\u202f"}
"""What may stand between groups of three digits, by the mark before the decimals."""


class Unreadable(ValueError):
    """A cell does not hold what its column should."""


@lru_cache(maxsize=1)
def countries() -> dict[str, str]:
    """ISO 3166-1 alpha-2 codes by name in lower case; each code names itself too."""
    named = tomllib.loads((files("imports") / "countries.toml").read_text(encoding="utf-8"))
    return {name.casefold(): code for code, names in named.items() for name in (code, *names)}


@dataclass(frozen=True)
class Format:
    """How files write dates, decimals, yes and no."""

    dates: tuple[str, ...] = ("yyyy-mm-dd",)
    decimal_mark: str = "."
    yes: tuple[str, ...] = ("yes", "y", "true", "t", "1")
    no: tuple[str, ...] = ("no", "n", "false", "f", "0")
    exact: bool = False
    """Whether cells are taken as they stand; a country is then a code."""

    def reader(self, kind: Kind, times: Decimal | None = None) -> Callable[[str], Any]:
        """The function that reads a cell as `kind`; it remembers what it read before.

        A number may stand for so many `times` what is written, such as millions.
        """
        if kind == "text" or (kind == "country" and self.exact):
            return str
        if kind == "json":
            return self.read_json  # what could be changed is not shared
        if times is not None:
            return lru_cache(REMEMBERED_MAX)(
                lambda text: as_kind(kind, self.read_decimal(text) * times)
            )
        return lru_cache(REMEMBERED_MAX)(getattr(self, f"read_{kind}"))

    def read_moment(self, text: str) -> datetime:
        """A date with or without a time; a bare date is the start of that day, in UTC.

        >>> Format(dates=("mm/dd/yyyy",)).read_moment("3/1/2017")
        datetime.datetime(2017, 3, 1, 0, 0, tzinfo=datetime.timezone.utc)
        """
        for pattern in self._patterns:
            if found := pattern.fullmatch(text):
                try:
                    return _moment(found)
                except (ValueError, OverflowError):
                    continue
        raise Unreadable(f"{text!r} is no date ({' or '.join(self.dates)})")

    def read_date(self, text: str) -> date:
        """A day; a time beside it is left out."""
        return self.read_moment(text).date()

    def read_decimal(self, text: str) -> Decimal:
        """A number as people of the file's country write it.

        >>> Format(decimal_mark=",").read_decimal("1.234,50")
        Decimal('1234.50')
        """
        if not self._number.fullmatch(text):
            raise Unreadable(f"{text!r} is no number (decimals follow {self.decimal_mark!r})")
        digits = text.translate(str.maketrans("", "", GROUP_MARKS[self.decimal_mark]))
        return Decimal(digits.replace(self.decimal_mark, "."))

    def read_number(self, text: str) -> float:
        """A number that need not be exact."""
        return float(as_kind("number", self.read_decimal(text)))

    def read_integer(self, text: str) -> int:
        """A whole number; `100.0` is one."""
        return int(as_kind("integer", self.read_decimal(text)))

    def read_boolean(self, text: str) -> bool:
        """Yes or no."""
        word = text.casefold()
        if word in self.yes:
            return True
        if word in self.no:
            return False
        raise Unreadable(f"{text!r} is neither yes ({', '.join(self.yes)}) nor no")

    def read_country(self, text: str) -> str:
        """The two-letter code of a country, from its name or its code."""
        code = countries().get(text.casefold())
        if code is None:
            raise Unreadable(f"{text!r} is no country by the names in countries.toml")
        return code

    def read_json(self, text: str) -> Any:
        """Several values in one cell."""
        try:
            return json.loads(text)
        except ValueError:
            raise Unreadable(f"{text!r} is no JSON") from None

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        return tuple(date_pattern(spelled) for spelled in self.dates)

    @cached_property
    def _number(self) -> re.Pattern[str]:
        mark, groups = re.escape(self.decimal_mark), re.escape(GROUP_MARKS[self.decimal_mark])
        return re.compile(
            rf"[+-]?(\d{{1,3}}([{groups}]\d{{3}})+|\d{{1,30}})({mark}\d{{1,30}})?", re.ASCII
        )


def as_kind(kind: Kind, number: Decimal) -> Decimal | float | int:
    """A number as `decimal`, `number` or `integer`."""
    if kind == "integer":
        if number != number.to_integral_value():
            raise Unreadable(f"{number} is no whole number")
        return int(number)
    return float(number) if kind == "number" else number


def date_pattern(spelled: str) -> re.Pattern[str]:
    """The pattern of dates as `spelled`, such as `dd-mm-yyyy`; a time may follow."""
    parts = re.findall(r"yyyy|mm|dd", spelled)
    if sorted(parts) != sorted(DATE_PARTS) or re.search("[a-z]", re.sub("yyyy|mm|dd", "", spelled)):
        raise ValueError(f"a date is spelled with yyyy, mm and dd, not {spelled!r}")
    pattern = re.escape(spelled)
    for part, digits in DATE_PARTS.items():
        pattern = pattern.replace(part, digits)
    return re.compile(pattern + TIME, re.ASCII)


def _moment(found: re.Match[str]) -> datetime:
    part = found.groupdict()
    zone: timezone = UTC
    if part["zone"] not in {None, "Z"}:
        sign, hours, minutes = part["zone"][0], part["zone"][1:3], part["zone"][-2:]
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(-offset if sign == "-" else offset)
    return datetime(
        year=int(part["year"]),
        month=int(part["month"]),
        day=int(part["day"]),
        hour=int(part["hour"] or 0),
        minute=int(part["minute"] or 0),
        second=int(part["second"] or 0),
        microsecond=int((part["fraction"] or "0").ljust(6, "0")),
        tzinfo=zone,
    ).astimezone(UTC)
