"""A workspace adds fields to an aggregate, uses them, and gives them up."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from commands import COMMANDS
from commands.custom_fields import DeclareCustomField, RetireCustomField
from commands.lead import CaptureLead, SetLeadCustomFields
from domain.base import HIDDEN, aggregate_of, fold
from domain.custom_fields import (
    CustomFieldDeclaredOtherwise,
    CustomFieldMistyped,
    CustomFields,
    CustomFieldsDeclared,
    CustomFieldsElsewhere,
    CustomFieldsRetired,
    CustomFieldUnknown,
    custom_fields_id,
)
from domain.lead import Lead, LeadCaptured, LeadCustomFieldsSet, LeadUnknown
from tests.examples import RECORDS, declared, knowing
from tests.given import History, given

OF_LEADS = custom_fields_id("lead")
NONE = History({}, id=OF_LEADS)
VISITS = {
    "aggregate": "lead",
    "name": "total_visits",
    "field_type": "integer",
    "unit": "visits",
    "personal": False,
    "description": "Visits before the first contact.",
}
HOBBY = VISITS | {"name": "hobby", "field_type": "text", "unit": None, "personal": True}
DECLARED, DECLARED_HOBBY = CustomFieldsDeclared(**VISITS), CustomFieldsDeclared(**HOBBY)
RETIRED = CustomFieldsRetired(aggregate="lead", name="total_visits")
ANN = {
    "name": "Ann", "email": None, "phone": None, "company": None, "title": None, "country": None,
    "source": "website", "campaign_id": None,
}  # fmt: skip
CAPTURED = LeadCaptured(**ANN, email_kind="none", has_phone=False, custom={}, custom_personal={})
WITH_BOTH = CAPTURED.model_copy(
    update={"custom": {"total_visits": 3}, "custom_personal": {"hobby": "chess"}}
)


def test_a_custom_field_is_declared():
    NONE.when(DeclareCustomField(**VISITS)).then(DECLARED)


def test_custom_fields_are_declared_where_they_are_looked_up():
    wish = DeclareCustomField(**VISITS)
    given().when(wish).refused(CustomFieldsElsewhere, aggregate="lead", stream=OF_LEADS)


def test_a_custom_field_is_declared_once():
    NONE.and_on(OF_LEADS, DECLARED).when(DeclareCustomField(**VISITS)).nothing()


def test_unit_and_description_may_be_improved():
    better = VISITS | {"unit": "sessions", "description": "Sessions before the first contact."}
    NONE.and_on(OF_LEADS, DECLARED).when(DeclareCustomField(**better)).then(
        CustomFieldsDeclared(**better)
    )


@pytest.mark.parametrize("other", [{"field_type": "text"}, {"personal": True}])
def test_type_and_sensitivity_stay(other):
    wish = DeclareCustomField(**VISITS | other)
    NONE.and_on(OF_LEADS, DECLARED).when(wish).refused(
        CustomFieldDeclaredOtherwise, name="total_visits"
    )


def test_a_custom_field_is_retired():
    NONE.and_on(OF_LEADS, DECLARED).when(RetireCustomField(**dict(RETIRED))).then(RETIRED)


def test_a_custom_field_is_retired_once():
    NONE.and_on(OF_LEADS, DECLARED, RETIRED).when(RetireCustomField(**dict(RETIRED))).nothing()


def test_a_field_nobody_declared_is_not_retired():
    wish = RetireCustomField(**dict(RETIRED))
    NONE.when(wish).refused(CustomFieldUnknown, name="total_visits", aggregate="lead")


def test_a_retired_field_can_be_declared_again():
    again = (
        NONE.and_on(OF_LEADS, DECLARED, RETIRED).when(DeclareCustomField(**VISITS)).then(DECLARED)
    )
    again.when(DeclareCustomField(**VISITS)).nothing()


def test_values_part_by_sensitivity():
    world = given().and_on(OF_LEADS, DECLARED, DECLARED_HOBBY)
    wish = CaptureLead(**ANN, custom={"total_visits": 3, "hobby": "chess"})
    world.when(wish).then(WITH_BOTH)


def test_fields_not_named_keep_their_values():
    world = given(WITH_BOTH).and_on(OF_LEADS, DECLARED, DECLARED_HOBBY)
    changed = LeadCustomFieldsSet(custom={"total_visits": 4}, custom_personal={"hobby": "chess"})
    world.when(SetLeadCustomFields(custom={"total_visits": 4})).then(changed)


def test_a_field_can_be_emptied():
    world = given(WITH_BOTH).and_on(OF_LEADS, DECLARED, DECLARED_HOBBY)
    emptied = LeadCustomFieldsSet(custom={"total_visits": 3}, custom_personal={"hobby": None})
    world.when(SetLeadCustomFields(custom={"hobby": None})).then(emptied)


def test_values_that_are_there_already_are_not_set_again():
    world = given(WITH_BOTH).and_on(OF_LEADS, DECLARED, DECLARED_HOBBY)
    world.when(SetLeadCustomFields(custom={"total_visits": 3, "hobby": "chess"})).nothing()
    world.when(SetLeadCustomFields(custom={})).nothing()


def test_custom_fields_of_an_unknown_lead_are_not_set():
    wish = SetLeadCustomFields(custom={})
    given().and_on(OF_LEADS, DECLARED).when(wish).refused(LeadUnknown)


@pytest.mark.parametrize("declared", [(), (DECLARED_HOBBY,), (DECLARED, RETIRED)])
def test_only_declared_fields_take_values(declared):
    wish = SetLeadCustomFields(custom={"total_visits": 3})
    world = given(CAPTURED).and_on(OF_LEADS, *declared)
    world.when(wish).refused(CustomFieldUnknown, name="total_visits", aggregate="lead")


@pytest.mark.parametrize(
    ("field_type", "value"),
    [
        ("integer", 3),
        ("number", 3),
        ("number", 2.5),
        ("boolean", True),
        ("text", "three"),
        ("text", None),
        ("integer", None),
    ],
)
def test_a_value_of_its_type_is_taken_as_it_is(field_type, value):
    declared = CustomFieldsDeclared(**VISITS | {"field_type": field_type})
    world = given(CAPTURED).and_on(OF_LEADS, declared)
    was_set = LeadCustomFieldsSet(custom={"total_visits": value}, custom_personal={})
    after = world.when(SetLeadCustomFields(custom={"total_visits": value})).then(was_set)
    taken = after.load(Lead, after.id).custom["total_visits"]
    assert type(taken) is type(value)


@pytest.mark.parametrize(
    ("field_type", "value", "type_given"),
    [
        ("integer", "3", "text"),
        ("integer", 2.5, "number"),
        ("integer", True, "boolean"),
        ("number", "2.5", "text"),
        ("number", False, "boolean"),
        ("boolean", 1, "integer"),
        ("boolean", "true", "text"),
        ("text", 3, "integer"),
        ("text", True, "boolean"),
    ],
)
def test_a_value_of_another_type_is_refused_and_not_repeated(field_type, value, type_given):
    declared = CustomFieldsDeclared(**VISITS | {"field_type": field_type})
    world = given(CAPTURED).and_on(OF_LEADS, declared)
    wish = SetLeadCustomFields(custom={"total_visits": value})
    details = {"name": "total_visits", "field_type": field_type, "given": type_given}
    world.when(wish).refused(CustomFieldMistyped, **details)


WITH_CUSTOM_FIELDS = [command for command in COMMANDS if "custom" in command.model_fields]


def asked(command, custom):
    """The answer to a command with custom fields, where `visits` is a declared number."""
    aggregate = aggregate_of(command.of)
    record = () if command.creates else (RECORDS[command.of],)
    world = given(*record).and_on(custom_fields_id(aggregate), *declared(aggregate))
    wish = command.model_validate(command.example | {"custom": custom})
    return knowing(world, wish).when(wish)


@pytest.mark.parametrize("command", WITH_CUSTOM_FIELDS, ids=lambda command: command.__name__)
def test_every_command_that_takes_custom_fields_checks_them(command):
    name = aggregate_of(command.of)
    asked(command, {"unheard_of": 1}).refused(CustomFieldUnknown, name="unheard_of", aggregate=name)
    asked(command, {"visits": "many"}).refused(
        CustomFieldMistyped, name="visits", field_type="integer", given="text"
    )
    with pytest.raises(ValidationError):
        command.model_validate(command.example | {"custom": {"no name": 1}})


def test_each_aggregate_has_its_own_fields():
    ids = {custom_fields_id(name) for name in ("lead", "customer", "contact", "deal", "ticket")}
    assert len(ids) == 5
    world = given(CAPTURED).and_on(custom_fields_id("deal"), DECLARED)
    wish = SetLeadCustomFields(custom={"total_visits": 3})
    world.when(wish).refused(CustomFieldUnknown)


def test_personal_values_read_without_keys_do_not_stand_in_the_way():
    hidden = WITH_BOTH.model_copy(update={"custom_personal": HIDDEN})
    world = given(hidden).and_on(OF_LEADS, DECLARED, DECLARED_HOBBY)
    world.when(SetLeadCustomFields(custom={"total_visits": 3})).nothing()


def test_the_fields_know_what_is_declared_and_what_is_retired():
    fields = fold(CustomFields(), [DECLARED, DECLARED_HOBBY, RETIRED])
    assert fields.declared == {"total_visits": DECLARED, "hobby": DECLARED_HOBBY}
    assert fields.retired == {"total_visits"}
