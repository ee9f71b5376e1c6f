"""Rows on their way to the store: Parquet parts in a folder that every worker sees."""

from __future__ import annotations

from opportunity_sync.staging.folder import Part, RunFolder, StagingRoot

__all__ = ["Part", "RunFolder", "StagingRoot"]
