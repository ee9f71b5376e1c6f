"""A run as numbers for a dashboard: the same names whatever Airflow sends its metrics to.

StatsD knows names only, so the table or the code is the last part of a name. A counter is added to
at the end of each run; a gauge is how things stood then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from opportunity_sync.store.schema.tables import COUNTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from opportunity_sync.store import Alert, Figures

Kind: TypeAlias = Literal["counter", "gauge"]
PREFIX: Final = "dynamics_sync"
_SHARES: Final = {"median": 0.5, "p95": 0.95}

# By pattern: what kind it is, and what it counts.
METRICS: Final[Mapping[str, tuple[Kind, str]]] = {
    "run.succeeded": ("counter", "runs that loaded"),
    "run.failed": ("counter", "runs that did not"),
    "run.failed.<code>": ("counter", "the same by the code of what ended them"),
    "run.seconds": ("gauge", "how long the last run took"),
    "run.requests": ("gauge", "requests to Dynamics of the last run"),
    "rows.<count>.<table>": (
        "counter",
        f"rows by what became of them: {', '.join(COUNTS)}",
    ),
    "waiting.<table>": ("gauge", "rows that waited in Dynamics; 5000 means 5000 or more"),
    "freshness_seconds.<share>": (
        "gauge",
        "from a change in Dynamics to the store, of the last run that brought one: median, p95",
    ),
    "refused.<table>": ("gauge", "records that can't be taken now"),
    "unresolved": ("gauge", "associations that are not resolved now"),
    "alerts": ("gauge", "what is wrong now, as many alerts"),
    "alert.<code>": ("gauge", "1 while it is wrong, 0 once it is well again"),
    "check.<state>": ("gauge", "items of the last check that passed, failed, or are unknown"),
}


@dataclass(frozen=True, slots=True)
class Metric:
    """One number: its pattern of `METRICS`, what stands for the pattern's parts, and the value."""

    pattern: str
    value: float
    parts: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """Whether it is added up, or replaces the one before."""
        return METRICS[self.pattern][0]

    @property
    def name(self) -> str:
        """As it is sent."""
        given = iter(self.parts)
        parts = self.pattern.split(".")
        return ".".join([PREFIX, *(next(given) if part[0] == "<" else part for part in parts)])


def metrics_of_run(figures: Figures) -> Iterator[Metric]:
    """Of a run that loaded."""
    yield Metric("run.succeeded", 1)
    yield Metric("run.seconds", figures.seconds)
    yield Metric("run.requests", figures.requests)
    for table, counts in sorted(figures.counts.items()):
        for count in (count for count in COUNTS if counts[count]):
            yield Metric("rows.<count>.<table>", counts[count], (count, table))
        yield Metric("refused.<table>", figures.refused.get(table, 0), (table,))
    yield Metric("unresolved", sum(figures.unresolved.values()))
    yield from _metrics_of_times(figures)


def _metrics_of_times(figures: Figures) -> Iterator[Metric]:
    """How far the store is behind, as far as that is known."""
    for table, waiting in sorted(figures.waiting.items()):
        if waiting is not None:
            yield Metric("waiting.<table>", waiting, (table,))
    for name, share in _SHARES.items():
        lag = figures.freshness(share)
        if lag is not None:
            yield Metric("freshness_seconds.<share>", lag, (name,))


def metrics_of_failure(code: str) -> Iterator[Metric]:
    """Of a run that did not load, by the code of what ended it."""
    yield Metric("run.failed", 1)
    yield Metric("run.failed.<code>", 1, (code,))


def metrics_of_alerts(wrong: Collection[Alert]) -> Iterator[Metric]:
    """Of what is wrong now."""
    yield Metric("alerts", len(wrong))
    for code in sorted({alert.code for alert in wrong}):
        yield Metric("alert.<code>", 1, (code,))


def metrics_of_well(well: Collection[Alert]) -> Iterator[Metric]:
    """Of what is well again; sent before `metrics_of_alerts`, as a code may have other tables."""
    for code in sorted({alert.code for alert in well}):
        yield Metric("alert.<code>", 0, (code,))


def metrics_of_check(states: Collection[str]) -> Iterator[Metric]:
    """Of the states of a check's items."""
    for state in ("passed", "failed", "unknown"):
        yield Metric("check.<state>", list(states).count(state), (state,))
