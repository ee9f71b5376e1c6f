"""Values keep their meaning on both databases, and are readable text where SQLite has no type."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Column, MetaData, Table, insert, select

from opportunity_sync.model import Kind
from opportunity_sync.store.schema.types import STORED_AS

if TYPE_CHECKING:
    from sqlalchemy import Engine

VALUES: dict[Kind, list[Any]] = {
    Kind.TEXT: ["", "Zoë"],
    Kind.INTEGER: [0, -(2**63), 2**63 - 1],
    Kind.DECIMAL: [Decimal("12.50"), Decimal("-0.0000000001")],
    Kind.MONEY: [Decimal("100000000000.0001"), Decimal(0)],
    Kind.DOUBLE: [0.1, -1.7976931348623157e308],
    Kind.BOOLEAN: [True, False],
    Kind.INSTANT: [datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)],
    Kind.LOCAL_TIME: [datetime(2024, 3, 31, 2, 30)],  # noqa: DTZ001 - of no zone
    Kind.DATE: [date(2024, 2, 29), date(1, 1, 1)],
    Kind.GUID: ["00000001-0000-4000-8000-000000000000"],
}


def stored(engine: Engine, kind: Kind, *values: Any) -> tuple[list[Any], list[Any]]:
    """The values as they are read back, and what the database itself says it has."""
    table = Table(
        "value",
        MetaData(),
        Column("at", STORED_AS[Kind.INTEGER], primary_key=True),
        Column("value", STORED_AS[kind]),
        prefixes=["TEMPORARY"],
    )
    with engine.connect() as connection:
        table.create(connection)
        rows = [{"at": at, "value": value} for at, value in enumerate(values)]
        connection.execute(insert(table), rows)
        read = connection.scalars(select(table.c.value).order_by(table.c.at)).all()
        raw = connection.exec_driver_sql('SELECT "value" FROM value ORDER BY "at"').scalars()
        return list(read), list(raw)


@pytest.fixture(params=["sqlite_engine", "shared_postgres_store"])
def database(request: pytest.FixtureRequest) -> Engine:
    """A database, of which only temporary tables are used."""
    engine: Engine = request.getfixturevalue(request.param)
    return engine


@pytest.mark.parametrize("kind", VALUES, ids=str)
def test_a_value_is_read_as_it_was_written(database: Engine, kind: Kind) -> None:
    """With its own Python type; null is null of every kind."""
    given = [*VALUES[kind], None]
    read, _ = stored(database, kind, *given)
    assert given == read
    assert [type(value) for value in given] == [type(value) for value in read]


def test_every_kind_of_a_stored_column_has_a_type() -> None:
    """Choices and lookups become columns of these."""
    several = {Kind.CHOICE, Kind.CHOICES, Kind.LOOKUP}
    assert STORED_AS.keys() == set(Kind) - several
    assert STORED_AS.keys() == VALUES.keys()


def test_an_instant_of_another_zone_is_stored_as_utc(database: Engine) -> None:
    """Whatever zone it came with."""
    rome = datetime(2024, 5, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    read, _ = stored(database, Kind.INSTANT, rome)
    assert read == [datetime(2024, 4, 30, 23, 30, tzinfo=UTC)]
    assert read[0].tzinfo is UTC


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.INSTANT, datetime(2024, 2, 3, 4, 5, 6, 999_999, tzinfo=UTC), "2024-02-03T04:05:06Z"),
        (Kind.LOCAL_TIME, datetime(2024, 2, 3, 4, 5, 6, 999_999), "2024-02-03T04:05:06"),  # noqa: DTZ001 - of no zone
        (Kind.DATE, date(987, 2, 3), "0987-02-03"),
        (Kind.MONEY, Decimal("1E+3"), "1000"),
        (Kind.DECIMAL, Decimal("1E-10"), "0.0000000001"),
        (Kind.DECIMAL, Decimal("12.50"), "12.50"),
        (Kind.BOOLEAN, True, 1),
    ],
)
def test_sqlite_holds_the_published_text(
    sqlite_engine: Engine, kind: Kind, value: Any, text: Any
) -> None:
    """It sorts as the values do, and decimals have neither exponent nor rounding."""
    _, raw = stored(sqlite_engine, kind, value)
    assert raw == [text]
