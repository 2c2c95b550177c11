"""Doors to pipelines."""

from api.base import accept, doors
from commands.pipeline import DefinePipeline, RetirePipeline, RevisePipeline

router = doors("pipelines")

accept(router, "/{id}/define", DefinePipeline)
accept(router, "/{id}/revise", RevisePipeline)
accept(router, "/{id}/retire", RetirePipeline)
