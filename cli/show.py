"""How answers look: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replay.base import Bounds
    from replay.history import Change, Happening

PIPED_COLUMNS = 160
PICTURES = (
    {code: chr(0x2400 + code) for code in range(0x20)}
    | dict.fromkeys(range(0x7F, 0xA0), "␡")
    | {ord(kept): kept for kept in "\t\n"}
)
"""What a terminal would obey is shown as a picture of itself."""

LATE_SECONDS = 60.0
"""An event recorded later than this after it happened is shown as told late."""


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal; wide enough for tables when there is none."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else PIPED_COLUMNS, highlight=False)


def say(text: str) -> None:
    """Tell the user something that is not the answer."""
    console(stderr=True).print(f"[dim]{escape(text)}[/dim]")


def in_json(answer: object) -> bytes:
    """An answer as one JSON object."""
    plain = to_jsonable_python(answer, fallback=repr)
    return orjson.dumps(plain, option=orjson.OPT_INDENT_2) + b"\n"


def as_json(answer: object) -> None:
    """Print an answer as one JSON object."""
    sys.stdout.buffer.write(in_json(answer))
    sys.stdout.buffer.flush()


def value(of: Any) -> str:
    """A value in a few words."""
    if of is None:
        return "–"
    if isinstance(of, datetime):
        return f"{of:%Y-%m-%d %H:%M:%S}"
    if isinstance(of, bool):
        return "yes" if of else "no"
    if isinstance(of, (str, UUID, timedelta)):
        return str(of).translate(PICTURES)
    if isinstance(of, float):
        return f"{of:.6g}"
    plain = to_jsonable_python(of, fallback=repr)
    return plain if isinstance(plain, str) else orjson.dumps(plain).decode()


def time(moment: datetime) -> str:
    """A time to the minute."""
    return f"{moment:%Y-%m-%d %H:%M}"


def within(bounds: Bounds) -> str:
    """Bounds in words."""
    said = []
    if bounds.as_of is not None:
        said.append(f"as of {time(bounds.as_of)} UTC")
    if bounds.known_at is not None:
        said.append(f"as known at position {bounds.known_at}")
    return ", ".join(said) or "as it is now"


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the users that appear in an answer."""

    known: Mapping[UUID, str]

    def of(self, item: Any) -> str:
        """A value, with the name of the user it may be the id of."""
        name = self.known.get(item) if isinstance(item, UUID) else None
        return f"{name} ({item})" if name else value(item)


def happenings(told: Sequence[Happening], title: str, names: Names) -> Table:
    """Events, one a row: when on both axes, who, what, and what that changed."""
    table = Table(title=escape(title), title_justify="left", header_style="bold", expand=False)
    for name, how in (("position", "right"), ("happened", "left"), ("recorded", "left")):
        table.add_column(name, justify=how, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("by")
    table.add_column("event", style="bold")
    table.add_column("what changed" if any(one.changes for one in told) else "what it says")
    for one in told:
        late = (one.recorded_at - one.occurred_at).total_seconds() > LATE_SECONDS
        table.add_row(
            str(one.position),
            time(one.occurred_at),
            time(one.recorded_at) if late else "[dim]at once[/dim]",
            escape(one.actor_name or str(one.actor)),
            escape(kind(one.type)),
            escape(changed(one.changes, names) if one.changes else said(one.fields)),
        )
    return table


def changed(changes: Sequence[Change], names: Names) -> str:
    """Changes in a line: `stage discovery → proposal, probability 0.25 → 0.50`."""
    empty: tuple[Any, ...] = (None, "", {}, [])
    return ", ".join(
        f"{one.field} {names.of(one.new)}"
        if one.old in empty
        else f"{one.field} {names.of(one.old)} → {names.of(one.new)}"
        for one in changes
        if not (one.old in empty and one.new in empty)
    )


def kind(type: str) -> str:
    """A stored type in words: `lead.custom_fields_set.v1` -> `lead custom fields set`."""
    return type.rsplit(".", 1)[0].replace(".", " ").replace("_", " ")


def said(fields: Mapping[str, Any]) -> str:
    """The fields of an event that say anything."""
    empty: tuple[Any, ...] = (None, "", {}, [])
    return ", ".join(f"{name} {value(of)}" for name, of in fields.items() if of not in empty)


def pairs(items: Mapping[str, str], title: str) -> Table:
    """Names and values, one a row."""
    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, of in items.items():
        table.add_row(escape(name), escape(of))
    return table
