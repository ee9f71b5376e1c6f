"""What tasks hand to each other through a folder: whole parts or none, and nothing left behind."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from opportunity_sync.errors import StagingError
from opportunity_sync.staging import RunFolder, StagingRoot

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run's folder of which nothing exists yet."""
    return RunFolder(str(tmp_path / "dag" / "run" / "attempt"))


def some_rows(*names: str) -> pa.Table:
    """A staged table."""
    return pa.table({"name": list(names), "length": [len(name) for name in names]})


def test_parts_come_back_in_order_with_their_state(folder: RunFolder) -> None:
    """A part tells how many rows it has and what was written with it."""
    folder.write_part("contact", 1, some_rows("c"), state={"next_link": None})
    folder.write_part("contact", 0, some_rows("a", "b"), state={"next_link": "https://x"})

    parts = folder.parts("contact")

    assert [(part.rows, part.state) for part in parts] == [
        (2, {"next_link": "https://x"}),
        (1, {"next_link": None}),
    ]
    assert [table.to_pylist() for table in folder.tables("contact", ["name"])] == [
        [{"name": "a"}, {"name": "b"}],
        [{"name": "c"}],
    ]


def test_a_footer_is_read_once_and_again_when_its_part_is_written_anew(folder: RunFolder) -> None:
    """On an object store each reading is a request or two; a part that was replaced counts."""
    folder.write_part("contact", 0, some_rows("a"), state={"try": 1})
    folder.write_part("contact", 1, some_rows("b"))
    [first, second] = folder.parts("contact")
    Path(second.path).write_bytes(b"not read again")

    assert folder.parts("contact") == [first, second]
    folder.write_part("contact", 0, some_rows("a", "b"), state={"try": 2})
    assert [part.rows for part in folder.parts("contact")] == [2, 1]
    folder.remove_group("contact")
    RunFolder(folder.url).write_part("contact", 1, some_rows("a", "b", "c"))
    assert [part.rows for part in folder.parts("contact")] == [3]


def test_a_group_that_nobody_wrote_has_no_parts(folder: RunFolder) -> None:
    """And one of its name deeper down is another group."""
    folder.write_part("listing/contact", 0, some_rows("a"))

    assert folder.parts("contact") == []
    assert folder.parts("listing") == []


def test_a_part_that_was_not_finished_is_not_seen(folder: RunFolder) -> None:
    """A process that dies while it writes leaves a file that nobody takes for a part."""
    folder.write_part("contact", 0, some_rows("a"))
    [part] = folder.parts("contact")
    Path(f"{part.path}.incomplete").write_bytes(Path(part.path).read_bytes()[:50])
    torn = Path(part.path).with_name("part-000001.parquet.incomplete")
    torn.write_bytes(b"PAR1")

    assert folder.parts("contact") == [part]


def test_a_part_written_again_replaces_the_first(folder: RunFolder) -> None:
    """The retry of a task that died just before it could say so."""
    for name in ("first", "second"):
        folder.write_part("contact", 0, some_rows(name))

    assert [table["name"].to_pylist() for table in folder.tables("contact")] == [["second"]]


def test_a_removed_group_is_empty_and_its_neighbours_are_not(folder: RunFolder) -> None:
    """An expired reading starts again, the others stay."""
    for group in ("contact", "account"):
        for number in range(3):
            folder.write_part(group, number, some_rows("a"))

    folder.remove_group("contact")

    assert folder.parts("contact") == []
    assert len(folder.parts("account")) == 3


def test_what_is_not_there_is_an_error_that_says_what_to_do(folder: RunFolder) -> None:
    """A worker that does not see the folder, or a run that was tidied away."""
    folder.write_part("contact", 0, some_rows("a"))
    [part] = folder.parts("contact")
    folder.remove()

    with pytest.raises(StagingError, match=r"plan\.json.*OPPORTUNITY_SYNC_STAGING_URL"):
        folder.read_json("plan.json")
    with pytest.raises(StagingError, match=r"part-000000\.parquet"):
        folder.read(part)
    folder.remove()  # twice is no harm


def test_a_new_attempt_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """Names of runs hold what no folder should."""
    root = StagingRoot(str(tmp_path))
    first = root.new_folder("dag", "scheduled__2026-03-02T08:00:00+00:00", "1")
    first.write_json("plan.json", {"try": 1})
    second = root.new_folder("dag", "scheduled__2026-03-02T08:00:00+00:00", "2")
    second.write_json("plan.json", {"try": 2})

    assert [folder.read_json("plan.json") for folder in root.folders("dag")] == [{"try": 2}]
    assert Path(second.url).parent.name == "scheduled__2026-03-02T08_00_00_00_00"


def test_only_folders_that_nobody_touched_for_long_are_removed(tmp_path: Path) -> None:
    """The rows of a failed run stay some days; those of another may be in use."""
    root = StagingRoot(str(tmp_path))
    for name, age in (("old", timedelta(days=8)), ("young", timedelta(days=6))):
        folder = root.new_folder("dag", name, "1")
        folder.write_json("plan.json", {})
        written = (NOW - age).timestamp()
        os.utime(Path(folder.url) / "plan.json", (written, written))

    assert root.remove_older_than(timedelta(days=7), NOW) == ["old"]
    assert [Path(folder.url).parent.name for folder in root.folders("dag")] == ["young"]


def test_staging_can_be_anywhere_that_fsspec_reaches() -> None:
    """Not only on a disk: the same calls, another address."""
    root = StagingRoot("memory://staging")
    folder = root.new_folder("dag", "run", "1")
    folder.write_json("plan.json", {"is": "here"})
    folder.write_part("contact", 0, some_rows("a"), state={"next_link": None})

    [found] = root.folders("dag")

    assert found.read_json("plan.json") == {"is": "here"}
    assert [part.state for part in found.parts("contact")] == [{"next_link": None}]
    assert [table["name"].to_pylist() for table in found.tables("contact")] == [["a"]]
