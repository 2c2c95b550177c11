"""What tests of `whatif` share: the first months of the demo's company, read by other rules."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from cli.demo.history import history
from replay.rules import Rules
from replay.whatif import Question, WhatIf, what_if
from tests.demo_log import END, Teller
from tests.random_log import arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from eventstore.envelope import RecordedEvent
    from replay.whatif import Sides

STEPS = 1_500


class InMemory:
    """A log as `what_if` reads it."""

    def __init__(self, events: Sequence[RecordedEvent]) -> None:
        self.events, self.table = events, arrow(events)

    def without_keys(self) -> InMemory:
        return self

    def read_arrow(self, after: int, limit: int) -> pa.Table:
        return self.table.filter(pc.field("position") > after).slice(0, limit)

    def read(self, *, until: int, types: Sequence[str]) -> Iterator[RecordedEvent]:
        for one in self.events:
            if one.position <= until and one.event.type.split(".")[0] in types:
                yield one

    def last_position(self) -> int:
        return self.events[-1].position


@cache
def story() -> InMemory:
    """The first months of the demo's company."""
    teller = Teller()
    for step in history(END)[:STEPS]:
        teller.tell(step)
    return InMemory(teller.log)


@contextmanager
def asked(
    folder: Path, rules: dict[str, Any], log: InMemory | None = None, **more: Any
) -> Iterator[tuple[WhatIf, Sides]]:
    told = log or story()
    other = Rules.model_validate({"title": "Otherwise"} | rules)
    after = other.after(UTC)
    question = Question(told, other, more.pop("after", after), told.last_position(), **more)
    with what_if(question, folder) as answered:
        yield answered


def of_pipeline(**others: dict[str, Any]) -> dict[str, Any]:
    return {"pipeline": {"New business": others}}


def middle() -> datetime:
    return story().events[len(story().events) // 2].occurred_at
