"""A store that can't be opened: what a person set up wrong is told apart from what heals."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from traceback import format_exception
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import make_url

from opportunity_sync.errors import ConfigError, StoreUnavailableError, SyncError
from opportunity_sync.store.sessions.engine import store_engine
from opportunity_sync.store.sessions.lock import read_store, writing
from opportunity_sync.store.sessions.opening import connection_fault, is_file_there
from opportunity_sync.store.upgrade.migrate import migrate
from other_users import reachable_folder, without_roots_rights

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "s3cret/+ word"


def error_of(act: Callable[[], object]) -> SyncError:
    """What it raises, whose print must not hold the secret."""
    with pytest.raises(SyncError) as caught:
        act()
    printed = "".join(format_exception(caught.value))
    for form in (SECRET, "s3cret"):
        assert form not in printed
    return caught.value


def open_store(url: str, **changes: Any) -> SyncError:
    """The error of opening the store with another address."""
    query = changes.pop("query", {})
    address = make_url(url).set(**changes).update_query_dict(query)
    return error_of(lambda: migrate(store_engine(address)))


@pytest.mark.parametrize(
    ("changes", "words", "advice"),
    [
        ({"username": "nobody"}, 'role "nobody" does not exist', "login"),
        ({"database": "no_such_database"}, "does not exist", "database"),
        ({"port": 99_999}, "invalid port number", "port"),
        ({"host": "a..b"}, "can't be put into the form", "host"),
        ({"query": {"sslmode": "requre"}}, 'invalid sslmode value: "requre"', "sslmode"),
        ({"query": {"sslmode": "require"}}, "SSL was required", "sslmode"),
        ({"query": {"options": "-c nope=1"}}, "unrecognized configuration", "extras"),
        ({"query": {"target_session_attrs": "x"}}, "invalid target_session_attrs", "extras"),
        ({"query": {"connect_timeout": "abc"}}, "can't be put|bad value", "extras"),
    ],
)
def test_what_a_person_must_mend_is_said_at_once(
    postgres: str, changes: dict[str, Any], words: str, advice: str
) -> None:
    """Each with its reason and the part of the connection that it is about."""
    error = open_store(postgres, **changes)
    assert isinstance(error, ConfigError)
    assert pytest.RaisesExc(ConfigError, match=words).matches(error)
    assert advice in error.next_step


def test_a_role_that_may_not_log_in_is_a_setting_to_mend(postgres: str) -> None:
    """Though its password is right."""
    with store_engine(postgres).begin() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS barred")
        connection.exec_driver_sql("CREATE ROLE barred NOLOGIN PASSWORD 'x'")
    error = open_store(postgres, username="barred", password=SECRET)
    assert isinstance(error, ConfigError)
    assert "not permitted to log in" in str(error)
    assert "LOGIN" in error.next_step


def test_a_role_without_a_free_connection_is_tried_again(postgres: str) -> None:
    """Connections become free by themselves."""
    with store_engine(postgres).begin() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS crowded")
        connection.exec_driver_sql("CREATE ROLE crowded LOGIN PASSWORD 'x' CONNECTION LIMIT 0")
    error = open_store(postgres, username="crowded", password=SECRET)
    assert isinstance(error, StoreUnavailableError)
    assert "too many connections" in str(error)


def test_a_server_that_is_down_can_be_tried_again(postgres: str) -> None:
    """The message says what to do."""
    error = open_store(postgres, port=1, password=SECRET)
    assert isinstance(error, StoreUnavailableError)
    assert "can be reached" in error.next_step


def test_a_server_that_never_answers_is_given_up(postgres: str) -> None:
    """It takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        error = open_store(postgres, port=port, query={"connect_timeout": "2"})
    assert isinstance(error, StoreUnavailableError)


@pytest.mark.parametrize(
    "said",
    [
        'connection failed: connection to server at "h", port 5432 failed: FATAL:  ' + each
        for each in (
            "the database system is starting up",
            "the database system is shutting down",
            "the database system is in recovery mode",
            "the database system is not yet accepting connections",
            "sorry, too many clients already",
            "remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "terminating connection due to administrator command",
            "server login has been failing, try again later (server_login_retry)",
        )
    ]
    + [
        "connection failed: server closed the connection unexpectedly",
        "connection failed: connection to server failed: session is read-only",
        "connection failed: could not receive data from server: Connection reset by peer",
        "failed to resolve host 'h': [Errno -3] Temporary failure in name resolution",
        "connection failed: connection to server failed: No route to host",
        'connection is bad: server on socket "/run/x" failed: No such file or directory',
        "connection is bad: SSL SYSCALL error: EOF detected",
        "connection timeout expired",
    ],
)
def test_what_passes_is_tried_again(said: str) -> None:
    """A server that starts, one that is full, a network that is away."""
    error = connection_fault(psycopg.OperationalError(said), None)
    assert isinstance(error, StoreUnavailableError)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "u", no encryption', "pg_hba"),
        ('FATAL:  pg_hba.conf rejects connection for host "1.2.3.4"', "pg_hba"),
        ('FATAL:  password authentication failed for user "u"', "login"),
        ("SSL error: certificate verify failed", "certificates"),
        ('root certificate file "/no/such" does not exist', "certificates"),
        ("failed to resolve host 'h': [Errno -2] Name or service not known", "host"),
        ('could not open certificate file "/x": No such file or directory', "certificates"),
        ('connection to server on socket "/x" failed: Permission denied', "host"),
        ('FATAL:  database "crash timed out" does not exist', "database"),
        ('FATAL:  invalid value for parameter "statement_timeout": "abc"', "extras"),
        ("fe_sendauth: no password supplied", "password"),
        ("something that nobody has ever seen", "connection"),
    ],
)
def test_what_is_not_known_to_heal_waits_for_a_person(said: str, advice: str) -> None:
    """The default for the unknown is not that it passes."""
    line = f'connection failed: connection to server at "h", port 5432 failed: {said}'
    error = connection_fault(psycopg.OperationalError(line), None)
    assert isinstance(error, ConfigError)
    assert advice in error.next_step


