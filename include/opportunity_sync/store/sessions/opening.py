"""Opening the store: what is set up wrong is told apart from what heals.

Before a session stands there is no SQLSTATE: libpq and the resolver give a text, and PostgreSQL's
own refusal is part of it. Only what is known to heal (a server that starts, no free connection, a
network that is away) is tried again; all else waits for a person. A SQLite file is opened by its
path, so its folder and rights can be looked at. What nobody else shall read is made for its owner.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from opportunity_sync.errors import ConfigError, StoreUnavailableError, SyncError
from opportunity_sync.store.sessions.wiping import wipe_secret

if TYPE_CHECKING:
    from pathlib import Path

_DOWN = "check that the store's database runs and can be reached; the store stays as it was."
_ACCESS = "let the store's role log in from this machine (pg_hba.conf, ALTER ROLE ... LOGIN)."
_LOGIN = "check host, port, database, login and password of the store's connection."
_HOST = "check the host of the store's connection: no address is known by that name."
_TLS = "check sslmode and the certificates in the extras of the store's connection."
_OPTIONS = "correct the extras of the store's connection."

# The network's own words for what passes, as the operating system puts them.
_PASSING = tuple(
    os.strerror(code)
    for code in (
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.ETIMEDOUT,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EPIPE,
        errno.EADDRNOTAVAIL,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EAGAIN,
    )
)
_NO_SOCKET = f"on socket .*{re.escape(os.strerror(errno.ENOENT))}"  # of a server that is down
_HEALS = re.compile(
    r"starting up|shutting down|not (yet )?accepting|recovery mode|crash|too many (clients|connec"
    r"|users)|connection slots|no more connections|server login has been|query_wait_timeout|standby"
    r"|session is (not )?read-|timeout expired|timed out|login_timeout|closed the connection"
    r"|terminating connection|could not (receive|send) data|unexpected eof|EOF detected"
    r"|SSL SYSCALL|Temporary failure|Try again|"
    + "|".join([_NO_SOCKET, *map(re.escape, _PASSING)]),
    re.IGNORECASE,
)
# Of what a person must mend: which words lead to which advice; the first that fits counts.
_ADVICE: tuple[tuple[str, str], ...] = (
    (r"pg_hba|not permitted to log in", _ACCESS),
    (r"authentication|role .* does not exist|database .* does not exist|password", _LOGIN),
    (r"resolve|Name or service|nodename|hostname", _HOST),
    (r"ssl|certificate|tls|private key", _TLS),
    (r"invalid port", _LOGIN),
    (r"invalid|unrecognized|bad value|unsupported startup", _OPTIONS),
)


def connection_fault(error: Exception, password: str | None) -> SyncError:
    """What it means that no session with PostgreSQL came about."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Of several addresses one may have answered: its words count, not that others are away.
    answers = [line for line in lines if "FATAL" in line] or lines[:1]
    problem = _reason_of(answers[0]) if answers else type(error).__name__
    if isinstance(error, UnicodeError | ValueError):  # it can quote the connection, password too
        problem = "the connection can't be put into the form that PostgreSQL takes"
    unnamed = (re.sub(r'"[^"]*"', '""', line) for line in answers)  # names may be any words
    passing = isinstance(error, psycopg.OperationalError) and any(map(_HEALS.search, unnamed))
    kind = StoreUnavailableError if passing else ConfigError
    advice = _DOWN if passing else _advice(problem)
    said = wipe_secret(problem, password)
    return kind(f"The store can't be reached: {said}.", next_step=advice)


def _reason_of(line: str) -> str:
    """Without what psycopg and libpq say before the reason."""
    line = re.sub(r"^- host: .*?: ", "", line)
    line = re.sub(r"^connection (failed|is bad): ", "", line)
    return line.rstrip(".")


def _advice(problem: str) -> str:
    fitting = (step for words, step in _ADVICE if re.search(words, problem, re.IGNORECASE))
    return next(fitting, _LOGIN)


def private_file(path: Path) -> None:
    """Make the SQLite file for its owner alone, or take it back from everybody.

    A group that was let in (`chmod 640`) stays. SQLite gives the files beside it the same rights.

    Raises:
        ConfigError: the file can't be made or written by this user.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        _close_to_others(path)
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE, errno.ENOSPC}:
            return  # passes, and SQLite says it in its own words
        step = "let its folder exist, and let the pipeline's user write folder and file."
        raise _file_fault(path, error, next_step=step) from None


def is_file_there(path: Path) -> bool:
    """Whether the SQLite file is there; one that is not is yet to be made.

    Raises:
        ConfigError: nobody can tell, or nobody could make it: its folder is not there, or this user
            may not enter it.
    """
    try:
        path.stat()
    except FileNotFoundError:
        if path.parent.is_dir():
            return False
        raise ConfigError(
            f"The folder {path.parent} is not there.",
            next_step="make it on every machine that opens the store, or correct the connection's "
            "host.",
        ) from None
    except OSError as error:
        step = "let this user enter its folder, or correct the connection's host."
        raise _file_fault(path, error, next_step=step) from None
    return True


def read_only_address(path: Path) -> str | None:
    """The address by which a user who may only read opens the SQLite file; None for others.

    While nobody has the store open, its log is not there, and such a user can't make one. Then the
    file is whole by itself, and is read as it stands.

    Raises:
        ConfigError: this user may not even read the file.
    """
    if all(os.access(each, os.W_OK, effective_ids=True) for each in (path, path.parent)):
        return None
    if is_file_there(path) and not os.access(path, os.R_OK, effective_ids=True):
        step = "let this user read the file, as one of its group (chmod 640)."
        raise _file_fault(path, PermissionError(errno.EACCES), next_step=step)
    is_open = path.with_name(f"{path.name}-wal").exists()
    return f"{path.as_uri()}?mode=ro{'' if is_open else '&immutable=1'}"


def _file_fault(path: Path, error: OSError, *, next_step: str) -> ConfigError:
    reason = os.strerror(error.errno or 0)
    return ConfigError(
        f"The store's file {path} can't be opened: {reason}{_owner(path)}.", next_step=next_step
    )


def _close_to_others(path: Path) -> None:
    for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
        if not file.exists():
            continue
        known = file.stat()
        if known.st_uid == os.getuid() and known.st_mode & stat.S_IRWXO:
            file.chmod(0o600)


def _owner(path: Path) -> str:
    """Whose the file is, or the nearest folder that there is."""
    for each in (path, *path.parents):
        with suppress(OSError):  # it is not there, or this user may not look at it
            return f" ({each} belongs to user {each.stat().st_uid}, this is user {os.geteuid()})"
    return ""
