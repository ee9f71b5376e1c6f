"""One program at a time in a folder: a second `make ui` would overwrite the first one's state.

The lock is a file that the program holds open, and its services with it: so it is free as soon as
the last of them is gone, whichever way they ended.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from embedded import NotStartedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from embedded import Embedded


@contextmanager
def only_one(folder: Path, *, program: str, otherwise: str) -> Iterator[IO[str]]:
    """Hold the folder's lock; the file tells a second program what the first says of itself."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds logins, rows and logs
    with (folder / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            said = " ".join(lock.read().split())
            raise NotStartedError(
                f"{program} runs already in {folder}{said and f' ({said})'}.\n{otherwise}"
            ) from None
        say(lock, f"process {os.getpid()}")
        yield lock


@contextmanager
def demo_alone(demo: Embedded) -> Iterator[None]:
    """Say that no connection is there, so that the demo is meant, and hold its folder's lock."""
    about = f"the rows of {demo.rows}" if demo.rows else "the demo"
    print(f"No connection in the environment: this is about {about}.\n", flush=True)
    with only_one(demo.folder, program="The demo", otherwise="Wait until it has ended."):
        yield


def say(lock: IO[str], words: str) -> None:
    """What a second program is told of this one."""
    lock.seek(0)
    lock.truncate()
    lock.write(words)
    lock.flush()
