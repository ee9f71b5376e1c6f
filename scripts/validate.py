"""`make validate`: is everything set up so that the sync can run?

It asks the organisation and the store of the two connections in the environment or, without them,
the demo's. Nothing is changed but the result of the last check, in the store.
"""

from __future__ import annotations

import sys

from embedded import PROJECT
from selected_fields import print_report

if __name__ == "__main__":
    sys.exit(print_report(str(PROJECT / "scripts/validate_report.py")))
