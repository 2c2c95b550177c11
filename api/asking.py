"""What a read node is asked, and how it tells the answer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from pydantic import AwareDatetime, BaseModel

from api.pages import Cursor
from api.problems import SqlRefused, SqlTooLarge, SqlTooLong
from readmodels.base import Database
from readmodels.formats import Format, as_json, rows_of, written
from readmodels.question import Deadline, QueryTimeout, Question, Unanswerable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore.keys import Keyring
    from readmodels.answer import Answer


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of an answer before its rows are sent."""

    position: int
    next: str | None = None


class PageAsked(BaseModel):
    """What makes the cursor of the next page."""

    about: str
    """The question, as cursors know it."""
    keys: int
    """So many columns, the last ones, are for the cursor alone."""


Told = Generator[Head | bytes, None, None]


class Asked(BaseModel):
    """A question as it comes to a read node."""

    sql: str
    parameters: dict[str, Any] | list[Any] = []
    as_of: AwareDatetime | None = None
    known_at: int | None = None
    min_position: int = 0
    wait_seconds: float
    personal: bool
    format: Format
    rows_max: int
    page: PageAsked | None = None
    """A page of at most `rows_max` rows. Otherwise, with more rows JSON says that it is not
    complete, and other formats break off."""
    seconds: float


class Broken(Exception):
    """An answer that cannot be completed, and must not look as if it were."""


def told(database: Database, keys: Keyring, asked: Asked, deadline: Deadline) -> Told:
    """The head of the answer, then its bytes."""
    question = Question(asked.sql, asked.parameters, asked.as_of, asked.known_at)
    with (
        _named_failures(asked),
        database.asked(question, deadline, personal=asked.personal) as whole,
    ):
        # What fails most often fails before the first rows, when a problem can still be told.
        first = list(islice(whole.batches, 1))
        begun = replace(whole, batches=chain(first, whole.batches))
        answer, head = begun, Head(whole.position)
        if asked.page:
            answer, head = _page(keys, begun, asked, asked.page)
        yield head
        yield from (_json if asked.format is Format.json else _whole)(answer, head, asked)


def _page(keys: Keyring, answer: Answer, asked: Asked, page: PageAsked) -> tuple[Answer, Head]:
    """The rows of one page without what only the cursor needs, and the cursor of the next."""
    rows = pa.Table.from_batches(answer.up_to(asked.rows_max), answer.schema)
    names = answer.schema.names[: len(answer.kinds) - page.keys]
    shown = rows.slice(0, asked.rows_max).select(names)
    kinds = answer.kinds[: len(names)]
    kept = replace(answer, schema=shown.schema, kinds=kinds, batches=iter(shown.to_batches()))
    if len(rows) <= asked.rows_max:
        return kept, Head(answer.position)
    [last] = rows.slice(asked.rows_max - 1, 1).to_pylist()
    values = tuple(_scalar(last[name]) for name in answer.schema.names[len(names) :])
    cursor = Cursor(answer.position, values).sealed(keys, page.about)
    return kept, Head(answer.position, cursor)


def _scalar(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else str(value)


def _json(answer: Answer, head: Head, asked: Asked) -> Iterator[bytes]:
    """Rows with what is to be known of them."""
    kinds, left, complete, comma = tuple(answer.kinds), asked.rows_max, True, b""
    columns = [{"name": n, "type": t} for n, t in zip(answer.schema.names, kinds, strict=True)]
    yield b'{"position":%d,"columns":%s,"items":[' % (head.position, as_json(columns))
    for batch in answer.up_to(asked.rows_max):
        complete = len(batch) <= left
        rows = rows_of(batch.slice(0, left), kinds)
        left -= len(rows)
        if rows:
            yield comma + as_json(rows)[1:-1]
            comma = b",\n"
    yield b"]," + as_json({"next": head.next} if asked.page else {"complete": complete})[1:]


def _whole(answer: Answer, _: Head, asked: Asked) -> Iterator[bytes]:
    """All rows; more than there may be are no answer."""

    def counted() -> Iterator[Any]:
        rows = 0
        for batch in answer.batches:
            rows += len(batch)
            if rows > asked.rows_max:
                raise Broken(f"more than {asked.rows_max} rows")
            yield batch

    return written(replace(answer, batches=counted()), asked.format)


@contextmanager
def _named_failures(asked: Asked) -> Iterator[None]:
    try:
        yield
    except QueryTimeout:
        raise SqlTooLong(seconds=asked.seconds) from None
    except (duckdb.OutOfMemoryException, MemoryError):
        raise SqlTooLarge from None
    except (duckdb.Error, Unanswerable) as error:
        raise SqlRefused(reason=str(error)) from None
