"""How long changes took from Dynamics into the store: counted in classes, by run and table.

A percentile over millions of rows must not need a scan when a page asks for it. So a load counts
its rows by classes of lags, whose bounds grow by a third or so, and whoever shows figures adds the
classes of many runs up and reads median and 95 % from them.

Rows of which a lag says nothing are left out: those that a whole reading brings, and back-dated
ones, which say they were modified before the window of their run began.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import BigInteger, case, func, literal, select

from opportunity_sync.store.schema.tables import sync_run_lag
from opportunity_sync.store.statements.upsert import dialect_insert

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sqlalchemy import ColumnElement, Connection

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
    # Bounds are compared as instants: so both databases compute nothing.
    seconds = case(
        *(
            (modified_at > change.moment - timedelta(seconds=bound), literal(bound, BigInteger))
            for bound in CLASSES[:-1]
        ),
        else_=literal(CLASSES[-1], BigInteger),
    )
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
