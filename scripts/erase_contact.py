"""`make erase`: empty what the store has of a contact, for ever, at that person's wish.

It asks the store of the connection in the environment or, without one, the demo's:

    make erase ARGS="8f3c0000-0000-0000-0000-0000000000a1"
"""

from __future__ import annotations

import subprocess
import sys

from embedded import (
    PROJECT,
    STORE,
    Embedded,
    NotStartedError,
    given_connections,
    given_rows,
    misplaced_rows,
)
from single_run import demo_alone


def main(contact_ids: list[str]) -> int:
    """Erase each of the contacts; returns the exit code."""
    if not contact_ids:
        print('Name the contact: make erase ARGS="<id>"', file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "sync_erase", *contact_ids]
    rows, given = given_rows(), given_connections()
    if wrong := misplaced_rows(rows, given):
        print(wrong, file=sys.stderr)
        return 1
    if STORE in given:
        return subprocess.run(command, check=False).returncode
    try:
        return erase_in_demo(Embedded(PROJECT / ".demo", rows), command)
    except NotStartedError as error:
        print(error, file=sys.stderr)
        return 1


def erase_in_demo(demo: Embedded, command: list[str]) -> int:
    """Erase in the store that `make demo` has made; a new one would only look as if it had."""
    if not (demo.state / "marketo.sqlite").is_file():
        raise NotStartedError(
            f"No connection in the environment, and no store of the demo.\nSet {STORE}, or run "
            "`make demo` first."
        )
    environment = demo.environment(OPPORTUNITY_SYNC_DEMO=str(demo.state))
    with demo_alone(demo):
        demo.migrate(environment)
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
