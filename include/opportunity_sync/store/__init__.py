"""The Marketo store: its tables, and the few set-based ways in which a run may change them.

Every function takes a `Connection` inside a transaction that the caller opened with
`lock.locked`, `lock.writing` or `lock.reading`, and never commits: a run's rows, roles, state
and book-keeping arrive together or not at all.
"""

from __future__ import annotations
