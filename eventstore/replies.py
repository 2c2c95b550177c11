"""Outcomes as the JSON that is kept under idempotency keys, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic_core import to_jsonable_python

from domain.base import Refusal
from domain.undo import Conflict
from eventstore.intent import Receipt

if TYPE_CHECKING:
    from eventstore.intent import Outcome


def outcome_to_reply(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON, to be stored under an idempotency key."""
    if isinstance(outcome, Receipt):
        return {
            "id": str(outcome.id),
            "version": outcome.version,
            "position": outcome.position,
            "events": outcome.events,
            "conflicts": to_jsonable_python(outcome.conflicts),
        }
    details = outcome.details if isinstance(outcome, Refusal) else {}
    return {
        "refusal": type(outcome).__name__,
        "details": to_jsonable_python(details, fallback=str),
    }


def reply_to_outcome(reply: dict[str, Any]) -> Outcome:
    """The outcome a stored reply stands for."""
    if "refusal" not in reply:
        told = reply.get("conflicts")
        conflicts = None if told is None else tuple(map(Conflict.model_validate, told))
        return Receipt(
            UUID(reply["id"]), reply["version"], reply["position"], reply["events"], conflicts
        )
    refusal = next(
        (known for known in _refusals(Refusal) if known.__name__ == reply["refusal"]), Refusal
    )
    return refusal(**reply["details"])


def _refusals(root: type[Refusal]) -> list[type[Refusal]]:
    return [root, *(found for child in root.__subclasses__() for found in _refusals(child))]
