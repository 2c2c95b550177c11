"""Proofs over HTTP: the newest checkpoint, and what leads from events and older ones to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from api.auth import Caller
from api.body import Door, only_known_parameters
from api.problems import NotFound, problems
from domain.values import INTEGER_MAX
from eventstore.tree import NotSealed
from replay import proofs
from replay.base import ReplayError

if TYPE_CHECKING:
    from api.node import Node

Hash = Annotated[str, Field(description="32 bytes in base64.")]
Size = Annotated[int, Query(ge=0, le=INTEGER_MAX)]

router = APIRouter(tags=["proofs"], route_class=Door)


class InclusionProof(BaseModel):
    """What leads from an event to the root of the checkpoint (RFC 9162, 2.1.3)."""

    position: int
    index: int = Field(description="Which leaf the event is, counted from 0.")
    size: int = Field(description="How many leaves the tree has.")
    leaf_hash: Hash
    hashes: tuple[Hash, ...]
    checkpoint: str = Field(description="The signed note.")


class ConsistencyProof(BaseModel):
    """What shows that a log continues an older one (RFC 9162, 2.1.4)."""

    old: int
    new: int
    old_root: Hash
    new_root: Hash
    hashes: tuple[Hash, ...]
    checkpoint: str = Field(description="The newest signed note; it may be about a later tree.")


class VerifierKeys(BaseModel):
    """Public keys of the log."""

    keys: tuple[str, ...] = Field(description="As c2sp.org/signed-note writes them.")


@router.get(
    "/checkpoint",
    operation_id="checkpoint",
    summary="Checkpoint",
    response_class=PlainTextResponse,
    responses=problems(401, 404, 422, 503),
)
async def checkpoint(request: Request, caller: Caller) -> str:
    """How many events are sealed, and the root over them, signed (c2sp.org/tlog-checkpoint)."""
    only_known_parameters(request)
    node = _node(request, caller)
    try:
        return await to_thread.run_sync(proofs.checkpoint, node.workspace.log)
    except ReplayError:
        raise NotFound(what="checkpoint", id="newest") from None


@router.get(
    "/checkpoint/keys",
    operation_id="checkpoint_keys",
    summary="Keys of checkpoints",
    responses=problems(401, 422),
)
async def keys(request: Request, caller: Caller) -> VerifierKeys:
    """The public keys that checkpoints are verified with, retired ones included."""
    only_known_parameters(request)
    node = _node(request, caller)
    return VerifierKeys(keys=tuple(map(str, node.sealer.keys.verifiers)))


@router.get(
    "/proofs/inclusion/{event_id}",
    operation_id="inclusion_proof",
    summary="Inclusion proof",
    responses=problems(401, 404, 422, 503),
)
async def inclusion(request: Request, caller: Caller, event_id: UUID) -> InclusionProof:
    """Prove that an event is in the log that was signed; 404 while it is not sealed."""
    only_known_parameters(request)
    log = _node(request, caller).workspace.log

    def prove() -> proofs.Inclusion:
        return proofs.inclusion(log, proofs.position_of(log, event_id))

    try:
        found = await to_thread.run_sync(prove)
    except (NotSealed, ReplayError):
        raise NotFound(what="sealed event", id=event_id) from None
    return InclusionProof.model_validate(found, from_attributes=True)


@router.get(
    "/proofs/consistency",
    operation_id="consistency_proof",
    summary="Consistency proof",
    responses=problems(401, 404, 422, 503),
)
async def consistency(
    request: Request, caller: Caller, *, old: Size, new: Size | None = None
) -> ConsistencyProof:
    """Prove that a log continues that of an older checkpoint; without `new`, the newest one."""
    only_known_parameters(request)
    log = _node(request, caller).workspace.log
    try:
        found = await to_thread.run_sync(proofs.consistency, log, old, new)
    except ReplayError:
        raise NotFound(what="tree of", id=f"{old} events, then {new or 'newest'}") from None
    return ConsistencyProof.model_validate(found, from_attributes=True)


def _node(request: Request, _: Caller) -> Node:
    node: Node = request.app.state.node
    return node
