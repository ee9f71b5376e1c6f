"""Rows from a folder of exported Web API answers, checked and completed."""
