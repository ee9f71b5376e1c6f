"""The page of metrics: every name that a run or a check sends."""

from __future__ import annotations

from opportunity_sync.pipeline.telling.metrics import METRICS, PREFIX
from page_tables import NOTICE, code, table

INTRODUCTION = f"""
Sent by the last task of every run, and by the check, the way that Airflow sends its own metrics
(`[metrics]` in Airflow's configuration), so below Airflow's own prefix too:
`airflow.{PREFIX}.run.succeeded`. `<code>` is one of [codes.md](codes.md): a code of two words is
two parts of a name.

- **OpenTelemetry** needs nothing installed: `AIRFLOW__METRICS__OTEL_ON=True`,
  `OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`.
- **StatsD** needs the package `statsd`: `AIRFLOW__METRICS__STATSD_ON=True`, `..._STATSD_HOST` and
  `..._STATSD_PORT`. Without the package Airflow logs one error and sends nothing; the image of
  `docker-compose.yaml` does not have it ([adding a package](production.md#another-package)).

A counter is added to by each run, a gauge is how things stood when it ended. Nothing is sent while
no run ends: let a dashboard raise an alarm when `run.succeeded` has not grown for
`OPPORTUNITY_SYNC_LATE_AFTER_MINUTES`. What can't be sent is logged, and fails no run.
"""


def metrics_page() -> str:
    """Every pattern of a name, its kind and what it counts."""
    rows = [(code(f"{PREFIX}.{name}"), kind, text) for name, (kind, text) in METRICS.items()]
    return "\n".join(
        ["# Metrics", NOTICE, INTRODUCTION, *table(("name", "kind", "what it is"), rows), ""]
    )
