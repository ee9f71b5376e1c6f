"""Writes rows into the store, and finds facts in it."""
