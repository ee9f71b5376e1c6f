"""The check as a table for the terminal, or the facts of the organisation as a report to send.

It runs in a process of its own, in the environment that `validate.py` has made. The exit code is 1
where an item has failed.
"""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from opportunity_sync.check.facts import report_facts
from sync_check import gather, keep_in_store, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opportunity_sync.check.items import Item


def main() -> int:
    """Ask, keep the result, print it."""
    parser = argparse.ArgumentParser(
        prog="make validate", description="Is everything set up so that the sync can run?"
    )
    parser.add_argument(
        "--facts",
        action="store_true",
        help="print only how this organisation answers, without names or values",
    )
    asked = parser.parse_args()
    items = gather()
    keep_in_store(items, moment=datetime.now(UTC).replace(microsecond=0))
    for line in report_facts(items) if asked.facts else report(items):
        print(line)
    return int(any(item.state == "failed" for item in items))


def report(items: Sequence[Item]) -> list[str]:
    """The items and how many there are of each state."""
    states = [item.state for item in items]
    counts = ", ".join(
        f"{states.count(state)} {state}" for state in ("passed", "failed", "unknown")
    )
    return [*table(items), "", f"{counts}."]


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # the items say by themselves what is wrong
    sys.exit(main())
