"""Metrics go where Airflow's own go, and never at the cost of a run."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils, statsd_logger

from opportunity_sync.pipeline.telling.metrics import metrics_of_alerts, metrics_of_failure
from opportunity_sync.store import Alert
from sync_metrics import send_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

LATE = Alert("sync.late", "", "Late.", "look")


class Client:
    """What the package `statsd` does, which Airflow does not bring: a datagram for each number."""

    def __init__(self, host: str, port: int, prefix: str, _ipv6: bool) -> None:
        """Send to an address, all names below the prefix."""
        self.address, self.prefix = (host, port), prefix

    def incr(self, stat: str, count: int, _rate: float) -> None:
        """Send a counter."""
        self.send(f"{stat}:{count}|c")

    def gauge(self, stat: str, value: float, _rate: float, _delta: bool) -> None:
        """Send a gauge."""
        self.send(f"{stat}:{value}|g")

    def send(self, number: str) -> None:
        """Send one datagram."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(f"{self.prefix}.{number}".encode(), self.address)


class BrokenClient(Client):
    """One that fails in a way that nobody foresaw."""

    def incr(self, *_given: object) -> None:
        """Fail."""
        raise OSError("no route")


@pytest.fixture
def dashboard() -> Iterator[socket.socket]:
    """A socket that takes what is sent, as a StatsD server does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        yield receiver
    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)


def send_to(dashboard: socket.socket, client: type[Client]) -> None:
    """Let Airflow send its metrics to the dashboard by this client."""
    host, port = dashboard.getsockname()
    airflows: Any = statsd_logger

    def factory() -> Any:
        return airflows.statsd_logger.get_statsd_logger(
            stats_class=client, host=host, port=port, prefix="airflow"
        )

    stats.initialize(factory=factory, export_legacy_names=False)


def test_a_dashboard_receives_what_a_run_tells(dashboard: socket.socket) -> None:
    """Counters and gauges, through Airflow's own StatsD, as datagrams."""
    send_to(dashboard, Client)
    send_metrics([*metrics_of_failure("PrivilegeError"), *metrics_of_alerts([LATE])])

    assert [dashboard.recv(1024).decode() for _ in range(4)] == [
        "airflow.dynamics_sync.run.failed:1|c",
        "airflow.dynamics_sync.run.failed.PrivilegeError:1|c",
        "airflow.dynamics_sync.alerts:1|g",
        "airflow.dynamics_sync.alert.sync.late:1|g",
    ]


def test_a_dashboard_that_fails_is_only_logged(
    dashboard: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """The rows are in the store; nobody is woken for a number."""
    send_to(dashboard, BrokenClient)
    send_metrics(metrics_of_failure("PrivilegeError"))

    assert "The run's metrics can't be sent." in caplog.messages
