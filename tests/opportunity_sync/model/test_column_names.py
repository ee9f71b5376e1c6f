"""Names of columns follow rules, and some are taken before anybody selects one."""

from __future__ import annotations

import pytest

from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.model.column_names import (
    describe_name,
    free_name,
    is_logical_name,
    is_store_name,
    nearest_logical_name,
    nearest_name,
    quote,
    reserved_columns,
    standing_columns,
)
from opportunity_sync.store.schema.tables import public_table


@pytest.mark.parametrize("name", ["a", "region", "new_region", "x1_", "select", "a" * 40])
def test_a_name_of_the_store_follows_the_rules(name: str) -> None:
    """SQL words are names like others: the store quotes them."""
    assert is_store_name(name)


@pytest.mark.parametrize("name", ["", "_a", "1a", "Region", "é", "a b", "a-b", "a\n", "a" * 41])
def test_another_name_is_none_of_the_store(name: str) -> None:
    """What one of the databases would change, cut or refuse is refused before."""
    assert not is_store_name(name)


@pytest.mark.parametrize(
    ("name", "likely", "meaning"),
    [
        ("_new_region_value", "new_region", "the Web API's name of a lookup"),
        ("Estimated Close Date", "estimatedclosedate", "a display name"),
        ("new_Region", "new_region", "a schema name"),
        ("new-region", None, None),
        ("", None, None),
        ("a" * 129, None, None),
        ("new_region\n", "new_region", "a display name"),
    ],
)
def test_what_is_no_logical_name_is_answered_with_the_likely_one(
    name: str, likely: str | None, meaning: str | None
) -> None:
    """Other names of a column are told apart from what is none at all."""
    assert not is_logical_name(name)
    assert (likely, meaning) == (nearest_logical_name(name), describe_name(name))


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("Sales Stage", "salesstage", "sales_stage"),
        ("2nd Región!", "x", "nd_region"),
        ("region", "new_region", "new_region"),
        ("region", "New_Region", "region_2"),
        ("area", "region", "area_2"),
        ("", "", "column"),
        ("x" * 50, "", "x" * 40),
        ("city", "", "city_3"),
    ],
)
def test_a_free_name_is_like_the_wanted_one(name: str, source: str, expected: str) -> None:
    """The name made valid, else the source's, else a numbered one: none may meet a taken column."""
    taken = {"region", "area_id", "city", "city_2_labels"}

    assert free_name(name, source, taken) == expected


def test_a_numbered_name_is_never_too_long() -> None:
    """It loses letters for its number."""
    taken = {"x" * 40} | {"x" * 38 + f"_{number}" for number in range(2, 10)}

    assert free_name("x" * 40, "", taken) == "x" * 37 + "_10"


@pytest.mark.parametrize("name", [entity.name for entity in DEFAULT_MODEL.public])
def test_the_columns_that_stand_are_those_of_a_table_without_selected_ones(name: str) -> None:
    """The list agrees with the table that the store makes; `revision` is in every one."""
    entity = DEFAULT_MODEL[name]
    selected = {column.name for field in entity.fields for column in field.columns}
    in_store = {column.name for column in public_table(entity).columns} | {"revision"}
    standing = set(standing_columns(entity))

    assert in_store - selected <= standing
    assert standing <= in_store


def test_no_field_may_become_what_a_database_or_the_sync_has() -> None:
    """System columns of both databases, the key, book-keeping, facts, and the currency."""
    reserved = reserved_columns(DEFAULT_MODEL["contact"])

    assert {"xmin", "ctid", "oid", "rowid", "contact_id", "account_id"} <= reserved.keys()
    assert {"owner_type", "version_number", "parent_id", "currency_id"} <= reserved.keys()
    assert reserved.keys().isdisjoint({"customer_id", "email", "person_status_code"})


def test_the_nearest_name_is_looked_for_whatever_the_case() -> None:
    """What is like none has no nearest name, and a very long one costs nothing."""
    known = ["stage", "description"]

    assert nearest_name("Desciption", known) == "description"
    assert nearest_name("x", known) is None
    assert nearest_name("stage" * 100_000, known) is None


def test_a_name_is_shown_without_what_a_terminal_would_obey() -> None:
    """It is one line of 60 visible characters at most."""
    assert quote("a\x1b[31m\nb\u202ec") == '"a[31m bc"'
    assert quote("x" * 61) == f'"{"x" * 60}…"'
