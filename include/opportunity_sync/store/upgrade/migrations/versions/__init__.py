"""One script for each change of the schema."""

from __future__ import annotations
