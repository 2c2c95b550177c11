"""What holds of every event, state, refusal and command, whoever adds the next one."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from decimal import Decimal
from string import Formatter
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest
from hypothesis import given as whatever
from hypothesis import settings
from hypothesis import strategies as st

from commands import COMMANDS
from commands.base import Command
from domain import AGGREGATES, EVENTS, events_of
from domain.base import HIDDEN, Event, Refusal, State, aggregate_of, fold
from tests.arbitrary import arbitrary, limits
from tests.given import given

IRREGULAR = set("set put won lost heard met sent made left withdrawn held forgotten".split())
"""Verbs whose past does not end in -ed."""

NAMED_OTHERWISE = {"score.outcome_learned.v1": "OutcomeLearned"}
"""Events that read better without the name of their aggregate."""

PERSONAL_NAMES = set("email phone note body evidence resolution".split())
"""What is always about a person, and so is never stored in plain text."""

OF_ONE_AGGREGATE_ALONE = {"GrantConsent", "WithdrawConsent"}
"""Commands that need not name their aggregate: nobody but a contact consents."""

WITHOUT_COMMANDS = {"score", "import_run"}
"""Aggregates that only our own learners and imports write."""

ON_BEHALF = {"campaign_member", "subject"}
"""Aggregates whose events come from commands on another one, whose they are."""

UNKNOWN_OTHERWISE = {"RetireCustomField": "CustomFieldUnknown"}
"""Commands whose record need not exist, and what is told to be unknown instead."""

EVENT_CLASSES = [pytest.param(event, id=event.__name__) for event in EVENTS.values()]
STATES = [pytest.param(of, id=of.__name__) for of in AGGREGATES]
EVERY_COMMAND = [pytest.param(command, id=command.__name__) for command in COMMANDS]


def below(root: type[Any]) -> set[type[Any]]:
    """Every class derived from `root` in this project, but not those made by generics."""
    classes = {sub for child in root.__subclasses__() for sub in (child, *below(child))}
    return {sub for sub in classes if "[" not in sub.__name__}


def ours(root: type[Any], package: str) -> set[type[Any]]:
    """Those of them that a package declares."""
    return {sub for sub in below(root) if sub.__module__.split(".")[0] == package}


REFUSALS = sorted(ours(Refusal, "domain"), key=lambda refusal: refusal.__name__)
EVERY_REFUSAL = [pytest.param(refusal, id=refusal.__name__) for refusal in REFUSALS]


def words(name: str) -> list[str]:
    """The words of a class name, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z][a-z0-9]*", name)]


def owner_of(event: type[Any]) -> type[State[Any]]:
    """The aggregate an event belongs to."""
    return next(of for of in AGGREGATES if event in events_of(of))


# Lists


def test_every_aggregate_is_listed_once():
    listed = {of.__qualname__ for of in AGGREGATES}
    assert len(listed) == len(AGGREGATES)
    assert listed == {of.__qualname__ for of in ours(State, "domain")}


def test_a_stored_name_means_one_event_and_an_event_has_one_name():
    declared = [event for of in AGGREGATES for event in events_of(of)]
    assert len(declared) == len(set(declared)) == len(EVENTS) == len(set(EVENTS.values()))
    assert all(event.type == name for name, event in EVENTS.items())


def test_every_event_with_a_stored_name_belongs_to_an_aggregate():
    named = {event for event in ours(Event, "domain") if event.type}
    assert named == set(EVENTS.values())


def test_every_command_is_listed_once():
    assert len(COMMANDS) == len(set(COMMANDS))
    assert set(COMMANDS) == ours(Command, "commands")


def test_every_aggregate_can_begin():
    begun = {aggregate_of(command.of) for command in COMMANDS if command.creates}
    aggregates = {aggregate_of(of) for of in AGGREGATES}
    assert begun == aggregates - WITHOUT_COMMANDS - ON_BEHALF


# Events


@pytest.mark.parametrize("event", EVENT_CLASSES)
def test_an_event_is_told_in_the_past_tense(event):
    said = words(event.__name__)[1:]
    assert any(word.endswith("ed") or word in IRREGULAR for word in said)
    assert "updated" not in said, "what was done, not that something was"


