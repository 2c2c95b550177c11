"""What a table of the read models is, apart from how its rows come about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from readmodels.units import currency_of, ordinal, unit_of

Kind = Literal["dimension", "fact", "plain"]


@dataclass(frozen=True, slots=True)
class Feed:
    """Where values of a column come from: an event, and what of it."""

    event: str
    value: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column as its readers see it, and the events that feed it.

    `digest_of` marks the stand-in of a personal column.
    """

    name: str
    type: str
    description: str
    digest_of: str = ""
    feeds: tuple[Feed, ...] = ()

    @property
    def unit(self) -> str:
        """The unit of its numbers, or nothing."""
        return unit_of(self.description)

    @property
    def currency(self) -> str:
        """The column that has the currency, where it is money."""
        return currency_of(self.description)

    @property
    def comment(self) -> str:
        """All there is to say of it, in a few sentences."""
        said = [self.description]
        if self.unit:
            said.append(f"Unit: {self.unit}{self.currency and f' in {self.currency}'}.")
        if events := dict.fromkeys(feed.event for feed in self.feeds):
            said.append(f"From {', '.join(events)}.")
        return " ".join(said)


ID = Column("id", "UUID", "The record: the stream its events are in.")
VERSION = Column("version", "BIGINT", ordinal("Version of the stream after the event."))
POSITION = Column("position", "BIGINT", ordinal("Position of the event in the log."))
RECORDED_AT = Column("recorded_at", "TIMESTAMPTZ", "When the log learned of the event.")
OCCURRED_AT = Column("occurred_at", "TIMESTAMPTZ", "When the event happened, as it was told.")
ACTOR = Column("actor", "UUID", "The user who caused the event.")
EVENT_ID = Column("event_id", "UUID", "The event.")
EFFECTIVE_AT = Column(
    "effective_at",
    "TIMESTAMPTZ",
    "From when on the event counts: when it happened, or the latest before it in its stream.",
)
VALID_FROM = Column("valid_from", "TIMESTAMPTZ", "From when on the row was true.")
VALID_TO = Column("valid_to", "TIMESTAMPTZ", "Until when the row was true; NULL: it still is.")
POSITION_TO = Column(
    "position_to", "BIGINT", ordinal("Position of the event that ended the row; NULL: none did.")
)

BEGIN = (VERSION, POSITION, RECORDED_AT, OCCURRED_AT, VALID_FROM, ACTOR)
"""How a version of a record began."""

END = (VALID_TO, POSITION_TO)
"""How it ended."""

HAPPENED = (EVENT_ID, VERSION, POSITION, RECORDED_AT, OCCURRED_AT, EFFECTIVE_AT, ACTOR)
"""What every row of a fact table says of its event."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table by name, key and columns, each with what it means.

    A dimension has a row per version of a record, its `key` standing beside the id when the
    record is a collection; a fact table has a row per event; a plain one is what its columns are.
    `events` are the types of those it is made of; `*` stands for all.
    """

    name: str
    kind: Kind
    columns: tuple[Column, ...]
    description: str
    key: tuple[str, ...] = ()
    personal: bool = False
    events: tuple[str, ...] = ("*",)

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns of the stored rows; in a dimension, of the current ones."""
        if self.kind == "plain":
            return self.columns
        return (ID, *self.columns, *(BEGIN if self.kind == "dimension" else HAPPENED))

    @property
    def digested(self) -> tuple[Column, ...]:
        """The columns a digest is made over: stand-ins where a column is personal."""
        replaced = {column.digest_of for column in self.columns}
        return tuple(column for column in self.stored if column.name not in replaced)

    @property
    def entity(self) -> tuple[str, ...]:
        """What tells one record from another."""
        return ("id", *self.key)

    def parts(self) -> dict[str, tuple[Column, ...]]:
        """The stored tables this one is made of, with their columns."""
        if self.kind != "dimension":
            return {self.name: self.stored}
        return {
            f"{self.name}_past": (*self.stored, *END),
            f"{self.name}_current": self.stored,
        }


def quoted(name: str) -> str:
    """A name as SQL wants it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string as SQL wants it."""
    return "'" + value.replace("'", "''") + "'"
