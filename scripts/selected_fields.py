"""`make fields` and `make plan`: what can be selected, and what a changed selection would do.

Both ask the organisation and the store of the two connections in the environment or, without them,
the demo's. Nothing is changed at either end.

    make fields ARGS="contact --all"
    make plan
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext

from embedded import PROJECT, Embedded, NotStartedError, given_connections


def main() -> int:
    """Start what is needed and let the report be printed; returns its exit code."""
    demo = Embedded(PROJECT / ".demo")
    environment = demo.environment(OPPORTUNITY_SYNC_DEMO=str(demo.state))
    try:
        demo.migrate(environment)
        with nullcontext() if given_connections() else demo.sandbox():
            command = [sys.executable, str(PROJECT / "scripts" / "fields_report.py"), *sys.argv[1:]]
            return subprocess.run(command, env=environment, check=False).returncode
    except NotStartedError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
