"""Rows reach the tables byte for byte, whatever people typed into Dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Table, Text, delete, select

from opportunity_sync.model import ACCOUNT
from opportunity_sync.store.schema.tables import public_table
from opportunity_sync.store.schema.types import Identifier
from opportunity_sync.store.statements.bulk import append_rows, staged_table, temporary_table
from store_rows import NOON, guid, part, write

if TYPE_CHECKING:
    from sqlalchemy import Engine

ACCOUNTS = public_table(ACCOUNT)
AWKWARD = [
    "",
    " ",
    '"',
    '""',
    "'",
    ",",
    "\\",
    "\\.",
    "\n\\.\n",
    "\\N",
    "NULL",
    "null",
    "NaN",
    "None",
    "line\nline",
    "line\r\nline",
    "\r",
    "\t",
    "a,b;c|d",
    "Ünïcödé 漢字 עברית",
    "👩‍👩‍👧 🇪🇺",
    "e\u0301",
    "\ufeffbom",
    "\u2028\x85\x0b",
    "%s %(name)s :name ? {}",
    "'; DROP TABLE account; --",
    "\x01\x7f\ufffd",
]
# What a decoder hands on: no U+0000, no lone surrogates.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize("straight", [True, False], ids=["first load", "later load"])
def test_awkward_texts_survive(engine: Engine, straight: bool) -> None:
    """Quotes, line breaks, COPY's own marks, words for nothing: each comes back as it was."""
    if not straight:
        write(engine, ACCOUNT, {"id": 999_999})
    write(engine, ACCOUNT, *({"id": i, "company": text} for i, text in enumerate(AWKWARD)))
    with engine.connect() as connection:
        found = dict(connection.execute(select(ACCOUNTS.c.account_id, ACCOUNTS.c.company)).all())
    assert {guid(i): text for i, text in enumerate(AWKWARD)} == {
        key: text for key, text in found.items() if key != guid(999_999)
    }


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(st.none() | TEXTS, st.none() | TEXTS | st.sampled_from(AWKWARD))))
def test_any_text_survives(engine: Engine, rows: list[tuple[str | None, str | None]]) -> None:
    """Nulls stay nulls, empty texts stay empty, everything else is equal to the byte."""
    given_rows = [
        {"id": i, "company": company, "company_notes": notes}
        for i, (company, notes) in enumerate(rows)
    ]
    with engine.begin() as connection:
        connection.execute(delete(ACCOUNTS))
        columns = ["account_id", "version_number", "company", "company_notes"]
        staged = part(ACCOUNT, *given_rows).select(columns)
        stamp = pa.array([NOON] * len(rows), pa.timestamp("us", tz="UTC"))
        append_rows(connection, ACCOUNTS, staged.append_column("synced_at", stamp))
        wanted = select(ACCOUNTS.c.company, ACCOUNTS.c.company_notes)
        found = connection.execute(wanted.order_by(ACCOUNTS.c.account_id)).all()
    assert rows == [tuple(row) for row in found]


def test_more_rows_than_one_chunk_holds_arrive_once(engine: Engine) -> None:
    """Large parts are written piece by piece."""
    table = temporary_table("many", Column("id", Identifier), Column("note", Text), searched=["id"])
    numbers = range(12_345)
    rows = pa.table({"id": [guid(n) for n in numbers], "note": [str(n) for n in numbers]})
    with engine.connect() as connection, staged_table(connection, table) as many:
        append_rows(connection, many, rows)
        found = connection.execute(select(many).order_by(many.c.id)).all()
        connection.execute(delete(many))
    assert [(guid(n), str(n)) for n in numbers] == [tuple(row) for row in found]


def test_column_names_are_quoted(engine: Engine) -> None:
    """A custom field may be called like a word of SQL."""
    odd = Table("odd", MetaData(), Column("order", Text), Column("Mixed Case", Text))
    with engine.begin() as connection:
        odd.create(connection)
        append_rows(connection, odd, pa.table({"order": ["a"], "Mixed Case": ["b"]}))
        assert connection.execute(select(odd)).one() == ("a", "b")


def test_a_temporary_table_is_gone_afterwards(engine: Engine) -> None:
    """Its name can be used again in the same transaction."""
    short_lived = temporary_table("short_lived", Column("id", Identifier), searched=["id"])
    with engine.begin() as connection:
        for _ in range(2):
            with staged_table(connection, short_lived) as table:
                append_rows(connection, table, pa.table({"id": [guid(1)]}))
                assert connection.execute(select(table)).all() == [(guid(1),)]
