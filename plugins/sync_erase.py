"""Erasing a contact at that person's wish, as a program: `python -m sync_erase <id>`.

A program of the plugins' folder, not of `scripts/`, since images hold no scripts: in the compose
shape it runs in a worker, which knows the store and the staging. It asks for the store alone; who
erases needs no way to Dynamics.
"""

from __future__ import annotations

import sys

from opportunity_sync.errors import SyncError


def main(contact_ids: list[str]) -> int:
    """Erase each of the contacts; returns the exit code."""
    from opportunity_sync.pipeline.erasing import erase
    from sync_run_connections import books
    from sync_tasks import settings

    if not contact_ids:
        print("Name the contact: its id, 36 characters.", file=sys.stderr)
        return 2
    try:
        chosen = settings()
        with books(chosen) as engine:
            for contact_id in contact_ids:
                found = erase(engine, contact_id, settings=chosen)
                print(f"{contact_id}: erased{'' if found else ', of which nothing was left'}.")
            print(f"Staged rows are removed from {chosen.staging_url}")
    except SyncError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
