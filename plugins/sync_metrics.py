"""Sends the sync's metrics the way that Airflow sends its own: StatsD, OpenTelemetry, or nowhere.

Airflow has set that up in a task's process. docs/metrics.md lists the names. A dashboard that is
away fails no run.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.sdk.observability.stats import gauge, incr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opportunity_sync.pipeline.telling.metrics import Metric

log = logging.getLogger(__name__)


def send_metrics(metrics: Iterable[Metric]) -> None:
    """Add to counters, and set gauges; whatever fails here is only logged."""
    try:
        for metric in metrics:
            if metric.kind == "counter":
                incr(metric.name, int(metric.value))
            else:
                gauge(metric.name, metric.value)
    except Exception:  # any backend, any reason
        log.warning("The run's metrics can't be sent.", exc_info=True)
