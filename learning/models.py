"""Models that a learner may be asked to learn with instead of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from river import naive_bayes, tree

from learning.model import DIGITS, INTERCEPT, BinnedLogisticRegression

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from learning.model import Feature

CHANCE_MIN = 1e-6
"""No model is surer than this: the log-odds of certainty are no number."""


class Model(Protocol):
    """What a `Training` asks of a model."""

    learned: int
    """How many rows it has learned."""

    def learn_one(self, x: Mapping[str, Feature], y: bool) -> None:  # noqa: FBT001 - as in river
        """Learn that `x` came out as `y`."""

    def explain_one(self, x: Mapping[str, Feature]) -> dict[str, float]:
        """The log-odds of True for `x`, by the input they come from."""


class Unexplained:
    """A classifier of river that cannot say why: what it says is all `intercept`.

    It is told numbers as they are, and of all else whether it is so.
    """

    def __init__(self, classifier: Any) -> None:
        self.learned = 0
        self._classifier = classifier

    def learn_one(self, x: Mapping[str, Feature], y: bool) -> None:  # noqa: FBT001 - as in river
        """See `Model`."""
        self._classifier.learn_one(_told(x), y)
        self.learned += 1

    def explain_one(self, x: Mapping[str, Feature]) -> dict[str, float]:
        """See `Model`."""
        chances = self._classifier.predict_proba_one(_told(x)) or {True: 0.5}
        chance = min(max(float(chances.get(True, 0.0)), CHANCE_MIN), 1 - CHANCE_MIN)
        return {INTERCEPT: round(math.log(chance / (1 - chance)), DIGITS) + 0.0}


def _told(x: Mapping[str, Feature]) -> dict[str, float]:
    """Inputs as numbers, in the order of their names, so that it does not matter."""
    told = {}
    for name in sorted(x):
        value = x[name]
        if isinstance(value, str):
            told[f"{name}={value}"] = 1.0
        elif value is None or isinstance(value, bool):
            told[f"{name}~{value}"] = 1.0
        else:
            told[name] = float(value)
    return told


def _tree(**parameters: Any) -> Model:
    return Unexplained(tree.HoeffdingTreeClassifier(**parameters))


def _bayes(**parameters: Any) -> Model:
    return Unexplained(naive_bayes.BernoulliNB(**parameters))  # type: ignore[no-untyped-call]


MODELS: Mapping[str, Callable[..., Model]] = {
    "binned_logistic_regression": BinnedLogisticRegression,
    "hoeffding_tree": _tree,
    "naive_bayes": _bayes,
}
"""By name, as rules state it; the first is that of every learner."""
