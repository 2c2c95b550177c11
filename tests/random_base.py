"""Bases that came about at random: any command there is, asked of a few records of each kind.

Values follow from the annotations of the commands, so a new command is covered when it is listed.
Most are refused, which is how the others become unlikely ones. Everything follows from the seed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid5

from pydantic import ValidationError

from commands import COMMANDS
from commands.pipeline import EXAMPLE_STAGES
from domain.base import Refusal, aggregate_of
from domain.custom_fields import custom_fields_id
from domain.retention_rule import retention_rule_id
from domain.user import SYSTEM
from eventstore.writer import Context, Writer
from tests.random_log import dice, makers

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from commands.base import Command
    from eventstore.workspace import Workspace

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
RECORDS = UUID("5d9a84de-efb6-5c7d-8df3-4e65493c5089")
OF_EACH_KIND = 4
ENDING = 0.02
HOSTILE = (
    *("=1+2", "+49", "-5", "@SUM(A1)", "'quoted", "''", '"', "a,b;c", "\\N", "NULL", "Zoë 雪 🙂"),
    *("＝1", "true", "007", "1e5", "2024-01-01", " pad", "<b>", "{}", "%00"),  # noqa: RUF001
)
MANY_LINES = ("", "\n", "=1\r\n-2", "\ttab", "a\rb", " \n ", "\r", 'x "y"\n\n,')
TEXTS = frozenset("note body evidence resolution objective description".split())
LINES = frozenset(
    "name company title product purpose industry team reason category source proof".split()
)
CUSTOM = ("alpha", "beta", "gamma")
NOT_ASKED = frozenset(("TickClock",))


class Asked(NamedTuple):
    """A command, of which record, by whom and when."""

    command: Command[Any]
    stream: UUID
    actor: UUID
    at: datetime


def record(kind: str, number: int) -> UUID:
    """The id of a record."""
    return uuid5(RECORDS, f"{kind} {number}")


def random_base(
    workspace: Workspace, seed: int, tries: int, *, ending: bool = False
) -> tuple[int, int]:
    """Ask commands at random; how many were granted and refused.

    With `ending`, records are taken back and forgotten too.
    """
    with Writer(workspace.log) as writer:
        answers = []
        for number, one in enumerate(wishes(seed, tries, ending=ending)):
            context = Context(one.actor, one.stream, occurred_at=one.at,
                              command_id=uuid5(RECORDS, f"{seed} {number}"))  # fmt: skip
            command = one.command
            answers.append(
                writer.submit(one.stream, command.of, command.decided, context, command.looks())
            )
        errors = [answer.exception() for answer in answers]
    for error in errors:
        if error is not None and not isinstance(error, Refusal):
            raise error
    refused = sum(error is not None for error in errors)
    return len(errors) - refused, refused


def wishes(seed: int, tries: int, *, ending: bool) -> Iterator[Asked]:
    """Commands at random, dated more or less one after the other."""
    chance = dice(seed)
    verbs = [verb for verb in COMMANDS if may_be_asked(verb, ending=False)]
    ends = [verb for verb in COMMANDS if may_be_asked(verb, ending=True) and verb not in verbs]
    at = BEGINNING
    for number in range(tries):
        at += timedelta(minutes=chance.randrange(90), microseconds=chance.randrange(10**6))
        late = timedelta(days=chance.choice([0, 0, 0, 0, 1, 30]))
        # At first there has to be something to go on with.
        among = [verb for verb in verbs if verb.creates] if number < tries // 6 else verbs
        verb = chance.choice(ends if ending and chance.random() < ENDING else among)
        actor = chance.choice([SYSTEM, *(record("user", n) for n in range(OF_EACH_KIND))])
        if (command := made(chance, verb)) is not None:
            yield Asked(command, asked_of(chance, command), actor, at - late)


def may_be_asked(verb: type[Command[Any]], *, ending: bool) -> bool:
    """Whether a base is made by such commands."""
    name = verb.__name__
    return name not in NOT_ASKED and (
        ending or not name.startswith(("Retract", "Forget", "Unconvert"))
    )


def made(chance: random.Random, verb: type[Command[Any]]) -> Command[Any] | None:
    """A command with values at random; None if they do not go together."""
    values = {name: value(chance, verb, name, make) for name, make in makers(verb).items()}
    if verb.__name__ == "DeclareCustomField":
        values |= {"name": chance.choice(CUSTOM), "field_type": "text"}
    for name, field in verb.model_fields.items():
        if not field.is_required() and chance.random() < 0.2:
            del values[name]
    try:
        return verb(**values)
    except ValidationError:
        return None


def value(chance: random.Random, verb: type[Command[Any]], name: str, make: Any) -> Any:
    """A value for a field: an id is one of the few there are, a text now and then hostile."""
    if name in verb.referring or name.endswith("_id"):
        of = verb.referring.get(name)
        kind = aggregate_of(of) if of else name.replace("member_id", "lead_id").removesuffix("_id")
        return record(kind, chance.randrange(OF_EACH_KIND)) if chance.random() < 0.8 else None
    if name in OWN:
        return OWN[name](chance)
    if name in TEXTS and chance.random() < 0.7:
        return chance.choice((*HOSTILE, *MANY_LINES))
    if name in LINES and chance.random() < 0.5:
        return chance.choice(HOSTILE)
    return make(chance)


def stages(chance: random.Random) -> list[dict[str, Any]]:
    """Stages, one of them as likely as chance will have it."""
    some = [dict(stage) for stage in EXAMPLE_STAGES]
    some[chance.randrange(3)]["probability"] = str(Decimal(chance.randrange(1, 10)) / 10)
    return some


def some_of(chance: random.Random, values: tuple[Any, ...]) -> dict[str, Any]:
    """Some custom fields or preferences."""
    return {one: chance.choice(values) for one in CUSTOM if chance.random() < 0.5}


OWN: dict[str, Callable[[random.Random], Any]] = {
    "custom": lambda chance: some_of(chance, HOSTILE),
    "preferences": lambda chance: some_of(chance, (None, "=x", "post")),
    "stages": stages,
    "stage": lambda chance: chance.choice([None, *(stage["key"] for stage in EXAMPLE_STAGES)]),
    "matter": lambda _: "Case 1",
    **dict.fromkeys(
        ("budget", "authority", "need", "timeline"), lambda chance: chance.choice([3, 3, 4, 0])
    ),
}
"""Values without which most commands would be refused."""


def asked_of(chance: random.Random, command: Command[Any]) -> UUID:
    """The record a command is asked of."""
    kind = aggregate_of(command.of)
    if kind == "custom_fields":
        return custom_fields_id(getattr(command, "aggregate"))  # noqa: B009
    if kind == "retention_rule":
        return retention_rule_id(getattr(command, "kind"))  # noqa: B009
    return record(kind, chance.randrange(OF_EACH_KIND))
