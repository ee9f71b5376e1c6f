"""Each run has a folder of its own, and only what nobody has written to for long is removed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opportunity_sync.errors import StagingError, TransientError
from opportunity_sync.staging import RunFolder, StagingRoot

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def aged(folder: RunFolder, age: timedelta, *, but: str = "") -> None:
    """Let all files of a folder be of that age, except one."""
    for path in Path(folder.url).rglob("*"):
        if path.is_file() and path.name != but:
            moment = (NOW - age).timestamp()
            os.utime(path, (moment, moment))


def test_a_new_attempt_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """Whoever still works on the old one finds that it is gone, and not half of each."""
    root = StagingRoot(str(tmp_path))
    first = root.new_folder("dag", "scheduled__2026-03-02T08:00:00+00:00", "1")
    first.write_json("plan.json", {"try": 1})
    second = root.new_folder("dag", "scheduled__2026-03-02T08:00:00+00:00", "2")
    second.write_json("plan.json", {"try": 2})

    assert second.read_json("plan.json") == {"try": 2}
    with pytest.raises(StagingError):
        first.read_json("plan.json")
    assert Path(second.url).parent.name.startswith("scheduled__2026-03-02T08_00_00_00_00-")


@pytest.mark.parametrize(
    "names",
    [
        ("x:y", "x+y", "x_y", "X:Y"),
        (".", "..", "", "_"),
        ("a" * 300, "a" * 299 + "b"),
        ("[ab]", "a", "*", "?"),
        ("a/b", "a", "../a", "a\\b"),
        ("\u00e4", "\u00f6", "line\nbreak"),
    ],
)
def test_every_run_has_a_folder_of_its_own(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Whatever its id holds; and a new attempt of one removes nothing of another."""
    root = StagingRoot(str(tmp_path))
    for name in names:
        root.new_folder("dag", name, "1").write_json("plan.json", {"run": name})
    root.new_folder("dag", names[0], "2").write_json("plan.json", {"run": names[0]})

    plans = list(tmp_path.rglob("plan.json"))

    assert len(plans) == len(names)
    assert {plan.parent.parent.parent for plan in plans} == {plans[0].parent.parent.parent}


@pytest.mark.parametrize("days", [0, 7])
def test_only_folders_that_nobody_touched_for_long_are_removed(tmp_path: Path, days: int) -> None:
    """The age is that of the last file written, and never so short that a run could be alive."""
    root = StagingRoot(str(tmp_path / "brackets [a-z]"))
    for name, age in (("old", 8), ("young", 1), ("writing", 8)):
        folder = root.new_folder("dag", name, "1")
        folder.write_json("plan.json", {})
        folder.write_json("newest.json", {})
        aged(folder, timedelta(days=age), but="newest.json" if name == "writing" else "")
        if name == "writing":
            moment = NOW.timestamp()
            os.utime(Path(folder.url) / "newest.json", (moment, moment))

    removed = root.remove_older_than(timedelta(days=days), NOW)

    assert [name.partition("-")[0] for name in removed] == ["old"]
    left = {path.parent.parent.name.partition("-")[0] for path in tmp_path.rglob("plan.json")}
    assert left == {"young", "writing"}


def test_what_others_keep_beside_the_runs_is_left_alone(tmp_path: Path) -> None:
    """The folder that the setting names may be a share of the whole company."""
    root = StagingRoot(str(tmp_path))
    ours = root.new_folder("dag", "old", "1")
    ours.write_json("plan.json", {})
    theirs = [
        tmp_path / "reports" / "2024" / "sales.csv",
        tmp_path / "reports-2024" / "sales-0123" / "sales.csv",
        Path(ours.url).parent.parent / "notes" / "sales.csv",
    ]
    for path in theirs:
        path.parent.mkdir(parents=True)
        path.write_text("theirs")
    former = RunFolder(f"{root.url}/dag/manual__2026_03_01")
    former.write_json("plan.json", {})
    aged(RunFolder(root.url), timedelta(days=900))

    assert len(root.remove_older_than(timedelta(days=7), NOW)) == 2
    assert all(path.exists() for path in theirs)
    assert not Path(ours.url).exists()
    assert not Path(former.url).exists()


@pytest.mark.parametrize("url", ["nosuchkind://bucket/x", "s3x://bucket"])
def test_a_root_of_an_unknown_kind_is_an_error_of_the_settings(url: str) -> None:
    """Found when the run begins, with the variable to correct."""
    with pytest.raises(StagingError, match=r"OPPORTUNITY_SYNC_STAGING_URL"):
        StagingRoot(url)


def test_a_root_that_is_a_file_is_an_error_of_the_settings(tmp_path: Path) -> None:
    """No retry makes a folder of it."""
    (tmp_path / "file").write_text("not a folder")
    root = StagingRoot(str(tmp_path / "file"))

    with pytest.raises(StagingError, match=r"can't be used.*OPPORTUNITY_SYNC_STAGING_URL"):
        root.new_folder("dag", "run", "1")
    with pytest.raises(StagingError, match=r"can't be used.*OPPORTUNITY_SYNC_STAGING_URL"):
        RunFolder(root.url).write_json("plan.json", {})


def test_a_full_disk_heals() -> None:
    """The device that is always full says so; the task is tried again."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    from opportunity_sync.staging.files import Files

    files = Files("/dev")
    with (
        pytest.raises(TransientError, match="does not answer or is full"),
        files.translate_errors(),
    ):
        Path("/dev/full").write_bytes(b"x")
