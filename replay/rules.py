"""Other rules, as readable TOML: what a past is asked that did not happen."""

from __future__ import annotations

import tomllib
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from commands.pipeline import SETTLED
from commands.rules import Qualification
from domain.pipeline import PipelineStage, StageStatus
from domain.values import ForecastCategory, Line, Probability, Slug
from replay.base import ReplayError, known

if TYPE_CHECKING:
    from pathlib import Path


Rate = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]


class RulesInvalid(ReplayError):
    """The rules do not say clearly what would be other; the message says where."""


class Part(BaseModel):
    """A part of the rules: a name that is not known is wrong, not overlooked."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OtherStage(Part):
    """What one stage of a pipeline would be; what is not named stays as it was.

    With `into` there is no such stage: deals that came into it came into the other one instead.
    """

    into: Slug | None = None
    name: Line | None = None
    probability: Probability | None = None
    status: StageStatus | None = None
    forecast_category: ForecastCategory | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = self.model_fields_set
        if not said:
            raise ValueError("says nothing: name what would be other, such as probability")
        if "into" in said and len(said) > 1:
            raise ValueError("a stage that goes into another one has nothing else of its own")
        return self

    def of(self, stage: PipelineStage) -> PipelineStage:
        """The stage as it would be; one that would be won or lost has the figures of that."""
        other = {name: getattr(self, name) for name in self.model_fields_set}
        if (status := other.get("status")) in SETTLED:
            probability, forecast = SETTLED[status]
            other = {"probability": probability, "forecast_category": forecast} | other
        return stage.model_copy(update=other)


class Logistic(Part):
    """The model that learners have: logistic regression over categories, numbers and their bins."""

    kind: Literal["binned_logistic_regression"] = "binned_logistic_regression"
    learning_rate: Rate = 0.1
    epsilon: Rate = 2.0
    intercept_lr: Rate = 0.01
    bins: Annotated[int, Field(ge=1, le=100)] = 12


class Tree(Part):
    """A decision tree that grows as rows come; it cannot say why."""

    kind: Literal["hoeffding_tree"]
    grace_period: Annotated[int, Field(ge=1, le=100_000)] = 200
    max_depth: Annotated[int, Field(ge=1, le=100)] | None = None
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-7


class Bayes(Part):
    """Naive Bayes over what is so and what is not; it cannot say why."""

    kind: Literal["naive_bayes"]
    alpha: Rate = 1.0


class OtherLearner(Part):
    """How a learner would learn: with another model, or without some of its inputs."""

    model: Logistic | Tree | Bayes = Field(default=Logistic(), discriminator="kind")
    without: tuple[Line, ...] = ()
    """Names of inputs; `*` stands for any end, as in `custom.*`."""

    @field_validator("model", mode="before")
    @classmethod
    def _is_its_own_unless_named(cls, given: object) -> object:
        return {"kind": "binned_logistic_regression"} | given if isinstance(given, dict) else given


class OtherRules(Part):
    """Numbers that decisions are taken by; those not named are as in force."""

    qualification: Qualification | None = None


class Rules(Part):
    """All that would be other."""

    title: Line
    since: int | str | None = None
    """In force after this moment: a time, or a position in the log; without it, always."""
    pipeline: dict[Line, Annotated[dict[Slug, OtherStage], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    """By name or id of a pipeline, and key of a stage."""
    score: dict[Slug, OtherLearner] = Field(default_factory=dict)
    """By name of a learner."""
    rule: OtherRules = OtherRules()

    @field_validator("since", mode="before")
    @classmethod
    def _is_written_out(cls, given: object) -> object:
        return given.isoformat() if isinstance(given, date | datetime) else given

    @property
    def changes(self) -> bool:
        """Whether anything would be other at all."""
        return bool(self.pipeline or self.score or self.rule != OtherRules())

    def none(self) -> Rules:
        """As it is, for what these are about: learners learn anew too, the way they do today."""
        return Rules(title="As it is", score=dict.fromkeys(self.score, OtherLearner()))

    def after(self, zone: tzinfo) -> int | datetime | None:
        """The moment after which they are in force; a bare date is the end of that day."""
        return self.since if isinstance(self.since, int | None) else known(self.since, zone)


def load(path: Path) -> Rules:
    """The rules in a file."""
    try:
        stated = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        rules = Rules.model_validate(stated)
    except OSError as error:
        raise RulesInvalid(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RulesInvalid(f"{path} is no TOML: {error}") from None
    except ValidationError as error:
        wrong = "\n".join(
            f"  {'.'.join(map(str, found['loc'])) or 'rules'}: {_said(found['msg'])}"
            for found in error.errors(include_url=False, include_input=False)
        )
        raise RulesInvalid(f"{path}:\n{wrong}") from None
    if not rules.changes:
        raise RulesInvalid(f"{path}: nothing would be other: name stages, a score or a rule")
    return rules


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")
