"""A batch of the log, read: envelopes and fields as typed columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from projections.fold import AT, framed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from domain.base import Event
    from projections.decode import Decoder

    Frames = Mapping[type[Event], pl.DataFrame]

ROW = f"{AT}row"
POISON = {
    "position": pl.Int64(),
    "stream_id": pl.Binary(),
    "type": pl.String(),
    "error": pl.String(),
}
_FAULTY = ("position", "stream_id", "type")
_MOMENT = pl.Datetime("us", "UTC")


def nothing_opened() -> tuple[Frames, pl.DataFrame]:
    """What is opened where personal values are not kept."""
    return {}, pl.DataFrame(schema=POISON)


@dataclass(frozen=True)
class Batch:
    """Events of the log, in the order of the log.

    `events` has the envelope of each. `frames` has the fields of those that could be read, by
    class, and beside them the envelope, its names marked with `AT`; personal fields are sealed.
    `faults` names those that could not be read. `opening` is asked once for what stands in place
    of the sealed values, which may still be on its way.
    """

    events: pl.DataFrame
    frames: Frames
    faults: pl.DataFrame
    opening: Callable[[], tuple[Frames, pl.DataFrame]] = nothing_opened

    @classmethod
    def read(cls, table: pa.Table, decoder: Decoder) -> Batch:
        """A batch as `Log.read_arrow` gives it; needs nothing but what it is given."""
        decoded = decoder.decode(table)
        columns = pl.DataFrame(table.drop_columns(["data"])).to_dict()
        columns["id"] = columns.pop("stream_id")
        columns |= {name: columns[name].cast(_MOMENT) for name in ("recorded_at", "occurred_at")}
        events = framed(columns)
        fields = {
            event: framed({ROW: frame["row"]} | frame[:, 1:].to_dict())
            for event, frame in decoded.frames.items()
        }
        faulty = events[decoded.faults["row"]].to_dict()
        faults = {name: faulty["id" if name == "stream_id" else name] for name in _FAULTY}
        faults |= {"error": decoded.faults["error"]}
        return cls.of(events, fields, framed(faults))

    @classmethod
    def of(cls, events: pl.DataFrame, fields: Frames, faults: pl.DataFrame) -> Batch:
        """A batch of envelopes and, by class and beside the `ROW` of its envelope, fields."""
        envelopes = framed({AT + name: column for name, column in events.to_dict().items()})
        frames = {e: frame.hstack(envelopes[frame[ROW]]) for e, frame in fields.items()}
        return cls(events, frames, faults)

    @property
    def last(self) -> int:
        """Position of the last event."""
        return int(self.events["position"][-1])

    def dated(self, events: pl.DataFrame) -> Batch:
        """The batch with envelopes that say from when on each event counts."""
        effective = events["effective_at"].alias(f"{AT}effective_at")
        frames = {
            event: frame.hstack([effective[frame[ROW]]]) for event, frame in self.frames.items()
        }
        return replace(self, events=events, frames=frames)

    def after(self, position: int) -> Batch:
        """What of the batch is later than a position."""
        if self.events["position"][0] > position:
            return self
        later = pl.col(f"{AT}position") > position
        frames = {event: frame.filter(later) for event, frame in self.frames.items()}
        return replace(
            self,
            events=self.events.filter(pl.col("position") > position),
            frames={event: frame for event, frame in frames.items() if not frame.is_empty()},
            faults=self.faults.filter(pl.col("position") > position),
        )

    def opened(self) -> tuple[Frames, pl.DataFrame]:
        """The frames that tables with personal columns are about, with values for what is sealed.

        Second, the values that could not be opened.
        """
        values, faults = self.opening()
        frames = {
            event: self.frames[event].with_columns(
                value if len(value) == len(self.frames[event]) else _of(value, self.frames[event])
            )
            for event, value in values.items()
            if event in self.frames
        }
        return frames, faults.filter(pl.col("position") >= self.events["position"][0])


def _of(values: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """The values of some of the rows they were opened for."""
    return values.filter(pl.col(ROW).is_in(frame[ROW].implode()))
