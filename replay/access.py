"""An access report: all that is known of a person, for that person (Article 15 of the GDPR)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from domain.base import HIDDEN
from domain.campaign import CampaignMember
from domain.score import score_id
from domain.subject import Subject, subject_stream
from replay.history import Happening, history
from replay.subject import records_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from eventstore.log import Log
    from replay.history import History

LEARNERS = "lead_conversion", "customer_health"
"""Who says something about persons; what was said is known of them too."""


@dataclass(frozen=True, slots=True)
class AccessReport:
    """The histories of every record that goes with one, the one asked about first."""

    record_id: UUID
    position: int
    """Where in the log it was taken."""
    histories: tuple[History, ...]

    def told(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "record_id": self.record_id,
            "position": self.position,
            "records": [
                {
                    "record_id": one.stream_id,
                    "kind": one.aggregate,
                    "now": _plain(one.record),
                    "history": [_happened(happening) for happening in one.happenings],
                }
                for one in self.histories
            ],
        }

    def lines(self) -> Iterator[str]:
        """All of it, for people, in Markdown."""
        yield f"# What is known of {self.record_id}\n"
        yield f"Taken at position {self.position} of the log. Times are UTC.\n"
        for one in self.histories:
            yield f"## {one.aggregate.replace('_', ' ').capitalize()} {one.stream_id}\n"
            for name, value in _plain(one.record).items():
                if value not in (None, "", {}, []):
                    yield f"* {name.replace('_', ' ')}: {_cell(value)}"
            yield "\n| when | what | by | what was said |\n|---|---|---|---|"
            for happening in one.happenings:
                said = "; ".join(
                    f"{name}: {_cell(value)}"
                    for name, value in _plain(happening.fields).items()
                    if value not in (None, "", {}, [])
                )
                what = happening.type.split(".")[1].replace("_", " ")
                by = happening.actor_name or happening.actor
                when = f"{happening.occurred_at:%Y-%m-%d %H:%M}"
                yield f"| {when} | {what} | {_cell(by)} | {said} |"
            yield ""


def access_report(log: Log, id: UUID) -> AccessReport:
    """All that is known through a lead, customer, contact, ticket or user.

    Beside their own records those of campaigns they are members of, what models said of them, and
    what was decided about forgetting. Raises ReplayError when there is no such record.
    """
    position = log.last_position()
    found = records_of(log, id)
    streams = dict.fromkeys(found.of)
    for naming in log.names.look(frozenset(found.of)):
        if naming.of in (CampaignMember, Subject):
            streams[naming.stream_id] = None
    beside = [subject_stream(id), *(score_id(name, of) for of in found.of for name in LEARNERS)]
    streams |= dict.fromkeys(stream for stream in beside if log.read_stream(stream))
    return AccessReport(id, position, tuple(history(log, stream) for stream in streams))


def _happened(happening: Happening) -> dict[str, Any]:
    told = asdict(happening)
    told["fields"] = _plain(happening.fields)
    del told["changes"], told["stream_id"], told["effective_at"]
    return told


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "[forgotten]" if value is HIDDEN else value for name, value in fields.items()}


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
