"""A merger: two records are one, the one merged and the one it is merged into; and its undo.

Nothing is copied but what the survivor takes over, and nothing that is personal: of that the
survivor says whose it shows (`name_from`). What refers to the merged record goes on doing so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from domain.base import Event, Refusal, State, replace
from domain.undo import Conflicts, undone
from domain.values import Line, Slug

S = TypeVar("S", bound=State[Any])

Taken = tuple[Slug, ...]
"""What the survivor takes over, such as title."""


class Merged(Event):
    """Of the one merged: it is the same as another one, and is shown with it from now on."""

    merged_into: UUID
    taken: Taken
    reason: Line


class Unmerged(Event):
    """Of the one that was merged: it is one of its own again."""

    reason: Line


class Absorbed(Event):
    """Of the survivor: another one was merged into it; its values are as they are from now on."""

    merged_id: UUID


class Separated(Event):
    """Of the survivor: another one is no longer merged into it; its values are as they are now."""

    merged_id: UUID
    conflicts: Conflicts


class RecordIsMerged(Refusal):
    """The {kind} was merged into {merged_into}; ask that one instead."""


class RecordNotMerged(Refusal):
    """The {kind} is not merged into another one."""


class RecordHasMerged(Refusal):
    """The {kind} {merged_id} was merged into this one; unmerge it first, or merge the other way."""


class RecordMergedIntoItself(Refusal):
    """A {kind} cannot be merged into itself."""


class RecordHidden(Refusal):
    """The {kind} {id} was forgotten or cannot be read; nobody knows whether the two are one."""


Parts = Mapping[str, tuple[str, ...]]
"""What of a record is taken over and given back as one: a name, and the fields it stands for."""


@dataclass(frozen=True, slots=True)
class Absorption:
    """What a merger made of the survivor, part by part."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]


def parts_of(of: State[Any] | Event, parts: Parts) -> dict[str, Any]:
    """The values of a state, or of an event, part by part."""
    return {
        part: tuple(getattr(of, name) for name in names) if names[1:] else getattr(of, names[0])
        for part, names in parts.items()
    }


def fields_of(values: Mapping[str, Any], parts: Parts) -> dict[str, Any]:
    """The fields that stand for parts."""
    return {
        name: value
        for part, names in parts.items()
        for name, value in zip(names, values[part] if names[1:] else [values[part]], strict=True)
    }


def absorbing(survivor: S, event: Absorbed, parts: Parts) -> S:
    """The survivor once another one was merged into it."""
    survivor_: Any = survivor
    after = parts_of(event, parts)
    absorption = Absorption(parts_of(survivor, parts), after)
    absorbed = survivor_.absorbed | {event.merged_id: absorption}
    return replace(survivor_, **fields_of(after, parts), absorbed=absorbed)  # type: ignore[no-any-return]


def separating(survivor: S, event: Separated, parts: Parts) -> S:
    """The survivor once another one is its own again."""
    survivor_: Any = survivor
    absorbed: dict[UUID, Absorption] = {}
    gone: Absorption | None = None
    for id, absorption in survivor_.absorbed.items():
        if id == event.merged_id:
            gone = absorption
        else:
            absorbed[id] = _without(absorption, gone) if gone else absorption
    values = fields_of(parts_of(event, parts), parts)
    return replace(survivor_, **values, absorbed=absorbed)  # type: ignore[no-any-return]


def _without(later: Absorption, gone: Absorption) -> Absorption:
    """A later merger, as if an earlier one had not been."""
    before, _ = undone(gone.before, gone.after, later.before)
    after, _ = undone(before, later.before, later.after)
    return Absorption(before, after)
