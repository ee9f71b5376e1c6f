"""Dynamics 365 opportunities to the Marketo store: what the tasks do, free of Airflow."""

from __future__ import annotations

__version__ = "0.1.0"  # as in pyproject.toml; another one tries every refused record again
