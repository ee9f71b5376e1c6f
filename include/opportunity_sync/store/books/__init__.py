"""The books of what is so now: where each table goes on, what is refused, owed, selected."""
