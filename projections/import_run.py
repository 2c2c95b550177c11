"""What readers see of imports."""

from domain.import_run import (
    ImportRun,
    ImportRunEnded,
    ImportRunReverted,
    ImportRunRevertStarted,
    ImportRunStarted,
)
from projections.base import Dimension, assign, envelope, field
from readmodels.units import count

import_run = Dimension(
    "import_run",
    of=ImportRun,
    on={
        ImportRunStarted: assign(
            status="started",
            recipe=field,
            title=field,
            recipe_sha256=field,
            files=field,
            started_by=envelope.actor,
            started_at=envelope.effective_at,
        ),
        ImportRunEnded: assign(
            status="ended",
            rows=field,
            refused=field,
            created=field,
            updated=field,
            events=field,
            ended_at=envelope.effective_at,
        ),
        ImportRunRevertStarted: assign(status="reverting", reverted_by=envelope.actor),
        ImportRunReverted: assign(
            status="reverted",
            retracted=field,
            restored=field,
            kept=field,
            reverted_at=envelope.effective_at,
        ),
    },
    description="Import runs: which files were imported, by whom, and what came of it.",
    columns={
        "status": "started (or interrupted), ended, reverting or reverted.",
        "recipe": "Name of the recipe.",
        "title": "Title of the recipe.",
        "recipe_sha256": "SHA-256 of the recipe as it was understood.",
        "files": "The files: name, SHA-256 and size in bytes of each.",
        "started_by": "The user in whose name the files were imported.",
        "started_at": "When the run began.",
        "rows": count("Rows that were read, in all steps."),
        "refused": count("Rows that were not taken, or not whole."),
        "created": count("Records that were made."),
        "updated": count("Records that were there and were changed."),
        "events": count("Events that the run led to."),
        "ended_at": "When every row was dealt with.",
        "reverted_by": "The user who had the run taken back.",
        "retracted": count("Records that were taken back."),
        "restored": count("Records that have the values they had before the run."),
        "kept": count("Records that were left as they are, for they were changed since."),
        "reverted_at": "When all of it was taken back.",
    },
)
