"""A process that writes to a workspace, started by tests: `python -m tests.writing_process`.

capture DIR URL COUNT SEED     capture leads, a few at a time, and print the ids acknowledged
convert DIR URL LEAD COUNT     ask COUNT times for the conversion of one lead
race DIR URL LEAD COUNT        engage one lead COUNT times
"""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import UUID, uuid5

from commands.base import handle
from commands.conversion import ConvertLead
from commands.lead import CaptureLead, DisqualifyLead, EngageLead, RecycleLead
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer
from tests.waiting import wait

ACTOR = UUID(int=7)


def main() -> None:
    what, directory, url, *rest = sys.argv[1:]
    with Workspace.open(Path(directory), url) as workspace, Writer(workspace.log) as writer:
        print("ready", flush=True)  # noqa: T201
        sys.stdin.readline()
        if what == "capture":
            capture(writer, int(rest[0]), UUID(rest[1]))
            return
        lead = UUID(rest[0])
        if what == "obey":
            obey(writer, lead)
            return
        command = ConvertLead() if what == "convert" else EngageLead(kind="call")
        asked = [handle(writer, command, lead, _ask()) for _ in range(int(rest[1]))]
        wait(asked)
        for answer in asked:
            print(answer.result().events, flush=True)  # noqa: T201


def capture(writer: Writer, count: int, seed: UUID) -> None:
    for start in range(0, count, 5):
        leads = [uuid5(seed, str(number)) for number in range(start, min(start + 5, count))]
        asked = [
            handle(writer, CaptureLead(name=str(lead), source="web"), lead, _ask())
            for lead in leads
        ]
        for answer in asked:
            print(answer.result().id, flush=True)  # noqa: T201


def obey(writer: Writer, lead: UUID) -> None:
    verbs: dict[str, type[DisqualifyLead | RecycleLead]] = {
        "disqualify": DisqualifyLead,
        "recycle": RecycleLead,
    }
    for line in sys.stdin:
        verb, reason = line.split()
        command = verbs[verb].model_validate({"reason": reason})
        print(handle(writer, command, lead, _ask()).result().events, flush=True)  # noqa: T201


def _ask() -> Context:
    return Context(actor=ACTOR, correlation_id=uuid7())


if __name__ == "__main__":
    main()
