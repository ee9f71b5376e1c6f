"""What the tasks of a run do, in the order of the DAG: begin, extract, transform, load, finish."""

from __future__ import annotations

from opportunity_sync.pipeline.beginning import begin
from opportunity_sync.pipeline.ending import finish
from opportunity_sync.pipeline.extraction import extract
from opportunity_sync.pipeline.loading import load
from opportunity_sync.pipeline.run import RunRequest
from opportunity_sync.pipeline.transformation import transform

__all__ = ["RunRequest", "begin", "extract", "finish", "load", "transform"]
