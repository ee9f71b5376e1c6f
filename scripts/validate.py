"""`make validate`: is everything set up so that the sync can run?

It asks the organisation and the store of the two connections in the environment or, without them,
the demo's. Nothing is changed but the result of the last check, in the store.
"""

from __future__ import annotations

import subprocess
import sys

from embedded import PROJECT, Embedded, NotStartedError
from selected_fields import organisation


def main() -> int:
    """Start what is needed and let the report be printed; returns its exit code."""
    demo = Embedded(PROJECT / ".demo")
    environment = demo.environment(OPPORTUNITY_SYNC_DEMO=str(demo.state))
    command = [sys.executable, str(PROJECT / "scripts" / "validate_report.py"), *sys.argv[1:]]
    try:
        demo.migrate(environment)
        with organisation(demo):
            return subprocess.run(command, env=environment, check=False).returncode
    except NotStartedError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