def test_of_several_addresses_the_one_that_answered_counts() -> None:
    """A name can have two, of which one is away and the other refuses."""
    lines = (
        "connection failed: Connection refused",
        "Multiple connection attempts failed. All failures were:",
        "- host: 'h', port: 5, hostaddr: '::1': failed: FATAL:  database \"d\" does not exist",
        "- host: 'h', port: 5, hostaddr: '127.0.0.1': failed: Connection refused",
    )
    error = connection_fault(psycopg.OperationalError("\n".join(lines)), None)
    assert isinstance(error, ConfigError)
    assert 'database "d" does not exist' in str(error)


def test_a_sqlite_store_is_its_owner_s_alone(sqlite_url: str) -> None:
    """The file and those that SQLite puts beside it, whatever the process makes otherwise."""
    before = os.umask(0o000)
    try:
        engine = store_engine(sqlite_url)
        migrate(engine)
        with writing(engine) as connection:
            connection.exec_driver_sql("DELETE FROM sync_state")
            file = Path(str(engine.url.database))
            beside = sorted(file.parent.glob(f"{file.name}*"))
            assert len(beside) == 3
            assert {each.stat().st_mode & 0o777 for each in beside} == {0o600}
    finally:
        os.umask(before)


@pytest.mark.parametrize(("mode", "expected"), [(0o644, 0o600), (0o666, 0o600), (0o640, 0o640)])
def test_a_sqlite_store_that_others_can_read_is_taken_back(
    sqlite_url: str, mode: int, expected: int
) -> None:
    """Versions before made it for everybody; a group that was let in stays."""
    engine = store_engine(sqlite_url)
    migrate(engine)
    file = Path(str(engine.url.database))
    file.chmod(mode)
    with read_store(engine):
        pass
    assert expected == file.stat().st_mode & 0o777


def test_a_sqlite_file_in_a_folder_that_does_not_exist_is_a_setting_to_mend(
    tmp_path: Path,
) -> None:
    """The sentence says what is wrong and whose the nearest folder is."""
    error = open_store(f"sqlite:///{tmp_path}/no/such/folder/store.sqlite")
    assert isinstance(error, ConfigError)
    assert "No such file or directory" in str(error)
    assert f"{tmp_path} belongs to user" in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anything")
def test_a_sqlite_file_that_is_another_user_s_is_a_setting_to_mend(sqlite_url: str) -> None:
    """A file that may not be written, for whatever reason."""
    engine = store_engine(sqlite_url)
    migrate(engine)
    Path(str(engine.url.database)).chmod(0o400)
    error = open_store(sqlite_url)
    assert isinstance(error, ConfigError)
    assert "Permission denied" in str(error)


def test_a_folder_is_no_sqlite_file(tmp_path: Path) -> None:
    """Nothing heals there."""
    assert isinstance(open_store(f"sqlite:///{tmp_path}"), ConfigError)


def test_a_sqlite_store_in_memory_needs_no_file() -> None:
    """Nothing is made on the disk for it."""
    with read_store(store_engine("sqlite://")) as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_who_may_not_enter_the_folder_is_told_so() -> None:
    """Nobody can say whether the file is there: that is a setting to mend, and no fault of ours."""
    with reachable_folder() as folder:
        path = folder / "closed" / "store.sqlite"
        path.parent.mkdir()
        path.parent.chmod(0)
        with without_roots_rights():
            errors = [
                error_of(lambda: is_file_there(path)),
                open_store(f"sqlite:///{path}"),
                error_of(lambda: is_file_there(path.with_name("a" * 300))),
            ]
    assert {type(error) for error in errors} == {ConfigError}
    assert "Permission denied" in str(errors[0])


@pytest.mark.parametrize("is_in_use", [True, False])
def test_who_may_only_read_the_file_reads_it(*, is_in_use: bool) -> None:
    """Whether somebody else has the store open or not; nothing is made beside the file."""
    with reachable_folder() as folder, ExitStack() as stack:
        writer = store_engine(f"sqlite:///{folder}/store.sqlite")
        migrate(writer)
        if is_in_use:
            connection = stack.enter_context(writer.connect())
            connection.exec_driver_sql("UPDATE opportunity_sync_version SET version_num = 'x'")
            connection.commit()
        for each in folder.iterdir():
            each.chmod(0o444)
        folder.chmod(0o555)
        before = sorted(each.name for each in folder.iterdir())
        with (
            without_roots_rights(),
            read_store(store_engine(writer.url, is_reader=True)) as connection,
        ):
            version = connection.exec_driver_sql("SELECT * FROM opportunity_sync_version").scalar()
        assert before == sorted(each.name for each in folder.iterdir())
    assert is_in_use == (version == "x")


def test_who_may_not_even_read_the_file_is_told_so() -> None:
    """It does not heal by waiting."""
    with reachable_folder() as folder:
        path = folder / "store.sqlite"
        path.touch(mode=0o000)
        with without_roots_rights():
            reader = store_engine(f"sqlite:///{path}", is_reader=True)
            error = error_of(lambda: read_store(reader).__enter__())
    assert isinstance(error, ConfigError)
    assert "chmod 640" in error.next_step
