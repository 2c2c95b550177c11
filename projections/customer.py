"""What readers see of customers."""

from domain.customer import (
    Customer,
    CustomerAbsorbed,
    CustomerAssigned,
    CustomerClosed,
    CustomerCreated,
    CustomerCustomFieldsSet,
    CustomerMerged,
    CustomerPreferencesSet,
    CustomerReactivated,
    CustomerRenamed,
    CustomerRetracted,
    CustomerSeparated,
    CustomerTierChanged,
    CustomerUnmerged,
    CustomerValues,
)
from projections.base import (
    Assignments,
    Dimension,
    FactTable,
    assign,
    blank,
    envelope,
    field,
    row,
    state,
)
from readmodels.units import count, money

MERGED: Assignments = assign(**dict.fromkeys(CustomerValues.model_fields, field))

customer = Dimension(
    "customer",
    of=Customer,
    on={
        CustomerCreated: assign(
            status="active",
            name=field,
            website=field,
            tier=field,
            industry=field,
            country=field,
            currency=field,
            employees=field,
            annual_revenue=field,
            parent_id=field,
            owner=field,
            customer_since=envelope.effective_at,
            custom=field,
            custom_personal=field,
        ),
        CustomerRenamed: assign(name=field, name_from=None),
        CustomerTierChanged: assign(tier=field),
        CustomerAssigned: assign(owner=field),
        CustomerPreferencesSet: assign(preferences=field),
        CustomerClosed: assign(status="closed", reason=field),
        CustomerReactivated: assign(status="active", reason=field),
        CustomerCustomFieldsSet: assign(custom=field, custom_personal=field),
        CustomerMerged: assign(merged_into=field),
        CustomerUnmerged: assign(merged_into=None),
        CustomerAbsorbed: MERGED,
        CustomerSeparated: MERGED,
        CustomerRetracted: blank(status="retracted"),
    },
    description="Customers: the companies we sell to.",
    columns={
        "status": "active or closed.",
        "owner": "The user responsible for the customer.",
        "name": "Name of the company.",
        "website": "Its web site.",
        "tier": "standard, premium or enterprise.",
        "industry": "The line of business.",
        "country": "Country, ISO 3166-1 alpha-2.",
        "currency": "Currency of the annual revenue, ISO 4217.",
        "employees": count("How many people work there."),
        "annual_revenue": money("Revenue in a year, in the currency of the row."),
        "parent_id": "The customer this one belongs to.",
        "customer_since": "When the company became a customer.",
        "preferences": "Settings and wishes, as one object.",
        "reason": "Why the customer was closed, or taken up again.",
        "merged_into": "The customer it is merged into: shown there instead.",
        "name_from": "The customer merged into it whose name it bears; NULL: its own.",
        "custom": "Custom fields, as one object.",
        "custom_personal": "Personal custom fields, as one object.",
    },
)

tier_change = FactTable(
    "tier_change",
    of=customer,
    on={
        CustomerTierChanged: row(
            from_tier=field.previous_tier, to_tier=field.tier, customer_owner=state.owner
        ),
    },
    description="Customers that came to another tier.",
    columns={
        "from_tier": "The tier before.",
        "to_tier": "The tier after.",
        "customer_owner": "The user responsible for the customer then.",
    },
)
