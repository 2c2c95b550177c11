"""Deals as another map of stages would have told them: other odds, other ends, stages in one.

Each move is told as the command would have decided it, had the stages been these: the figures are
those of the stage it leads to, and what is a move, a loss or a reopening follows from the status
of the stage before and after. What people would have done otherwise, nobody knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from commands.pipeline import check_stages
from domain.base import Refusal, fold
from domain.deal import DealLost, DealOpened, DealReopened, DealRetracted, DealStageChanged, DealWon
from domain.pipeline import Pipeline, PipelineDefined, PipelineRevised, PipelineStage
from replay.reread import Force, Row
from replay.rules import RulesInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from domain.pipeline import StageStatus
    from eventstore.envelope import RecordedEvent
    from replay.rules import OtherStage

ENDS: dict[str, StageStatus] = {DealWon.type: "won", DealLost.type: "lost"}
MOVES = {DealStageChanged.type, DealReopened.type, *ENDS}
UNSAID: dict[str, dict[str, Any]] = {
    DealLost.type: {"reason": "not_given", "competitor": None, "note": ""},
    DealReopened.type: {"reason": "By these rules the stage is open"},
}
"""What nobody said of a loss or a reopening that was none."""


@dataclass(slots=True)
class Standing:
    """Where a deal stands: as it was told, and as it would be."""

    pipeline_id: str
    told: tuple[StageStatus, str]
    placed: tuple[StageStatus, str]


class StageMap:
    """Tells pipelines and deals otherwise; `others` has the changed stages by pipeline."""

    def __init__(
        self,
        others: Mapping[str, Mapping[str, OtherStage]],
        pipelines: Sequence[RecordedEvent],
        force: Force,
    ) -> None:
        self._others, self._force = others, force
        self._ended = _replaced_before(pipelines, Force(force.after))
        self._stages: dict[str, dict[str, PipelineStage]] = {}
        self._deals: dict[bytes, Standing] = {}
        self._unplaced = 0

    def not_known(self) -> Iterator[str]:
        """What could not be told."""
        if self._unplaced:
            yield (
                f"Where {self._unplaced:,} deals would have begun: they were opened in a stage in "
                "which by these rules none does, and are told as they were until they move."
            )

    def pipeline(self, row: Row) -> Row | None:
        """A pipeline with the other stages, unless another revision came before they counted."""
        pipeline = str(UUID(bytes=row.stream_id))
        if pipeline not in self._others or row.type not in (
            PipelineDefined.type,
            PipelineRevised.type,
        ):
            return row
        fields = orjson.loads(row.data)
        stages = [PipelineStage.model_validate(stage) for stage in fields["stages"]]
        others = changed(stages, self._others[pipeline])
        self._stages[pipeline] = {stage.key: stage for stage in others}
        if others == stages or row.position in self._ended:
            return row
        return _with(row, fields | {"stages": [stage.model_dump(mode="json") for stage in others]})

    def deal(self, row: Row) -> Row | None:
        """What would have happened to a deal instead."""
        if row.type == DealOpened.type:
            return self._opened(row)
        standing = self._deals.get(row.stream_id)
        if standing is None:
            return row
        if row.type == DealRetracted.type:
            del self._deals[row.stream_id]
        return self._moved(row, standing) if row.type in MOVES else row

    def _opened(self, row: Row) -> Row:
        fields = orjson.loads(row.data)
        self._deals.pop(row.stream_id, None)
        if fields["pipeline_id"] not in self._others:
            return row
        told: tuple[StageStatus, str] = ("open", fields["stage"])
        standing = self._deals[row.stream_id] = Standing(fields["pipeline_id"], told, told)
        if not self._force.holds(row):
            return row
        place = self._place(standing, fields["stage"], "open", fields)
        if place.status != "open":
            self._unplaced += 1
            return row
        standing.placed = ("open", place.key)
        return _with(row, fields | {"stage": place.key} | _figures(place), fields)

    def _moved(self, row: Row, standing: Standing) -> Row | None:
        fields = orjson.loads(row.data)
        before, (was, stage) = standing.told, standing.placed
        told = standing.told = (ENDS.get(row.type, "open"), fields["to_stage"])
        if not self._force.holds(row):
            standing.placed = told
            return row
        place = self._place(standing, told[1], told[0], fields)
        type_ = row.type if (was, place.status) == (before[0], told[0]) else kind(was, place.status)
        stays = type_ == DealStageChanged.type and place.key == stage
        if not type_ or (stays and before[1] != told[1]):
            return None
        standing.placed = (place.status, place.key)
        moved = {"to_stage": place.key} | _figures(place)
        if stage != before[1]:
            moved["from_stage"] = stage
        if type_ == row.type:
            return _with(row, fields | moved, fields)
        common = {name: fields[name] for name in DealStageChanged.model_fields}
        return _with(row._replace(type=type_), common | moved | UNSAID.get(type_, {}))

    def _place(
        self, standing: Standing, key: str, status: StageStatus, fields: Mapping[str, Any]
    ) -> PipelineStage:
        """The stage a deal comes into, as it would be."""
        said = PipelineStage(
            key=key,
            name=key,
            probability=fields["probability"],
            status=status,
            forecast_category=fields["forecast_category"],
        )
        other = self._others[standing.pipeline_id].get(key)
        if other is None:
            return said
        if other.into is None:
            return other.of(said)
        return self._stages.get(standing.pipeline_id, {}).get(other.into, said)


def changed(stages: Iterable[PipelineStage], others: Mapping[str, OtherStage]) -> Any:
    """The stages of a revision as they would be."""
    found = ((stage, others.get(stage.key)) for stage in stages)
    return [
        other.of(stage) if other else stage for stage, other in found if not (other and other.into)
    ]


def resolved(
    named: Mapping[str, Mapping[str, OtherStage]], pipelines: Sequence[RecordedEvent]
) -> dict[str, Mapping[str, OtherStage]]:
    """Changed stages by the id of their pipeline; raises RulesInvalid where they do not fit."""
    streams: dict[UUID, list[Any]] = {}
    for recorded in pipelines:
        streams.setdefault(recorded.stream_id, []).append(recorded.event)
    states = {stream: fold(Pipeline(), events) for stream, events in streams.items()}
    found = {}
    for name, others in named.items():
        stream = _find(name, states)
        revisions = [e for e in streams[stream] if isinstance(e, PipelineDefined | PipelineRevised)]
        _check(f"pipeline.{name}", others, revisions)
        found[str(stream)] = others
    return found


def _find(name: str, states: Mapping[UUID, Pipeline]) -> UUID:
    found = [stream for stream, state in states.items() if name in (state.name, str(stream))]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(map(str, found))
        raise RulesInvalid(f"pipeline.{name}: several are called so; name one by its id: {ids}")
    known = ", ".join(sorted(state.name for state in states.values() if state.name)) or "none"
    raise RulesInvalid(f"pipeline.{name}: there is no such pipeline; there are {known}")


def _check(
    where: str,
    others: Mapping[str, OtherStage],
    revisions: Sequence[PipelineDefined | PipelineRevised],
) -> None:
    known = {stage.key: None for revision in revisions for stage in revision.stages}
    for key, other in others.items():
        for said in filter(None, (key, other.into)):
            if said not in known:
                raise RulesInvalid(
                    f"{where}.{key}: there is no stage {said}; there are {', '.join(known)}"
                )
        target = others.get(other.into) if other.into else None
        if target and target.into:
            raise RulesInvalid(f"{where}.{key}: goes into a stage that would not be there")
    for revision in revisions:
        try:
            check_stages(tuple(changed(revision.stages, others)))
        except Refusal as refusal:
            raise RulesInvalid(f"{where}: {refusal}") from None


def _replaced_before(pipelines: Sequence[RecordedEvent], force: Force) -> set[int]:
    """Positions of revisions that had been replaced when the rules came into force."""
    ended: set[int] = set()
    last: dict[UUID, int] = {}
    for one in pipelines:
        if isinstance(one.event, PipelineDefined | PipelineRevised):
            if one.stream_id in last and not force.holds(one):
                ended.add(last[one.stream_id])
            last[one.stream_id] = one.position
    return ended


def kind(before: StageStatus, after: StageStatus) -> str:
    """What happens between two stages; nothing to a deal that is lost, or won, already."""
    if after == "open":
        return DealStageChanged.type if before == "open" else DealReopened.type
    if before == after:
        return ""
    return DealWon.type if after == "won" else DealLost.type


def _figures(place: PipelineStage) -> dict[str, Any]:
    return place.model_dump(mode="json", include={"probability", "forecast_category"})


def _with(row: Row, fields: dict[str, Any], before: dict[str, Any] | None = None) -> Row:
    """The row with these fields; the very same one if they were so before."""
    return row if fields == before else row._replace(data=orjson.dumps(fields))
