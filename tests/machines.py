"""Life cycles, explored: any command in any status, held against a table of what may happen.

The table is written by hand and knows nothing of the code it judges:

    LEAD = LifeCycle(
        of=Lead,
        beginning=given(),
        commands={CaptureLead: just(CAPTURE), QualifyLead: ..., ...},
        moves={
            "unknown": {CaptureLead: {"open"}},
            "open": {QualifyLead: {"qualified"}, ...},
        },
    )

    def test_a_lead_lives_by_the_table():
        explore(LEAD)

A command that stands in the row of a status may do something there, and then leads to one of the
statuses listed; one that does not, must do nothing. What was done once is not done again. After
the run every command must have been asked in every status, and every move must have been seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from hypothesis.strategies import SearchStrategy, one_of

from commands import COMMANDS
from commands.base import Command
from domain.base import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.given import History

Moves = Mapping[str, Mapping[type[Command[Any]], AbstractSet[str]]]


def always_true(_history: History, /) -> None:
    """No invariant beside the table."""


@dataclass(frozen=True)
class LifeCycle:
    """One aggregate: what can be asked of it, and what may come of that."""

    of: type[State[Any]]
    beginning: History
    commands: Mapping[type[Command[Any]], SearchStrategy[Any]]
    moves: Moves
    repeatable: AbstractSet[type[Command[Any]]] = frozenset()
    """Commands that do something every time, such as noting one more engagement."""
    invariant: Callable[[History], None] = always_true
    """Asserts what is true of every history."""

    @property
    def statuses(self) -> set[str]:
        """Every status there is, by the type of the state."""
        return set(get_args(get_type_hints(self.of)["status"]))


@dataclass
class Seen:
    """What a run came across, as (status, command) and (status, command, next status)."""

    asked: set[tuple[str, type[Command[Any]]]] = field(default_factory=set)
    moved: set[tuple[str, type[Command[Any]], str]] = field(default_factory=set)


def at_the_edge(command: type[Command[Any]]) -> bool:
    """A record may be taken back, forgotten or merged in any state.

    See test_retraction, test_subject and test_merger.
    """
    elsewhere = {"commands.subject", "commands.merger"}
    return command.__name__.startswith("Retract") or command.__module__ in elsewhere


def explore(life: LifeCycle, *, examples: int = 200, steps: int = 50) -> None:
    """Live `examples` lives of up to `steps` commands each; a gap in what was tried fails."""
    assert life.commands.keys() == {
        command for command in COMMANDS if command.of is life.of and not at_the_edge(command)
    }
    assert life.moves.keys() == life.statuses
    seen = Seen()
    run_state_machine_as_test(
        machine(life, seen),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )
    every = {(status, command) for status in life.statuses for command in life.commands}
    assert seen.asked == every, f"never tried: {_names(every - seen.asked)}"
    moves = {
        (status, command, after)
        for status, row in life.moves.items()
        for command, statuses in row.items()
        for after in statuses
    }
    assert seen.moved == moves, f"never seen: {_names(moves - seen.moved)}"


def machine(life: LifeCycle, seen: Seen) -> type[RuleBasedStateMachine]:
    """A machine that asks one random command after the other."""

    class Life(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.history = life.beginning

        @rule(command=one_of(*life.commands.values()))
        def ask(self, command: Command[Any]) -> None:
            status, kind = self._status(), type(command)
            decision = self.history.when(command)
            seen.asked.add((status, kind))
            if not decision.events:
                assert decision.refusal or status != "unknown", f"{kind.__name__} of a blank state"
                return
            self.history = self.history.after(decision.events)
            assert self._status() in life.moves[status].get(kind, ()), (
                f"{kind.__name__} led from {status} to {self._status()}"
            )
            seen.moved.add((status, kind, self._status()))
            if kind not in life.repeatable:
                self.history.when(command).nothing()
            life.invariant(self.history)

        def _status(self) -> str:
            state: Any = self.history.load(life.of, self.history.id)
            return str(state.status)

    return Life


def _names(gaps: AbstractSet[tuple[str | type, ...]]) -> str:
    return ", ".join(
        sorted(
            " ".join(part if isinstance(part, str) else part.__name__ for part in gap)
            for gap in gaps
        )
    )
