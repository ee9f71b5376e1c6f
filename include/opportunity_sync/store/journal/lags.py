"""How long changes took from Dynamics into the store: counted in classes, by run and table.

A percentile over millions of rows must not need a scan when a page asks for it. So a load counts
its rows by classes of lags, whose bounds grow by a third or so, and whoever shows figures adds the
classes of many runs up and reads median and 95 % from them.

Rows of which a lag says nothing are left out: those that a whole reading brings, and back-dated
ones, which say they were modified before the window of their run began.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import BigInteger, func, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from opportunity_sync.store.schema.tables import sync_run_lag
from opportunity_sync.store.schema.types import INSTANT_FORMAT
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from sqlalchemy import ColumnElement, Connection
    from sqlalchemy.sql.compiler import SQLCompiler

    from opportunity_sync.store.statements.change import Change

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# Upper bounds of the classes, in seconds. The last one takes whatever is longer.
CLASSES: Final = (
    *(5, 10, 15, 20, 30, 45, 60, 80, 100, 120, 150, 180, 210, 240, 270, 300, 330, 360, 420, 480),
    *(minutes * _MINUTE for minutes in (10, 12, 15, 20, 30, 45)),
    *(hours * _HOUR for hours in (1, 2, 3, 4, 6, 8, 12, 16)),
    *(days * _DAY for days in (1, 2, 3, 5, 7, 14, 30, 90, 365, 36_500)),
)


def add_lags(
    connection: Connection,
    entity: str,
    modified_at: ColumnElement[Any],
    *is_fresh: ColumnElement[bool],
    change: Change,
) -> None:
    """Count rows by the class of their lag: from `modified_at` to the change's moment.

    `is_fresh`: which rows, beside that they were modified since the run's window began. A change
    that no run stands behind, or that has no such window, counts nothing.
    """
    if change.run is None or change.fresh_since is None:
        return
    dag_id, run_id = change.run
    insert = dialect_insert(connection)
    seconds = _LagClass(modified_at, moment=change.moment)
    of_rows = (
        select(seconds.label("seconds"))
        .where(modified_at >= change.fresh_since, *is_fresh)
        .subquery()
    )
    counted = (
        select(literal(dag_id), literal(run_id), literal(entity), of_rows.c.seconds, func.count())
        .where(of_rows.c.seconds.is_not(None))
        .group_by(of_rows.c.seconds)
    )
    statement = insert(sync_run_lag).from_select(
        ["dag_id", "run_id", "entity", "seconds", "rows"], counted
    )
    total = sync_run_lag.c.rows + statement.excluded.rows
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["dag_id", "run_id", "entity", "seconds"], set_={"rows": total}
        )
    )


class _LagClass(FunctionElement[int]):
    """The upper bound of the class that a row's lag is in, at a moment; in seconds.

    Bounds are compared as instants: so both databases compute nothing. They are written into the
    text, since forty conditions with two parameters each take longer to compile than to run.
    """

    name = "lag_class"
    type = BigInteger()
    inherit_cache = False  # the moment is part of the text

    def __init__(self, modified_at: ColumnElement[Any], *, moment: datetime) -> None:
        super().__init__(modified_at)
        self.moment = moment


@compiles(_LagClass)
def _compile_lag_class(element: _LagClass, compiler: SQLCompiler, **how: Any) -> str:
    modified_at = compiler.process(element.clauses, **how)
    bounds = ((element.moment - timedelta(seconds=bound), bound) for bound in CLASSES[:-1])
    branches = " ".join(
        f"WHEN {modified_at} > '{instant.astimezone(UTC).strftime(INSTANT_FORMAT)}' THEN {bound}"
        for instant, bound in bounds
    )
    return f"CASE {branches} ELSE {CLASSES[-1]} END"


def lag_quantile(rows: Mapping[int, int], share: float) -> float | None:
    """The lag, in seconds, that this share (0 to 1) of the rows did not exceed.

    `rows`: how many, by upper bound of their class; sums over runs will do. Within its class the
    rows are taken to lie evenly. None where there are no rows.
    """
    wanted = sum(rows.values()) * share
    passed, lower = 0, 0
    for bound in CLASSES:
        count = rows.get(bound, 0)
        if count and passed + count >= wanted:
            return lower + (bound - lower) * (wanted - passed) / count
        passed, lower = passed + count, bound
    return None
