"""Custom fields: what a workspace adds to an aggregate, declared before it is used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, assert_never
from uuid import UUID, uuid5

from pydantic import StringConstraints

from domain.base import Event, Refusal, State, replace
from domain.values import CustomValue, Line, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

CUSTOM_FIELDS = UUID("6a7c1f0e-5d0c-5b43-9a3e-0c3f5b7a9e11")
"""Namespace of the streams: the fields of an aggregate live in `custom_fields_id(aggregate)`."""

FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
FieldType = Literal["text", "integer", "number", "boolean"]


CustomAggregate = Literal["lead", "customer", "contact", "deal", "ticket"]
"""The kinds of record that custom fields can be added to."""


def custom_fields_id(aggregate: str) -> UUID:
    """The stream that declares the custom fields of an aggregate such as `lead`."""
    return uuid5(CUSTOM_FIELDS, aggregate)


class CustomFieldsDeclared(Event, type="custom_fields.declared.v1"):
    """An aggregate got a custom field."""

    aggregate: CustomAggregate
    name: FieldName
    field_type: FieldType
    unit: Line | None
    personal: bool
    description: Text


class CustomFieldsRetired(Event, type="custom_fields.retired.v1"):
    """A custom field takes no new values; what it held stays."""

    aggregate: CustomAggregate
    name: FieldName


CustomFieldsEvent = CustomFieldsDeclared | CustomFieldsRetired


class CustomFieldsElsewhere(Refusal):
    """The custom fields of a {aggregate} are declared on {stream}, nowhere else."""


class CustomFieldUnknown(Refusal):
    """No custom field {name} is declared for a {aggregate}."""


class CustomFieldMistyped(Refusal):
    """The custom field {name} takes a value of type {field_type}, not of type {given}."""


class CustomFieldDeclaredOtherwise(Refusal):
    """The custom field {name} is already declared with another type or sensitivity."""


@dataclass(frozen=True, slots=True)
class CustomFields(State[CustomFieldsEvent]):
    """The custom fields of one aggregate."""

    declared: dict[str, CustomFieldsDeclared] = field(default_factory=dict)
    retired: frozenset[str] = frozenset()

    def evolve(self, event: CustomFieldsEvent, /) -> CustomFields:
        match event:
            case CustomFieldsDeclared():
                return replace(
                    self,
                    declared=self.declared | {event.name: event},
                    retired=self.retired - {event.name},
                )
            case CustomFieldsRetired():
                return replace(self, retired=self.retired | {event.name})
            case _:
                assert_never(event)

    def split(
        self, aggregate: str, values: Mapping[str, CustomValue]
    ) -> tuple[dict[str, CustomValue], dict[str, CustomValue]]:
        """`values` checked against the declarations, as (plain, personal)."""
        plain: dict[str, CustomValue] = {}
        personal: dict[str, CustomValue] = {}
        for name, value in sorted(values.items()):
            declared = self.declared.get(name)
            if declared is None or name in self.retired:
                raise CustomFieldUnknown(name=name, aggregate=aggregate)
            if value is not None and not _fits(value, declared.field_type):
                # Refusals are kept in the clear, and the value may be about a person.
                raise CustomFieldMistyped(
                    name=name, field_type=declared.field_type, given=_type_of(value)
                )
            (personal if declared.personal else plain)[name] = value
        return plain, personal


def _fits(value: CustomValue, field_type: FieldType) -> bool:
    match field_type:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return not isinstance(value, bool | str)
        case "text":
            return isinstance(value, str)
        case _:
            assert_never(field_type)


def _type_of(value: CustomValue) -> FieldType:
    """The narrowest type that a value fits."""
    types: tuple[FieldType, ...] = ("boolean", "integer", "number")
    return next((one for one in types if _fits(value, one)), "text")
