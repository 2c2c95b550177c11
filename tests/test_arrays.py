"""Arrays in the server's own form come back as the values they were."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.values import INTEGER_MAX
from eventstore import arrays
from eventstore.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


COLUMNS = st.tuples(
    st.lists(st.uuids()),
    st.lists(st.none() | st.uuids()),
    st.lists(st.integers(-INTEGER_MAX - 1, INTEGER_MAX)),
    st.lists(TEXT),
    st.lists(st.binary()),
    st.lists(st.none() | st.integers(-INTEGER_MAX - 1, INTEGER_MAX)),
    st.lists(st.none() | st.datetimes(timezones=st.just(UTC))),
)
WRITERS: tuple[Callable[[Any], arrays.Array], ...] = (
    arrays.ids,
    arrays.ids_or_nulls,
    arrays.bigints,
    arrays.texts,
    arrays.byteas,
    arrays.bigints_or_nulls,
    arrays.moments_or_nulls,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(COLUMNS)
def test_what_is_written_is_read(workspace: Workspace, columns: tuple[list[Any], ...]):
    values = [write(column) for write, column in zip(WRITERS, columns, strict=True)]
    with workspace.log.cursor() as cursor:
        cursor.execute(
            "SELECT %b::uuid[] AS a, %b::uuid[] AS b, %b::bigint[] AS c, %b::text[] AS d, "
            "%b::bytea[] AS e, %b::bigint[] AS f, %b::timestamptz[] AS g",
            values,
            prepare=True,
        )
        assert list((cursor.fetchone() or {}).values()) == list(columns)
