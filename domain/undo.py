"""Undoing: what is to be as it was before, and what stands against it since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.values import Line, Slug

if TYPE_CHECKING:
    from collections.abc import Iterable


class Conflict(BaseModel):
    """A later change that an undo leaves as it is: a field of a record; `why` tells who set it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Slug
    """What the record is, such as contact."""
    id: UUID
    field: Line
    """Such as email, or custom.visits."""


Conflicts = tuple[Conflict, ...]


def without_conflicts(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of an undo from when conflicts were not told yet, until 26 November 2026."""
    return fields | {"conflicts": []}


ABSENT: Any = object()
"""Stands for a key that a mapping lacks."""


def undone(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    now: Mapping[str, Any],
    together: Iterable[Iterable[str]] = (),
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The values that are to be, once what led from `before` to `after` is undone.

    What it changed and nobody has since is as before; all else is as now. Second, the names of
    what it changed and somebody else has since. Mappings are gone through key by key; names that
    mean something only `together` are in conflict together.
    """
    aimed, against, parts = dict(now), set[str](), set[str]()
    for name in now:
        three = before[name], after[name], now[name]
        if all(isinstance(value, Mapping) for value in three):
            aimed[name], within = _undone_within(*three)
            parts |= {f"{name}.{key}" for key in within}
        elif before[name] != after[name] and after[name] != now[name]:
            against.add(name)
        elif before[name] != after[name]:
            aimed[name] = before[name]
    for group in (now.keys() & names for names in map(set, together)):
        if group & against:
            aimed |= {name: now[name] for name in group}
            against |= {name for name in group if before[name] != after[name]}
    return aimed, tuple(sorted(against | parts))


def _undone_within(
    before: Mapping[Any, Any], after: Mapping[Any, Any], now: Mapping[Any, Any]
) -> tuple[dict[Any, Any], set[Any]]:
    aimed, against = dict(now), set()
    for key in dict.fromkeys((*before, *after, *now)):
        was, made, is_ = (values.get(key, ABSENT) for values in (before, after, now))
        if was == made:
            continue
        if made != is_:
            against.add(key)
        elif was is ABSENT:
            del aimed[key]
        else:
            aimed[key] = was
    return aimed, against
