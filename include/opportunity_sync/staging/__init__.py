"""Rows on their way to the store: Parquet parts in a folder that every worker sees."""

from __future__ import annotations

from opportunity_sync.staging.folder import Manifest, Part, PartWriter, RunFolder
from opportunity_sync.staging.probe import StagingProbe
from opportunity_sync.staging.root import StagingRoot

__all__ = ["Manifest", "Part", "PartWriter", "RunFolder", "StagingProbe", "StagingRoot"]
