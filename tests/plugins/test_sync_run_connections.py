"""Which organisation and store a run gets: both connections, the demo's, or an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from opportunity_sync.errors import ConfigError
from opportunity_sync.settings import Settings
from sync_run_connections import dynamics_connection, is_demo, store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dynamics_sandbox import Sandbox

    GiveConnection = Callable[[str, dict[str, Any]], None]

pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.mark.parametrize(
    ("present", "absent"),
    [("dynamics_default", "marketo_store"), ("marketo_store", "dynamics_default")],
)
@pytest.mark.parametrize("demo", [True, False], ids=["demo", "no demo"])
def test_one_connection_without_the_other_is_refused(
    present: str, absent: str, *, demo: bool, tmp_path: Path, give_connection: GiveConnection
) -> None:
    """Half a set-up names what is missing, whether or not the demo is asked for."""
    give_connection(present, {"conn_type": "generic"})

    with pytest.raises(ConfigError, match=f"'{present}' is there, but connection '{absent}'"):
        is_demo(Settings(demo=tmp_path if demo else None))


def test_no_connection_without_the_demo_is_refused() -> None:
    """Without connections nothing is guessed."""
    with pytest.raises(ConfigError, match="Neither connection"):
        is_demo(Settings())


def test_both_connections_win_over_the_demo(
    tmp_path: Path, sandbox: Sandbox, give_connection: GiveConnection
) -> None:
    """A demo folder left in the settings changes nothing once the connections are there."""
    give_connection("dynamics_default", sandbox.connection())
    give_connection("marketo_store", {"conn_type": "sqlite", "host": str(tmp_path / "real.sqlite")})

    with store(Settings(demo=tmp_path)) as engine:
        assert str(tmp_path / "real.sqlite") == engine.url.database


def test_the_demo_uses_its_sandbox_and_its_file(tmp_path: Path, sandbox: Sandbox) -> None:
    """Without connections the running sandbox's own description is taken."""
    description = {"connection": sandbox.connection()}
    (tmp_path / "sandbox.json").write_text(json.dumps(description), "utf-8")
    settings = Settings(demo=tmp_path)

    assert sandbox.url == dynamics_connection(settings).organization_url
    with store(settings) as engine:
        assert str(tmp_path / "marketo.sqlite") == engine.url.database


def test_a_demo_whose_sandbox_is_gone_says_how_to_start_it(tmp_path: Path) -> None:
    """The usual reason is a demo that has ended."""
    with pytest.raises(ConfigError, match="make demo"):
        dynamics_connection(Settings(demo=tmp_path))


def test_an_unreadable_connection_is_no_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow passes over what it can't parse; that must not be the demo's permission."""
    monkeypatch.setenv("AIRFLOW_CONN_DYNAMICS_DEFAULT", "{not json")

    with pytest.raises(ConfigError, match="AIRFLOW_CONN_DYNAMICS_DEFAULT can't be read"):
        is_demo(Settings(demo=tmp_path))
