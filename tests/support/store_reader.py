"""A reader of the store that keeps a copy by the published protocol, with the published SQL.

It knows nothing of the code: what it asks stands in `docs/reading-the-store.md`. Where its copy
is not the store in the end, the page promises too much, or a writer forgot its number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from doc_pages import DOCS, blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection, Engine

PAGE = DOCS / "reading-the-store.md"
KEYS = {
    "account": ("account_id",),
    "contact": ("contact_id",),
    "opportunity": ("opportunity_id",),
    "opportunity_contact_role": ("opportunity_id", "contact_id", "role"),
}

Rows = dict[tuple[Any, ...], dict[str, Any]]
Copy = dict[str, Rows]


def statements(number: int) -> list[str]:
    """The statements of one of the page's blocks of SQL, in their order."""
    return [each.strip() for each in blocks(PAGE, "sql")[number].split(";") if each.strip()]


NUMBER, *_ = statements(0)
ROWS = dict(zip(KEYS, statements(1), strict=True))
GONE, *_ = statements(2)
PUT_BACK = statements(3)


@dataclass
class Reader:
    """One reader with its copy."""

    engine: Engine
    seen: int = 0
    copy: Copy = field(default_factory=lambda: {name: {} for name in KEYS})
    read: int = 0

    def come(self, between: Callable[[], object] = lambda: None) -> None:
        """Read what is new, and begin again where the store went back.

        Each statement is a transaction by itself; `between` happens before each but the first.
        """
        with self.engine.connect() as connection:
            upto = connection.scalar(text(NUMBER))
            if upto is None:
                return
            if upto < self.seen:
                self.seen, self.copy = 0, {name: {} for name in KEYS}
            for name, statement in ROWS.items():
                connection.commit()
                between()
                new = _by_key(name, _rows(connection, statement, seen=self.seen, upto=upto))
                self.copy[name] |= new
                self.read += len(new)
            self.seen = upto


def public_rows(engine: Engine) -> Copy:
    """What the store holds in the four tables, in the form of a copy."""
    with engine.connect() as connection:
        return {name: _by_key(name, _rows(connection, f'SELECT * FROM "{name}"')) for name in KEYS}


def _rows(connection: Connection, statement: str, **given: int) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(text(statement), given).mappings()]


def _by_key(name: str, rows: Iterable[dict[str, Any]]) -> Rows:
    return {tuple(row[column] for column in KEYS[name]): row for row in rows}


def tells_its_rows(engine: Engine) -> bool:
    """Whether the numbers of rows that the store keeps are what counting gives."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT entity, rows FROM table_size"))
        told = {row.entity: row.rows for row in rows}
        return all(
            told.get(name, 0) == connection.scalar(text(f'SELECT count(*) FROM "{name}"'))
            for name in KEYS
            if name != "opportunity_contact_role"
        )
