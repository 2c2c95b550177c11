"""What readers see of users."""

from domain.user import (
    User,
    UserDeactivated,
    UserReactivated,
    UserRegistered,
    UserRetracted,
    UserTeamChanged,
)
from projections.base import Dimension, assign, blank, field

user = Dimension(
    "user",
    of=User,
    on={
        UserRegistered: assign(
            status="active", handle=field, team=field, manager_id=field, name=field, email=field
        ),
        UserTeamChanged: assign(team=field, manager_id=field),
        UserDeactivated: assign(status="inactive"),
        UserReactivated: assign(status="active"),
        UserRetracted: blank(status="retracted"),
    },
    description="Users: the people who work with the CRM.",
    columns={
        "status": "active or inactive.",
        "handle": "Name to log in with.",
        "team": "The team.",
        "manager_id": "The user's manager.",
        "name": "Name of the person.",
        "email": "E-mail address of the person.",
    },
)
