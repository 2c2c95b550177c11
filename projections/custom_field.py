"""What readers see of custom fields: which there are, and since when."""

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
            meaning=field.description,
        ),
        CustomFieldsRetired: assign(status="retired"),
    },
    description="Custom fields: what the workspace adds to its records.",
    columns={
        "name": "Name of the field, and of its column.",
        "status": "active, or retired: takes no new values.",
        "aggregate": "What has the field, such as lead.",
        "field_type": "text, integer, number or boolean.",
        "unit": "What a number counts.",
        "personal": "Whether its values are about a person.",
        "meaning": "What the field means.",
    },
)
