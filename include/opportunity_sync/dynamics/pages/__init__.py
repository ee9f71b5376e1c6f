"""Answers with rows, as bytes: proven whole, and followed from page to page to the end."""
