"""An import run: one time that files were imported, by whom, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from domain.base import Event, State, replace
from domain.values import INTEGER_MAX, Line

Count = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a file, in hexadecimal, as `sha256sum` tells it."""

Status = Literal["unknown", "started", "ended", "reverting", "reverted"]


class ImportedFile(BaseModel):
    """A file that a run reads: what it is called, and what tells it from any other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Line
    sha256: Sha256
    bytes: Count


class ImportRunStarted(Event, type="import_run.started.v1"):
    """Somebody began to import files by a recipe."""

    recipe: Line
    title: Line
    recipe_sha256: Sha256
    files: tuple[ImportedFile, ...]


class ImportRunEnded(Event, type="import_run.ended.v1"):
    """Every row was dealt with: records were made or changed, rows were refused."""

    rows: Count
    refused: Count
    created: Count
    updated: Count
    events: Count


class ImportRunRevertStarted(Event, type="import_run.revert_started.v1"):
    """Somebody began to take back what the run did."""


class ImportRunReverted(Event, type="import_run.reverted.v1"):
    """What the run did is taken back, but for the records that had to be kept."""

    retracted: Count
    restored: Count
    kept: Count


ImportRunEvent = ImportRunStarted | ImportRunEnded | ImportRunRevertStarted | ImportRunReverted


@dataclass(frozen=True, slots=True)
class ImportRun(State[ImportRunEvent]):
    """How far a run is."""

    status: Status = "unknown"
    started: ImportRunStarted | None = None
    ended: ImportRunEnded | None = None
    reverted: ImportRunReverted | None = None

    def evolve(self, event: ImportRunEvent, /) -> ImportRun:
        match event:
            case ImportRunStarted():
                return replace(self, status="started", started=event)
            case ImportRunEnded():
                return replace(self, status="ended", ended=event)
            case ImportRunRevertStarted():
                return replace(self, status="reverting")
            case ImportRunReverted():
                return replace(self, status="reverted", reverted=event)
            case _:
                assert_never(event)
