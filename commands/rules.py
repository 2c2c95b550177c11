"""Rules that are numbers: stated here, in one place, and kept by the commands that decide by them.

`backstory whatif` asks what would have been decided by others.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Rule(BaseModel):
    """A rule: what it takes, in numbers, and their limits; the defaults are in force."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Qualification(Rule):
    """When a lead is worth a salesperson's time: budget, authority, need and timeline, 0 to 5."""

    sum_min: Annotated[int, Field(ge=0, le=20)] = 8
    """What the four add up to at least."""
    each_min: Annotated[int, Field(ge=0, le=5)] = 1
    """What each of them is at least."""


QUALIFICATION = Qualification()
