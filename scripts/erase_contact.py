"""`make erase`: empty what the store has of a contact, for ever, at that person's wish.

It asks the store of the connection in the environment or, without one, the demo's:

    make erase ARGS="8f3c0000-0000-0000-0000-0000000000a1"
"""

from __future__ import annotations

import sys

from opportunity_sync.errors import SyncError
from opportunity_sync.pipeline.erasing import erase
from sync_run_connections import store
from sync_tasks import settings


def main(arguments: list[str]) -> int:
    """Erase each of the contacts; returns the exit code."""
    if not arguments:
        print('Name the contact: make erase ARGS="<id>"', file=sys.stderr)
        return 2
    chosen = settings()
    try:
        with store(chosen) as engine:
            for contact_id in arguments:
                found = erase(engine, contact_id, settings=chosen)
                print(f"{contact_id}: erased{'' if found else ', of which nothing was left'}.")
    except SyncError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
