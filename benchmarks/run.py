"""`make bench`: the door to the benchmark (`command`).

Measured processes import this file as their main module, so nothing is imported here that they
would then carry in their memory.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

if __name__ == "__main__":
    # The PostgreSQL that tests run on serves here as well.
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "support"))

    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")

    from command import main

    sys.exit(main())
