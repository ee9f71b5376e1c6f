"""The pre-flight check: whatever can be set up wrong, asked one by one before a run finds out.

Each item is one small function that gives what it found, or raises what is wrong and what to do.
Nothing is written but the result, and that by whoever asked: a DAG, `make validate`, or nobody
where a connection's Test button shows it.
"""

from __future__ import annotations