@pytest.mark.parametrize("event", EVENT_CLASSES)
def test_an_event_is_stored_under_its_aggregate_and_verb(event):
    aggregate, rest, version = event.type.split(".")
    assert aggregate == aggregate_of(owner_of(event))
    assert re.fullmatch(r"v[1-9][0-9]*", version)
    name = "_".join(words(event.__name__))
    assert name == f"{aggregate}_{rest}" or NAMED_OTHERWISE.get(event.type) == event.__name__


@pytest.mark.parametrize("event", EVENT_CLASSES)
def test_an_event_says_what_happened_in_a_sentence(event):
    first = (event.__dict__["__doc__"] or "").strip().splitlines()[0]
    assert re.fullmatch(r"[A-Z].{8,96}[.;,]", first) or first.endswith("."), first


@pytest.mark.parametrize("event", EVENT_CLASSES)
def test_an_event_is_a_complete_and_frozen_value(event):
    assert event.model_config["frozen"]
    assert event.model_config["extra"] == "forbid"
    optional = [name for name, field in event.model_fields.items() if not field.is_required()]
    assert not optional, "every field is present in every stored event, nulls included"


@pytest.mark.parametrize("event", EVENT_CLASSES)
def test_what_is_about_a_person_is_marked_personal(event):
    plain = event.model_fields.keys() - set(event.personal_fields())
    assert not plain & PERSONAL_NAMES
    hints = get_type_hints(event, include_extras=True)
    assert {name for name in event.model_fields if "PersonalMark" in str(hints[name])} == set(
        event.personal_fields()
    ), "Personal[...] stands around the whole annotation"


@pytest.mark.parametrize("event", EVENT_CLASSES)
def test_the_person_of_an_event_is_a_field_of_it(event):
    if event.subject:
        assert event.personal_fields()
        assert event.model_fields[event.subject].annotation is UUID
        assert event.subject not in event.personal_fields()


@pytest.mark.parametrize("of", STATES)
def test_a_field_means_one_column_in_all_events_of_an_aggregate(of):
    columns: dict[str, Any] = {}
    for event in events_of(of):
        hints = get_type_hints(event, include_extras=True)
        for name in event.model_fields:
            column = name in event.personal_fields(), stored_as(hints[name])
            assert columns.setdefault(name, column) == column, f"{event.__name__}.{name}"


