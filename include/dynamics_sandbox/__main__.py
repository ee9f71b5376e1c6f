"""`python -m dynamics_sandbox`: serve an organisation until told to stop.

It writes `sandbox.json` (readable by its owner only) into the state folder when it is ready to
serve, and ends on SIGTERM, SIGINT, or, if asked to, with its parent process.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from dynamics_sandbox.organisation import Organisation
from dynamics_sandbox.server import Address, Sandbox


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dynamics_sandbox", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--folder", type=Path, help="serve the Web API JSON files of a folder")
    source.add_argument("--seed", type=int, help="serve an organisation made from this seed")
    parser.add_argument(
        "--opportunities", type=int, default=1000, help="size of the made organisation"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: loopback)"
    )
    parser.add_argument("--port", type=int, default=0, help="port (default: any free one)")
    parser.add_argument(
        "--name", action="append", default=[], help="a further host name for the certificate"
    )
    parser.add_argument(
        "--state-dir", type=Path, default=Path(".sandbox"), help="where keys and sandbox.json go"
    )
    parser.add_argument("--no-tls", action="store_true", help="serve plain http (msal refuses it)")
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="end when the parent process is gone"
    )
    return parser.parse_args()


def _organisation(arguments: argparse.Namespace) -> Organisation:
    if arguments.folder is not None:
        return Organisation.from_folder(arguments.folder)
    return Organisation.generated(seed=arguments.seed, opportunities=arguments.opportunities)


def main() -> int:
    """Serve until the end."""
    arguments = _arguments()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        organisation = _organisation(arguments)
    except ValueError as error:
        sys.stderr.write(f"There is nothing to serve: {error}\n")
        return 2
    address = Address(arguments.host, arguments.port, tuple(arguments.name))
    description = arguments.state_dir / "sandbox.json"
    arguments.state_dir.mkdir(parents=True, exist_ok=True)
    parent = os.getppid()
    with Sandbox(
        organisation, tls=not arguments.no_tls, state_dir=arguments.state_dir, address=address
    ) as sandbox:
        sandbox.write_description(description)
        counts = ", ".join(
            f"{len(store)} {name}" for name, store in organisation.stores.items() if len(store)
        )
        sys.stdout.write(
            f"Sandbox ready at {sandbox.url} with {counts}; details in {description}\n"
        )
        sys.stdout.flush()
        while not stop.wait(0.5):
            if arguments.exit_with_parent and os.getppid() != parent:
                break
    description.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
