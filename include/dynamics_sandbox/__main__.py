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

from dynamics_sandbox.exports.export_folder import FolderError, read_folder
from dynamics_sandbox.exports.findings import describe_findings
from dynamics_sandbox.organisation.folder_versions import organisation_of
from dynamics_sandbox.organisation.organisation import Organisation
from dynamics_sandbox.schema.security_tables import SECURITY_TABLES
from dynamics_sandbox.server.sandbox import Address, Sandbox


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
    """What is to be served; what was found in a folder is told on the way."""
    arguments.state_dir.mkdir(parents=True, exist_ok=True)
    if arguments.folder is None:
        return Organisation.generated(seed=arguments.seed, opportunities=arguments.opportunities)
    folder = read_folder(arguments.folder)
    for line in describe_findings(folder.findings):
        print(line, file=sys.stderr)
    identity = str(arguments.folder.resolve())
    return organisation_of(folder, arguments.state_dir / "served.json", identity=identity)


def main() -> int:
    """Serve until the end."""
    arguments = _arguments()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parent = os.getppid() if arguments.exit_with_parent else None
    try:
        return _serve(_organisation(arguments), arguments, stop=stop, parent=parent)
    except FolderError as error:
        print(f"There is nothing to serve: {error}", file=sys.stderr)
    except OSError as error:
        what = f"port {arguments.port} or folder {arguments.state_dir}"
        print(f"The sandbox can't use {what}: {error.strerror}.", file=sys.stderr)
    return 2


def _serve(
    organisation: Organisation,
    arguments: argparse.Namespace,
    *,
    stop: threading.Event,
    parent: int | None,
) -> int:
    """Serve, say so, and wait for the end."""
    address = Address(arguments.host, arguments.port, tuple(arguments.name))
    description = arguments.state_dir / "sandbox.json"
    with Sandbox(
        organisation, tls=not arguments.no_tls, state_dir=arguments.state_dir, address=address
    ) as sandbox:
        sandbox.write_description(description)
        counts = ", ".join(
            f"{len(store)} {name}"
            for name, store in organisation.stores.items()
            if len(store) and name not in SECURITY_TABLES
        )
        print(f"Sandbox ready at {sandbox.url} with {counts}; details in {description}", flush=True)
        while not stop.wait(0.5):
            if parent is not None and os.getppid() != parent:
                break
    description.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
