"""Units: what the numbers in a column count or measure.

A declaration says at once what a column means and in which unit: `days("Since it was opened.")`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


class Told(str):
    """What a column means, and the unit of its numbers; `currency` names the column of theirs."""

    __slots__ = ("currency", "unit")
    unit: Unit
    currency: str

    def __new__(cls, text: str, unit: Unit, currency: str = "") -> Self:
        """A description with a unit."""
        told = super().__new__(cls, text)
        told.unit, told.currency = unit, currency
        return told

    def __getnewargs__(self) -> tuple[str, Unit, str]:  # type: ignore[override]
        """What makes the same again: copies are made of descriptions."""
        return str(self), self.unit, self.currency


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit by its name, and what a number in it says."""

    name: str
    means: str

    def __call__(self, text: str) -> Told:
        """What a column means whose numbers are in this unit."""
        return Told(text, self)


@dataclass(frozen=True, slots=True)
class Currencies(Unit):
    """Money: in which currency, a column beside it says."""

    def __call__(self, text: str, currency: str = "currency") -> Told:
        """See `Unit`; `currency` names the column that has the currency."""
        return Told(text, self, currency)


money = Currencies("money", "An exact amount, in the currency that a column beside it names.")
count = Unit("count", "How many there are.")
ordinal = Unit("ordinal", "A place in an order: only which is greater has a meaning.")
share = Unit("share", "A part of a whole, or a probability: 0 to 1.")
points = Unit("points", "A mark on a scale that the description names.")
ratio = Unit("ratio", "How much for each one: a number without a dimension.")
log_odds = Unit("log-odds", "The logarithm of p / (1 - p); 0 is even chances.")
nats = Unit("nats", "Information, in units of the natural logarithm.")
days = Unit("days", "A span of time; a day is 24 hours.")
hours = Unit("hours", "A span of time.")
minutes = Unit("minutes", "A span of time.")

UNITS = (money, count, ordinal, share, points, ratio, log_odds, nats, days, hours, minutes)
"""Every unit there is."""


def unit_of(description: str) -> str:
    """The unit that a description names, or nothing."""
    return description.unit.name if isinstance(description, Told) else ""


def currency_of(description: str) -> str:
    """The column that has the currency, where the numbers are money."""
    return description.currency if isinstance(description, Told) else ""
