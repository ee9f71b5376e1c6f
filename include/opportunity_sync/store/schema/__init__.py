"""The store's tables and types, as data."""
