"""What can be asked of custom fields, and how other commands use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field

from commands.base import Command, World
from domain.base import HIDDEN, State, aggregate_of
from domain.custom_fields import (
    CustomAggregate,
    CustomFieldDeclaredOtherwise,
    CustomFields,
    CustomFieldsDeclared,
    CustomFieldsElsewhere,
    CustomFieldsEvent,
    CustomFieldsRetired,
    CustomFieldUnknown,
    FieldName,
    FieldType,
    custom_fields_id,
)
from domain.values import CustomValue, Line, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CustomValues = Annotated[dict[FieldName, CustomValue], Field(max_length=200)]
"""Custom fields as a command takes them: by name, each checked against its declaration."""


class DeclareCustomField(Command[CustomFields], creates=True):
    """Add a custom field to an aggregate."""

    aggregate: CustomAggregate
    name: FieldName
    field_type: FieldType
    unit: Line | None = None
    personal: bool = False
    description: Text

    example = {
        "aggregate": "lead",
        "name": "total_visits",
        "field_type": "integer",
        "unit": "visits",
        "description": "Visits to the web site before the first contact.",
    }

    def decide_in(self, world: World, fields: CustomFields, /) -> Iterator[CustomFieldsEvent]:
        if world.id != custom_fields_id(self.aggregate):
            home = custom_fields_id(self.aggregate)
            raise CustomFieldsElsewhere(aggregate=self.aggregate, stream=home)
        wanted = CustomFieldsDeclared(**self.fields())
        known = fields.declared.get(self.name)
        if known is not None and (known.field_type, known.personal) != (
            wanted.field_type,
            wanted.personal,
        ):
            raise CustomFieldDeclaredOtherwise(name=self.name)
        if known != wanted or self.name in fields.retired:
            yield wanted


class RetireCustomField(Command[CustomFields]):
    """Take no new values for a custom field."""

    aggregate: CustomAggregate
    name: FieldName

    example = {"aggregate": "lead", "name": "total_visits"}

    def decide(self, fields: CustomFields, /) -> Iterator[CustomFieldsEvent]:
        if self.name not in fields.declared:
            raise CustomFieldUnknown(name=self.name, aggregate=self.aggregate)
        if self.name not in fields.retired:
            yield CustomFieldsRetired(**self.fields())


def custom_values(
    world: World, of: type[State[Any]], values: Mapping[str, CustomValue]
) -> dict[str, dict[str, CustomValue]]:
    """Custom values checked against their declarations, as fields of an event."""
    if not values:
        return {"custom": {}, "custom_personal": {}}
    aggregate = aggregate_of(of)
    plain, personal = world.load(CustomFields, custom_fields_id(aggregate)).split(aggregate, values)
    return {"custom": plain, "custom_personal": personal}


class Customized(Protocol):
    """A state that has custom fields."""

    @property
    def custom(self) -> dict[str, CustomValue]:
        """Those anybody may see."""

    @property
    def custom_personal(self) -> dict[str, CustomValue]:
        """Those about a person."""


def custom_changes(
    world: World,
    of: type[State[Any]],
    state: Customized,
    values: Mapping[str, CustomValue],
) -> dict[str, dict[str, CustomValue]]:
    """All custom fields once `values` are set, as fields of an event; empty if none changes."""
    new = custom_values(world, of, values)
    known = {} if state.custom_personal is HIDDEN else state.custom_personal
    plain, personal = state.custom | new["custom"], known | new["custom_personal"]
    if (plain, personal) == (state.custom, known):
        return {}
    return {"custom": plain, "custom_personal": personal}
