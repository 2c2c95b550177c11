"""Doors to the questions of an auditor: one each, `GET /audit/<question>`."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import orjson
from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_jsonable_python

from api.auth import Caller
from api.body import Door, only_known_parameters
from api.problems import Problem, problems
from api.reads import in_answer, noted
from replay.base import ReplayError, StreamUnknown
from replay.done import CauseUnknown
from replay.inquiries import INQUIRIES, LIMIT_MAX, Asking, Given
from replay.people import UserUnknown
from replay.seen import NeverScored
from replay.why import FieldUnknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.node import Node
    from replay.inquiries import Inquiry

TEXT_MAX = 200
MISSING = (StreamUnknown, UserUnknown, FieldUnknown, CauseUnknown, NeverScored)

router = APIRouter(prefix="/audit", tags=["audit"], route_class=Door)


class NothingToTell(Problem, status=404):
    """{reason}"""  # noqa: D415 - what is missing is said in a sentence


class InquiryInvalid(Problem, status=422):
    """{reason}"""  # noqa: D415 - what is wrong is said in a sentence


def open_door(inquiry: Inquiry) -> None:
    """Open a door for a question, with the parameters it declares."""

    async def door(request: Request, caller: Caller, **given: Any) -> Response:
        only_known_parameters(request)
        node: Node = request.app.state.node
        log = node.workspace.log
        asking = Asking(
            log if caller.personal else log.without_keys(), request.app.state.node.zone, log
        )
        try:
            answer = await to_thread.run_sync(partial(inquiry.ask, asking, **given))
        except MISSING as error:
            raise NothingToTell(reason=str(error)) from None
        except ReplayError as error:
            raise InquiryInvalid(reason=str(error)) from None
        headers = await noted(request, caller, *in_answer(answer))
        plain = to_jsonable_python(answer, fallback=repr)
        return Response(orjson.dumps(plain), headers=headers, media_type="application/json")

    taken = [*inspect.signature(door, eval_str=True).parameters.values()][:2]
    door.__signature__ = inspect.Signature([*taken, *parameters(inquiry)])  # type: ignore[attr-defined]
    router.add_api_route(
        f"/{inquiry.name}",
        door,
        methods=["GET"],
        response_model=None,
        name=inquiry.name,
        operation_id=f"audit_{inquiry.name}",
        summary=inquiry.name.capitalize(),
        description=inspect.cleandoc(inquiry.ask.__doc__ or ""),
        responses=problems(401, 404, 422, 503),
    )


def parameters(inquiry: Inquiry) -> Iterator[inspect.Parameter]:
    """What the door takes."""
    hints = get_type_hints(inquiry.ask, include_extras=True)
    for name, declared in list(inspect.signature(inquiry.ask).parameters.items())[1:]:
        kind, given = get_args(hints[name])
        limits = {"ge": 1, "le": LIMIT_MAX} if kind is int else {"max_length": TEXT_MAX}
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[kind, Query(description=_help(given), **limits)],  # type: ignore[arg-type]
            default=declared.default,
        )


def _help(given: Given) -> str:
    return given.help


for inquiry in INQUIRIES:
    open_door(inquiry)
