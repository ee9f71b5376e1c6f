"""The organisation behind the Web API: rows that change, columns, and who may read what."""
