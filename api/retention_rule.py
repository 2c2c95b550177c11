"""Doors to rules of retention: one stream per kind of data, so the kind is all there is to name."""

from uuid import UUID

from api.answers import show
from api.base import accept, doors
from commands.retention_rule import RepealRetentionRule, SetRetentionRule
from domain.retention_rule import retention_rule_id
from projections.retention_rule import retention_rule

router = doors("retention-rules")


def of_its_kind(command: SetRetentionRule | RepealRetentionRule) -> UUID:
    """The stream that holds the rule for a kind of data."""
    return retention_rule_id(command.kind)


show(router, retention_rule)

accept(router, "/set", SetRetentionRule, stream=of_its_kind)
accept(router, "/repeal", RepealRetentionRule, stream=of_its_kind)
