"""Rows into the store, and facts out of it."""
