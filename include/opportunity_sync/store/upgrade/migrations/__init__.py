"""Alembic's scripts for the store's schema, oldest first; `store/upgrade/migrate.py` runs them."""

from __future__ import annotations
