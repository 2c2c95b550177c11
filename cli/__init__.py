"""`backstory`, the command line: this is its table of contents, with a file per group of verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.verbs import Group, Verb, Verbs
from eventstore.collector import collect_seldom

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_CODES = (
    "Exit codes: 0 done; 1 the answer is no (verify found a difference, there is no such record, "
    "the business refused); 2 wrong use; 3 not possible now (the database cannot be reached, a "
    "server runs in the directory); 130 interrupted by Ctrl-C, which leaves nothing half done."
)

VERBS: dict[str, dict[str, Verb]] = {
    "Files": {
        "import": Verb(
            "cli.imports",
            "Import files by a recipe. Asked again, it takes what is new or has changed, nothing "
            "twice.",
        ),
        "imports": Group(
            "cli.runs",
            "Tell which files were imported, when and by whom, and what came of it.",
        ),
        "publish": Group("cli.publish", "Keep the tables up to date in a database that many read."),
        "export": Group("cli.export", "Hand out what is held here, in files of other tools."),
    },
    "The past": {
        "history": Verb(
            "cli.past", "Tell what happened to a record, and what was true of it then."
        ),
        "diff": Verb(
            "cli.past", "Show what changed about a record between two moments, and through what."
        ),
        "why": Verb(
            "cli.past",
            "Name the event that gave a field its value, who caused it, and because of what.",
        ),
        "hindsight": Verb(
            "cli.inquiries",
            "Hold what was known at a moment against what had happened by then, of one record or "
            "all.",
        ),
        "whatif": Verb(
            "cli.whatif",
            "Read the log with other rules, beside it as it is, and show what reports would say.",
        ),
        "seen": Verb(
            "cli.inquiries",
            "Tell which score was seen of a record, from which version of the model, and from "
            "what.",
        ),
        "done": Verb("cli.inquiries", "Tell what a user did: how often what, and the last of it."),
        "reads": Verb(
            "cli.inquiries",
            "Tell who read which personal fields of whom; those of a customer with its contacts "
            "and so on.",
        ),
        "caused": Verb(
            "cli.inquiries",
            "Tell everything that an import, a request or an event led to, and what would undo it.",
        ),
    },
    "The present": {
        "sql": Verb(
            "cli.sql",
            "Ask the tables; with a moment, every table named is that of the moment.",
        ),
        "due": Verb(
            "cli.inquiries",
            "Tell what rules of retention would have forgotten at a moment, and what stays in "
            "spite.",
        ),
        "duplicates": Verb(
            "cli.duplicates",
            "Find records that are probably one, by Splink; nothing is merged or changed.",
        ),
        "chart": Verb(
            "cli.chart",
            "Draw a report as it was at a moment, to a file that needs no network to be seen.",
        ),
        "notebook": Verb(
            "cli.notebook",
            "Open a prepared Jupyter notebook: funnel, waterfall, cohorts and scores at any "
            "moment.",
        ),
        "catalog": Verb(
            "cli.catalog",
            "Tell what can be asked: tables, columns, reports and events, with units and lineage.",
        ),
    },
    "Proof": {
        "verify": Verb(
            "cli.proof",
            "Rebuild everything from the log in an empty directory, and name what is not the same.",
        ),
        "rebuild": Verb(
            "cli.proof",
            "Make the tables anew from the log, beside the old ones, and put them in their place.",
        ),
        "rollback": Verb(
            "cli.proof",
            "Put the tables from before the last rebuild in the place of those of now.",
        ),
        "audit": Group("cli.audit", "Prove the log, and check the proofs."),
        "evidence": Group("cli.evidence", "Hand out what happened, with the proof."),
    },
    "Keeping it": {
        "backup": Verb(
            "cli.backup",
            "Write the sealed log, and what stands beside it, as files; again, only what is new.",
        ),
        "restore": Verb(
            "cli.backup",
            "Fill a new installation from a backup, once all of it is as it was sealed.",
        ),
    },
    "Running it": {
        "serve": Verb(
            "cli.serve", "Run the database, the API and the learners, until Ctrl-C or SIGTERM."
        ),
        "learn": Verb(
            "cli.learn",
            "Let the learners follow the log to its end; beside a server, wait until its own have.",
        ),
        "demo": Verb(
            "cli.demo.command",
            "Tell two years of a made-up company, then show what can be asked of them.",
        ),
        "key": Group("cli.key", "Make, list and end API keys; rotate the master key."),
        "privacy": Group("cli.privacy", "Show what is known of a person; prove nothing is left."),
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb named on the command line, and return the exit code."""
    collect_seldom()
    return Verbs(VERBS, epilog=EXIT_CODES).run(arguments)
