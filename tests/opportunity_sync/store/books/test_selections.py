"""A selection that changes is told by name, one that goes back to an earlier one as that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from opportunity_sync.store.books.selections import SelectionChange, note_selection
from opportunity_sync.store.books.state import claim_organization
from opportunity_sync.store.schema.tables import sync_store
from store_rows import guid, later

if TYPE_CHECKING:
    from sqlalchemy import Engine


def note(engine: Engine, letters: str, minutes: int) -> SelectionChange | None:
    """Select a field for each letter, so many minutes after noon."""
    with engine.begin() as connection:
        fields = [f"contact.{letter}" for letter in letters]
        return note_selection(connection, letters, fields, moment=later(minutes))


def claim(engine: Engine) -> None:
    """Make the store somebody's."""
    with engine.begin() as connection:
        claim_organization(connection, guid(1))


def test_a_change_names_what_came_and_what_went(engine: Engine) -> None:
    """The first selection is no change, nor is the same one again."""
    claim(engine)
    assert [note(engine, "ab", 0), note(engine, "ab", 5)] == [None, None]
    expected = SelectionChange(added=("contact.c",), stopped=("contact.a",))
    assert note(engine, "bc", 10) == expected


def test_a_selection_that_goes_back_within_an_hour_is_told_as_that(engine: Engine) -> None:
    """Later it is a change like any other."""
    claim(engine)
    note(engine, "a", 0)
    note(engine, "b", 60)
    assert note(engine, "a", 119) == SelectionChange(("contact.a",), ("contact.b",), is_return=True)
    assert note(engine, "b", 120) == SelectionChange(("contact.b",), ("contact.a",), is_return=True)
    assert note(engine, "a", 182) == SelectionChange(("contact.a",), ("contact.b",))


def test_a_store_that_is_nobody_s_remembers_nothing(engine: Engine) -> None:
    """Whoever begins first may never load."""
    assert note(engine, "a", 0) is None
    claim(engine)
    assert note(engine, "b", 5) is None


def test_another_time_zone_is_another_selection_of_the_same_fields(engine: Engine) -> None:
    """What an earlier version noted had none, and an upgrade is no change."""
    claim(engine)
    note_read_by(engine, {})
    with engine.begin() as connection:
        stored = connection.scalar(select(sync_store.c.selections)) or ""
        before = stored.replace(', "read_by": {}', "")
        connection.execute(update(sync_store).values(selections=before))
    assert "read_by" not in before

    assert note_read_by(engine, {"time zone": "UTC"}) is None
    assert note_read_by(engine, {"time zone": "Europe/Berlin"}) == SelectionChange(
        (), (), otherwise=("time zone Europe/Berlin",)
    )
    back = note_read_by(engine, {"time zone": "UTC"})
    assert back == SelectionChange((), (), otherwise=("time zone UTC",), is_return=True)


def note_read_by(engine: Engine, read_by: dict[str, str]) -> SelectionChange | None:
    """Select the same field, read by these settings."""
    with engine.begin() as connection:
        return note_selection(connection, "a", ["contact.a"], moment=later(0), read_by=read_by)
