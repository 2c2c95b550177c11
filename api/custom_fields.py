"""Doors to custom fields: one stream per aggregate, so the aggregate is all there is to name."""

from uuid import UUID

from api.answers import answer
from api.base import accept, doors
from commands.custom_fields import DeclareCustomField, RetireCustomField
from domain.custom_fields import custom_fields_id
from projections.custom_fields import custom_field
from readmodels.query import records

router = doors("custom-fields")


def of_its_aggregate(command: DeclareCustomField | RetireCustomField) -> UUID:
    """The stream that holds the custom fields of an aggregate."""
    return custom_fields_id(command.aggregate)


answer(router, "", records(custom_field.shapes[0].table)[0])

accept(router, "/declare", DeclareCustomField, stream=of_its_aggregate)
accept(router, "/retire", RetireCustomField, stream=of_its_aggregate)
