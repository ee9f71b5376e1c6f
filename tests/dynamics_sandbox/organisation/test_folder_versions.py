"""A folder that is served again goes on where it was: changes and deletions have versions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.exports.export_folder import read_folder
from dynamics_sandbox.organisation.folder_versions import organisation_of

if TYPE_CHECKING:
    from pathlib import Path

    from dynamics_sandbox import Organisation

FIRST = "c0000000-0000-0000-0000-000000000001"
SECOND = "c0000000-0000-0000-0000-000000000002"
THIRD = "c0000000-0000-0000-0000-000000000003"


def served(path: Path, *rows: dict[str, Any]) -> Organisation:
    """The organisation of a folder with these contacts, its memory beside them."""
    folder = path / "rows"
    folder.mkdir(exist_ok=True)
    (folder / "contacts.json").write_text(json.dumps({"value": rows}))
    return organisation_of(read_folder(folder), path / "memory.json", identity="same")


def versions(organisation: Organisation) -> dict[str, int]:
    """The version of each contact."""
    return {row["contactid"]: row["versionnumber"] for row in organisation.rows("contacts")}


def a_contact(row_id: str, day: int, **columns: Any) -> dict[str, Any]:
    """A contact of a day in January."""
    return {"contactid": row_id, "modifiedon": f"2026-01-{day:02}T00:00:00Z", **columns}


def test_an_unchanged_folder_gives_the_same_organisation(tmp_path: Path) -> None:
    """Nothing is told to a client that asks for changes."""
    rows = [a_contact(FIRST, 1), a_contact(SECOND, 2)]
    before, after = served(tmp_path, *rows), served(tmp_path, *rows)
    assert versions(before) == versions(after)
    assert before.version == after.version
    assert before.organisation_id == after.organisation_id


def test_changed_and_new_rows_are_newer_than_all_that_was_served(tmp_path: Path) -> None:
    """Whatever their time of modification says: people edit a value and leave that alone."""
    before = served(tmp_path, a_contact(FIRST, 5), a_contact(SECOND, 6))
    after = served(
        tmp_path, a_contact(FIRST, 5, firstname="Ada"), a_contact(SECOND, 6), a_contact(THIRD, 1)
    )
    found = versions(after)
    assert found[SECOND] == versions(before)[SECOND]
    assert min(found[FIRST], found[THIRD]) > before.version
    assert found[FIRST] != found[THIRD]


def test_versions_of_the_export_are_kept_where_they_are_newer(tmp_path: Path) -> None:
    """A second export of a live organisation brings its own."""
    before = served(tmp_path, a_contact(FIRST, 5, versionnumber=70))
    newer = before.version + 500
    after = served(tmp_path, a_contact(FIRST, 6, versionnumber=newer), a_contact(SECOND, 6))
    assert versions(after)[FIRST] == newer
    assert versions(after)[SECOND] > newer


def test_a_row_that_is_gone_from_the_files_is_deleted(tmp_path: Path) -> None:
    """A tombstone tells of it, each time anew, and no more once the row is back."""
    both = [a_contact(FIRST, 1), a_contact(SECOND, 2)]
    before = served(tmp_path, *both)
    after = served(tmp_path, both[0])
    for again in (after, served(tmp_path, both[0])):
        stones = again.stores["contacts"].tombstones_between(before.version, again.version)
        assert [stone.row_id for stone in stones] == [SECOND]
    back = served(tmp_path, *both)
    assert back.stores["contacts"].tombstones_between(before.version, back.version) == []
    assert versions(back)[SECOND] > after.version


def test_the_memory_holds_no_values_and_is_its_owners(tmp_path: Path) -> None:
    """It lies beside keys and logs."""
    served(tmp_path, a_contact(FIRST, 1, firstname="Secret"))
    memory = tmp_path / "memory.json"
    assert "Secret" not in memory.read_text()
    assert memory.stat().st_mode & 0o777 == 0o600


def test_a_memory_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """The rows are served as the first time."""
    before = versions(served(tmp_path, a_contact(FIRST, 1)))
    (tmp_path / "memory.json").write_text("[]")
    assert versions(served(tmp_path, a_contact(FIRST, 1))) == before
