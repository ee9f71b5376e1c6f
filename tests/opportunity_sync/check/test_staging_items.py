"""The staging folder: written, closed to others, and the same for all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opportunity_sync.check.items import answer_all
from opportunity_sync.check.staging_items import Sighting, staging_questions

if TYPE_CHECKING:
    from pathlib import Path

SEEN = Sighting("one", is_seen=True)


def outcome(url: str, name: str, *sightings: Sighting) -> tuple[str, str | None]:
    """How an item of a staging folder ended."""
    items = {item.name: item for item in answer_all(staging_questions(url, sightings))}
    return items[name].state, items[name].code


def test_a_folder_that_can_be_written_passes_and_stays_empty(tmp_path: Path) -> None:
    """It is made if it is not there; the check's file goes again."""
    folder = tmp_path / "staging"

    assert outcome(str(folder), "staging.writable") == ("passed", None)
    assert outcome(str(folder), "staging.private") == ("passed", None)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_has_failed(tmp_path: Path) -> None:
    """Here it is a file."""
    file = tmp_path / "staging"
    file.write_text("no folder")

    assert outcome(str(file), "staging.writable") == ("failed", "staging.unwritable")


def test_staged_rows_that_everybody_may_read_are_told(tmp_path: Path) -> None:
    """A root that may be entered is no harm, as long as what is in it is closed."""
    tmp_path.chmod(0o755)
    (tmp_path / "a-dag").mkdir(mode=0o700)
    closed = outcome(str(tmp_path), "staging.private")
    (tmp_path / "a-dag").chmod(0o755)

    assert closed == ("passed", None)
    assert outcome(str(tmp_path), "staging.private") == ("failed", "staging.world_readable")


def test_who_may_read_a_bucket_is_not_decided() -> None:
    """Object stores have their own rules."""
    assert outcome("memory://bucket", "staging.private")[0] == "unknown"


def test_workers_that_see_the_same_folder_pass(tmp_path: Path) -> None:
    """As many as answered, and two at least."""
    two = (SEEN, Sighting("two", is_seen=True))

    assert outcome(str(tmp_path), "staging.shared", *two) == ("passed", None)
    assert outcome(str(tmp_path), "staging.shared", SEEN)[0] == "unknown"
    assert outcome(str(tmp_path), "staging.shared")[0] == "unknown"


def test_a_worker_that_does_not_see_it_has_failed(tmp_path: Path) -> None:
    """Its transform would find no rows."""
    blind = Sighting("two", is_seen=False)

    assert outcome(str(tmp_path), "staging.shared", SEEN, blind) == (
        "failed",
        "staging.not_shared",
    )
