"""What readers see of customers."""

from domain.customer import (
    Customer,
    CustomerAssigned,
    CustomerClosed,
    CustomerCreated,
    CustomerCustomFieldsSet,
    CustomerPreferencesSet,
    CustomerReactivated,
    CustomerRenamed,
    CustomerRetracted,
    CustomerTierChanged,
)
from projections.base import Dimension, FactTable, assign, blank, envelope, field, row, state
from readmodels.units import count, money

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
        CustomerRenamed: assign(name=field),
        CustomerTierChanged: assign(tier=field),
        CustomerAssigned: assign(owner=field),
        CustomerPreferencesSet: assign(preferences=field),
        CustomerClosed: assign(status="closed", reason=field),
        CustomerReactivated: assign(status="active", reason=field),
        CustomerCustomFieldsSet: assign(custom=field, custom_personal=field),
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
