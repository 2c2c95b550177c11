"""What readers see of custom fields."""

from domain.custom_fields import CustomFields, CustomFieldsDeclared, CustomFieldsRetired
from projections.base import Dimension, assign, field

custom_field = Dimension(
    "custom_field",
    of=CustomFields,
    key=("name",),
    on={
        CustomFieldsDeclared: assign(
            status="active",
            aggregate=field,
            field_type=field,
            unit=field,
            personal=field,
            explanation=field.description,
        ),
        CustomFieldsRetired: assign(status="retired", aggregate=field),
    },
    description="Custom fields: what the workspace added to its records.",
    columns={
        "name": "Name of the field.",
        "status": "active or retired.",
        "aggregate": "The kind of record that has it.",
        "field_type": "text, integer, number or boolean.",
        "unit": "Unit of its values.",
        "personal": "Whether its values are about a person.",
        "explanation": "What it means.",
    },
)