def stored_as(annotation: Any) -> Any:
    """The type a column needs, whatever narrower limits or nulls its annotation speaks of."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        places = limits(annotation.__metadata__).get("decimal_places")
        kind = stored_as(arguments[0])
        return (kind, places) if kind is Decimal else kind
    if origin is Literal:
        return stored_as(type(arguments[0]))
    if origin in (Union, UnionType):
        parts = {stored_as(part) for part in arguments if part is not NoneType}
        return parts.pop() if len(parts) == 1 else frozenset(parts)
    return annotation if isinstance(annotation, type) and not arguments else (origin, arguments)


@pytest.mark.parametrize("event", EVENT_CLASSES)
def test_an_event_comes_back_from_the_log_as_it_went_in(event):
    @settings(max_examples=25)
    @whatever(arbitrary(event))
    def comes_back(happened):
        stored = json.dumps(happened.model_dump(mode="json"), allow_nan=False).encode()
        assert event.model_validate(json.loads(stored)) == happened
        assert event.model_validate_json(stored) == happened
        assert json.loads(stored).keys() == event.model_fields.keys()

    comes_back()


# States


@pytest.mark.parametrize("of", STATES)
def test_a_state_is_a_frozen_slotted_value_that_begins_blank(of):
    blank = of()
    assert blank == of()
    assert "__dict__" not in dir(blank)
    assert is_dataclass(blank)
    assert vars(of)["__dataclass_params__"].frozen
    assert (of.__doc__ or "").endswith(".")


@pytest.mark.parametrize("of", STATES)
def test_a_state_with_a_status_begins_unknown(of):
    if "status" in {field.name for field in fields(of)}:
        assert of().status == "unknown"
        assert "unknown" in get_args(get_type_hints(of)["status"])


def hide(event):
    """The event as it is read without keys."""
    return event.model_copy(update=dict.fromkeys(event.personal_fields(), HIDDEN))


@pytest.mark.parametrize("of", STATES)
def test_a_state_bears_any_events_with_and_without_keys(of):
    anything = st.lists(st.one_of(*(arbitrary(event) for event in events_of(of))), max_size=6)

    @settings(max_examples=60)
    @whatever(anything)
    def bears(events):
        before = [event.model_copy() for event in events]
        state = fold(of(), events)
        assert isinstance(state, of)
        assert state == fold(of(), events)
        assert events == before
        unread = fold(of(), [hide(event) for event in events])
        for held in (*state.holds(), *unread.holds()):
            assert all(isinstance(part, str) for part in held)
        assert all(kind.startswith(f"{aggregate_of(of)}.") for kind, _ in state.holds())

    bears()


@pytest.mark.parametrize("of", STATES)
def test_a_state_knows_every_event_of_its_aggregate(of):
    for event in events_of(of):

        @settings(max_examples=5)
        @whatever(arbitrary(event))
        def knows(happened):
            assert isinstance(of().evolve(happened), of)

        knows()


@pytest.mark.parametrize("of", STATES)
def test_a_state_knows_no_event_of_another_aggregate(of):
    @settings(max_examples=5)
    @whatever(arbitrary(next(event for event in EVENTS.values() if owner_of(event) is not of)))
    def stumbles(stranger):
        with pytest.raises(AssertionError):
            of().evolve(stranger)

    stumbles()


# Commands


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_a_command_is_a_verb_and_what_it_is_done_to(command):
    name = words(command.__name__)
    aggregate = aggregate_of(command.of).removesuffix("s").split("_")
    assert name[0] not in aggregate, "the verb comes first"
    named = "_".join(aggregate) in "_".join(name[1:])
    assert named is not (command.__name__ in OF_ONE_AGGREGATE_ALONE)


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_a_command_tells_the_reader_of_the_api_what_it_does(command):
    said = (command.__dict__["__doc__"] or "").strip()
    assert re.match(r"[A-Z][a-z]+ ", said), "begins with a verb"
    assert said.endswith(".")


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_a_command_has_an_example_that_can_be_sent(command):
    assert "example" in vars(command)
    sent = json.dumps(command.example)
    assert command.model_validate_json(sent) == command(**command.example)


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_a_command_has_limits_on_everything(command):
    unlimited = list(without_limit(command.model_json_schema()))
    assert not unlimited


def without_limit(schema: Any) -> Any:
    """Parts of a JSON schema that let in as much as the sender likes."""
    if isinstance(schema, list):
        for part in schema:
            yield from without_limit(part)
    if not isinstance(schema, dict):
        return
    wanted = {
        "string": {"maxLength", "pattern", "enum", "const", "format"},
        "integer": {"maximum"},
        "array": {"maxItems"},
    }.get(schema.get("type", ""))
    if wanted and not wanted & schema.keys():
        yield schema
    if schema.get("additionalProperties") and "maxProperties" not in schema:
        yield schema
    if {"type": "string"} in schema.get("anyOf", []):
        return  # a decimal: its digits are limited, which JSON Schema has no word for
    for part in schema.values():
        yield from without_limit(part)


@pytest.mark.parametrize("command", [c for c in EVERY_COMMAND if not c.values[0].creates])
def test_nothing_is_asked_of_what_does_not_exist(command):
    refusal = given().when(command(**command.example)).refusal
    expected = UNKNOWN_OTHERWISE.get(command.__name__, f"{command.of.__name__}Unknown")
    assert type(refusal).__name__ == expected


# Refusals


@pytest.mark.parametrize("refusal", EVERY_REFUSAL)
def test_a_refusal_has_a_message_for_the_one_who_asked(refusal):
    message = refusal.__dict__["__doc__"] or ""
    assert re.match(r"[A-Z{]", message)
    assert message.endswith(".")
    assert "\n" not in message
    assert all(name.isidentifier() for name in placeholders(refusal))


def placeholders(refusal: type[Refusal]) -> set[str]:
    """What has to be said when a refusal is raised."""
    message = refusal.__doc__ or ""
    return {name for _, name, _, _ in Formatter().parse(message) if name is not None}


@pytest.mark.parametrize("refusal", EVERY_REFUSAL)
def test_a_refusal_can_be_told_with_what_its_message_names(refusal):
    details = {name: f"<{name}>" for name in placeholders(refusal)}
    told = str(refusal(**details))
    assert all(value in told or repr(value) in told for value in details.values())
