"""The verbs as the shell sees them; the file of one is loaded when it is run, not before."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from cli.failures import exit_code, sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REVERT = ("import", "revert")
"""What is said of one import is found with what is said of all: `imports revert`."""


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb is found (in `app` of a module), and what it does, in a line."""

    module: str
    help: str

    def load(self, name: str) -> Any:
        """The command itself."""
        return get_group(import_module(self.module).app).commands[name]


class Group(Verb):
    """A verb that has verbs of its own."""

    __slots__ = ()

    def load(self, name: str) -> Any:
        """See `Verb`."""
        group = get_group(import_module(self.module).app)
        group.name = name
        return group


class Verbs(TyperGroup):
    """`backstory` itself."""

    def __init__(self, panels: Mapping[str, Mapping[str, Verb]], *, epilog: str) -> None:
        self.verbs = {name: verb for panel in panels.values() for name, verb in panel.items()}
        super().__init__(
            name="backstory",
            help="A CRM that can show every record, score and report as it was, and why.",
            epilog=epilog,
            no_args_is_help=True,
            commands={
                name: TyperCommand(name, help=verb.help, rich_help_panel=panel)
                for panel, verbs in panels.items()
                for name, verb in verbs.items()
            },
            context_settings={"help_option_names": ["-h", "--help"]},
        )

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The verb to run, loaded."""
        if tuple(args[:2]) == REVERT:
            args = ["imports", *args[1:]]
        name, found, rest = super().resolve_command(ctx, args)
        return name, self.verbs[name].load(name) if name else found, rest

    def run(self, arguments: Sequence[str] | None = None) -> int:
        """Run; an expected failure is told in a sentence, a bug still shows where it is."""
        try:
            self(arguments, prog_name="backstory")
        except SystemExit as end:
            return int(end.code or 0)
        except Exception as error:
            code = exit_code(error)
            if code is None:
                raise
            sys.stderr.write(f"backstory: {sentence(error)}\n")
            return code
        return 0
