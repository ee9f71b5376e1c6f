"""Alembic's scripts for the store's schema, oldest first; `migrate.py` runs them."""

from __future__ import annotations
