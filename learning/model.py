"""The model: logistic regression over binned and standardised inputs, one row at a time.

A linear model can say why; bins let it bend. On real leads it ranks better than the forests of
river and than a logistic regression fitted anew on all that came before.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from river import linear_model, optim, preprocessing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Feature = bool | float | str | None
"""What a model may be told: a category, a number, yes or no, or that nothing is known."""

INTERCEPT = "intercept"
"""The share of the log-odds that no input has."""

BINS = 12
BINNED_AFTER = 300
"""Numbers seen of an input before its bins are drawn, at their quantiles."""

CATEGORIES_MAX = 100
"""Values an input may take that the model tells apart; later ones are one category, `other`."""

NUMBER_MAX = 1e15
"""Numbers are cut off here, so that their squares stay numbers."""

DIGITS = 9
"""Log-odds are told to so many decimals."""

DEVIATIONS_MAX = 4.0
"""A number further from its mean, in standard deviations, counts as this far."""

TERMS_MAX = 2_000
"""Between two outcomes an input says the same again: that much of it is kept (9 µs of each
prediction, not 30)."""


@dataclass(slots=True)
class Average:
    """What an input gives on average: kept up as weights and rows come, never summed anew."""

    rows: int = 0
    total: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)

    def add(self, token: str, part: float, before: float, after: float) -> None:
        """A row had `part` of a token, whose weight went from `before` to `after`."""
        seen = self.parts.get(token, 0.0)
        self.total += (after - before) * seen + after * part
        self.parts[token] = seen + part

    @property
    def share(self) -> float:
        """The log-odds the input gives on average."""
        return self.total / self.rows


class BinnedLogisticRegression:
    """Logistic regression by AdaGrad over one-hot categories, standardised numbers and their bins.

    Inputs enter in the order of their names, so the same rows give the same weights, bit by bit,
    whatever order a dict happens to have. The `epsilon` of AdaGrad holds back its first steps:
    without it one outcome would move every input it came with by the full learning rate.

    >>> model = BinnedLogisticRegression()
    >>> for visits in range(600):
    ...     model.learn_one({"source": "web", "visits": visits % 20}, visits % 20 > 9)
    >>> round(model.predict_proba_one({"source": "web", "visits": 15})[True], 1)
    0.9
    >>> model.explain_one({"source": "web", "visits": 15})["source"]
    0.0
    """

    def __init__(
        self,
        learning_rate: float = 0.1,
        epsilon: float = 2.0,
        intercept_lr: float = 0.01,
        bins: int = BINS,
    ) -> None:
        self.learned = 0
        self._bins = bins
        self._scaler = preprocessing.StandardScaler()
        self._regression = linear_model.LogisticRegression(
            optimizer=optim.AdaGrad(learning_rate, eps=epsilon), intercept_lr=intercept_lr
        )
        self._weights: dict[str, float] = {}  # those of the regression, which copies all it tells
        self._terms: dict[tuple[Any, ...], float] = {}
        self._edges: dict[str, list[float]] = {}
        self._unbinned: dict[str, list[float]] = {}
        self._categories: dict[str, dict[str, None]] = {}
        self._averages: dict[str, Average] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What a copy needs: the terms that are kept follow from the rest."""
        return self.__dict__ | {"_terms": {}}

    def learn_one(self, x: Mapping[str, Feature], y: bool) -> None:  # noqa: FBT001 - as in river
        """Learn that `x` came out as `y`."""
        names = sorted(x)
        for name in names:
            value = x[name]
            if isinstance(value, str):
                known = self._categories.setdefault(name, {})
                if len(known) < CATEGORIES_MAX:
                    known[value] = None
            elif _is_number(value):
                self._take_in(name, _bounded(value))
        encoded = [(name, *seen) for name in names for seen in self._encoded(name, x[name])]
        self._regression.learn_one({token: part for _, token, part in encoded}, y)
        before, after = self._weights, self._regression.weights
        for name in names:
            self._averages.setdefault(name, Average()).rows += 1
        for name, token, part in encoded:
            self._averages[name].add(token, part, before.get(token, 0.0), after.get(token, 0.0))
        self._weights = after
        self._terms.clear()
        self.learned += 1

    def predict_proba_one(self, x: Mapping[str, Feature]) -> dict[bool, float]:
        """How likely False and True are for `x`."""
        chance = chance_of(self.explain_one(x))
        return {False: 1.0 - chance, True: chance}

    def explain_one(self, x: Mapping[str, Feature]) -> dict[str, float]:
        """The log-odds of True for `x`, by the input they come from, and the intercept.

        The intercept stands for the average of all that was learned, an input for what sets `x`
        apart from it: one that is always the same gives 0. These are not an account of the
        prediction but its very terms: see `chance_of`.
        """
        names = tuple(sorted(x))
        found = self._terms.get(names)
        if found is None:
            found = self._terms[names] = self._intercept(names)
        terms = {INTERCEPT: found}
        for name in names:
            value = x[name]
            key = (name, value, value.__class__)  # for True equals 1.0
            found = self._terms.get(key)
            if found is None:
                found = self._terms[key] = self._term(name, value)
            terms[name] = found
        if len(self._terms) > TERMS_MAX:
            self._terms.clear()
        return terms

    def _intercept(self, names: Sequence[str]) -> float:
        """What all these inputs give on average, and the bare intercept."""
        usual = [self._averages[name].share for name in names if name in self._averages]
        return round(math.fsum([self._regression.intercept, *usual]), DIGITS)

    def _term(self, name: str, value: Feature) -> float:
        """What an input gives beyond its average."""
        share = 0.0
        for token, part in self._encoded(name, value):
            share += self._weights.get(token, 0.0) * part
        if average := self._averages.get(name):
            share -= average.share
        # Adding 0 makes -0.0, which JSON would keep, a plain zero.
        return round(share, DIGITS) + 0.0

    def _take_in(self, name: str, value: float) -> None:
        self._scaler.learn_one({name: value})  # type: ignore[no-untyped-call]
        if name in self._edges:
            return
        seen = self._unbinned.setdefault(name, [])
        seen.append(value)
        if len(seen) == BINNED_AFTER:
            seen.sort()
            self._edges[name] = sorted(
                {seen[len(seen) * cut // self._bins] for cut in range(1, self._bins)}
            )
            del self._unbinned[name]

    def _encoded(self, name: str, value: Feature) -> Sequence[tuple[str, float]]:
        """What the regression sees of one input, as (token, part)."""
        if isinstance(value, str):
            known = self._categories.get(name, ())
            told_apart = value in known or len(known) < CATEGORIES_MAX
            return ((f"{name}={value}" if told_apart else f"{name}~other", 1.0),)
        if not _is_number(value):
            return ((f"{name}~{value}", 1.0),)
        number = _bounded(value)
        # As the scaler has it, which would make two dicts of each number: 0.9 µs.
        variance = self._scaler.vars.get(name, 0.0)
        scaled = (number - self._scaler.means[name]) / variance**0.5 if variance else 0.0
        deviations = (name, max(-DEVIATIONS_MAX, min(DEVIATIONS_MAX, scaled)))
        edges = self._edges.get(name)
        if edges is None:
            return (deviations,)
        return (deviations, (f"{name}@{bisect_left(edges, number)}", 1.0))


def chance_of(contributions: Mapping[str, float]) -> float:
    """The probability whose log-odds are the sum of `contributions`.

    The sum is correctly rounded, so it does not depend on the order of the terms. Raises
    ValueError when they are beyond all numbers: then the model has learned nonsense.

    >>> chance_of({"intercept": 0.0}), chance_of({"intercept": -3.0, "source": 3.0})
    (0.5, 0.5)
    """
    log_odds = math.fsum(contributions.values())
    if not math.isfinite(log_odds):
        raise ValueError(f"log-odds of {log_odds}")
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-min(log_odds, 700.0)))
    odds = math.exp(max(log_odds, -700.0))
    return odds / (1.0 + odds)


def _is_number(value: Feature) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _bounded(value: Feature) -> float:
    return max(-NUMBER_MAX, min(NUMBER_MAX, float(value or 0.0)))
