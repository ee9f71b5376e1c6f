"""Column types that mean the same on both databases, so that every statement is written once.

PostgreSQL has instants, dates and exact decimals; SQLite has none of them. There they are text in
forms that sort and compare as the values do (`YYYY-MM-DDTHH:MM:SSZ`, without the Z where a time has
no zone, `YYYY-MM-DD`) or keep every digit (plain decimals). Reads give aware datetimes, dates and
Decimals on both.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import REAL, BigInteger, Boolean, Date, DateTime, Double, Numeric, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

from opportunity_sync.model import Kind

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

# Record ids and other machine text: byte order makes their indexes cheaper to build and search.
Identifier = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


class Instant(TypeDecorator[datetime]):
    """A UTC instant: `timestamptz`, on SQLite text to the whole second."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        native = dialect.name != "sqlite"
        return dialect.type_descriptor(DateTime(timezone=True) if native else Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).strftime(INSTANT_FORMAT)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            value = datetime.fromisoformat(value)
        return value.astimezone(UTC)  # type: ignore[no-any-return]  # drivers are untyped


class LocalTime(TypeDecorator[datetime]):
    """A date and time of no zone: `timestamp`, on SQLite text to the whole second."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(DateTime() if dialect.name != "sqlite" else Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return value.isoformat(timespec="seconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is not None and dialect.name == "sqlite":
            return datetime.fromisoformat(value)
        return value  # type: ignore[no-any-return]  # drivers are untyped


class Day(TypeDecorator[date]):
    """A date without a time: `date`, on SQLite text."""

    impl = Date
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Date() if dialect.name != "sqlite" else Text())

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        return value.isoformat() if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:
        if value is not None and dialect.name == "sqlite":
            return date.fromisoformat(value)
        return value  # type: ignore[no-any-return]  # drivers are untyped


class Money(TypeDecorator[Decimal]):
    """An exact decimal: `numeric`, on SQLite its plain decimal text."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Numeric() if dialect.name != "sqlite" else Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return format(value, "f") if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is not None and dialect.name == "sqlite":
            return Decimal(value)
        return value  # type: ignore[no-any-return]  # drivers are untyped


STORED_AS: dict[Kind, TypeEngine[Any]] = {
    Kind.TEXT: Text(),
    Kind.INTEGER: BigInteger(),
    Kind.DECIMAL: Money(),
    Kind.MONEY: Money(),
    Kind.DOUBLE: Double().with_variant(REAL(), "sqlite"),
    Kind.BOOLEAN: Boolean(),
    Kind.INSTANT: Instant(),
    Kind.LOCAL_TIME: LocalTime(),
    Kind.DATE: Day(),
    Kind.GUID: Identifier,
}
