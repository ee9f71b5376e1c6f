"""`make fields` and `make plan`: what can be selected, and what a changed selection would do.

Both ask the organisation and the store of the two connections in the environment or, without them,
the demo's, which DEMO_FOLDER makes that of a folder of rows. Nothing is changed at either end.

    make fields ARGS="contact --all"
    make plan
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from embedded import (
    PROJECT,
    Embedded,
    NotStartedError,
    given_connections,
    given_rows,
    misplaced_rows,
)
from single_run import demo_alone

if TYPE_CHECKING:
    from collections.abc import Iterator


def print_report(*program: str) -> int:
    """Start what is needed and let a program of Python report; returns its exit code."""
    demo = Embedded(PROJECT / ".demo", given_rows())
    if wrong := misplaced_rows(demo.rows, given_connections()):
        print(wrong, file=sys.stderr)
        return 1
    environment = demo.environment(OPPORTUNITY_SYNC_DEMO=str(demo.state))
    command = [sys.executable, *program, *sys.argv[1:]]
    try:
        demo.migrate(environment)
        with organisation(demo):
            return subprocess.run(command, env=environment, check=False).returncode
    except NotStartedError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
    return 1


@contextmanager
def organisation(demo: Embedded) -> Iterator[None]:
    """What is asked: that of the connections, or the demo's, which serves one program at a time."""
    if given_connections():
        yield
        return
    with demo_alone(demo), demo.sandbox():
        yield


if __name__ == "__main__":
    sys.exit(print_report("-m", "sync_fields"))
