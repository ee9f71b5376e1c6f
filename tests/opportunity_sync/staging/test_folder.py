"""What tasks hand to each other through a folder: exactly what was written, or an error."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from opportunity_sync.errors import StagingError
from opportunity_sync.staging import Part, RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run's folder of which nothing exists yet."""
    return RunFolder(str(tmp_path / "dag" / "run" / "attempt"))


def some_rows(*names: str) -> pa.Table:
    """A staged table."""
    return pa.table({"name": list(names), "length": [len(name) for name in names]})


def written(folder: RunFolder, *pages: str, group: str = "contact") -> list[Part]:
    """A group of one part for each page, whose rows are its letters."""
    writer = folder.writer(group)
    for number, page in enumerate(pages):
        writer.write(some_rows(*page), state={"page": number})
    return writer.parts


def path_of(folder: RunFolder, part: Part) -> Path:
    """The file of a part."""
    return Path(folder.url) / part.path


def names_of(folder: RunFolder, parts: list[Part]) -> list[str]:
    """The rows of parts, each part as a text."""
    return ["".join(map(str, table["name"].to_pylist())) for table in folder.tables(parts)]


def test_published_parts_come_back_in_order_with_what_was_said_beside_them(
    folder: RunFolder,
) -> None:
    """A manifest names the parts, their rows and a small state; each part has one, too."""
    folder.publish("contact", {"contact": written(folder, "ab", "c")}, is_whole=True)

    manifest = RunFolder(folder.url).read_manifest("contact")

    parts = list(manifest.groups["contact"])
    assert [(part.rows, folder.state(part)) for part in parts] == [
        (2, {"page": 0}),
        (1, {"page": 1}),
    ]
    assert manifest.state == {"is_whole": True}
    assert [table.to_pylist() for table in folder.tables(parts, ["name"])] == [
        [{"name": "a"}, {"name": "b"}],
        [{"name": "c"}],
    ]


def test_what_lies_in_a_folder_does_not_count_until_it_is_published(folder: RunFolder) -> None:
    """A reading that died half way is not a table that ends there."""
    written(folder, "ab")

    assert folder.find_manifest("contact") is None
    with pytest.raises(StagingError, match=r"contact\.manifest\.json.*STAGING_URL"):
        folder.read_manifest("contact")


def test_a_group_of_no_parts_is_published_as_such(folder: RunFolder) -> None:
    """Nothing to do is said; a file that is missing does not say it."""
    folder.publish("outcome", {"resolved/roles": ()})

    assert folder.read_manifest("outcome").groups == {"resolved/roles": ()}


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_published_part_that_is_missing_is_an_error(folder: RunFolder, position: int) -> None:
    """At the start, in the middle or at the end: a share that does not show it yet, or a hand."""
    parts = written(folder, "a", "b", "c")
    folder.publish("contact", {"contact": parts})
    path_of(folder, parts[position]).unlink()

    with pytest.raises(StagingError, match="are not there"):
        names_of(folder, list(folder.read_manifest("contact").groups["contact"]))


def test_a_part_that_was_changed_is_an_error(folder: RunFolder) -> None:
    """Other rows under the same name, whole as they may be."""
    first, second = written(folder, "a", "b")
    path_of(folder, first).write_bytes(path_of(folder, second).read_bytes())

    with pytest.raises(StagingError, match="is not what was written"):
        folder.read(first)
    with pytest.raises(StagingError, match="is not what was written"):
        folder.state(first)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1', b"\xff"])
def test_a_damaged_document_is_an_error(folder: RunFolder, content: bytes) -> None:
    """Of the manifest as of any other document."""
    folder.publish("contact", {"contact": written(folder, "a")})
    folder.write_json("plan.json", {})
    for name in ("contact.manifest.json", "plan.json"):
        (Path(folder.url) / name).write_bytes(content)

    with pytest.raises(StagingError, match="is damaged"):
        folder.read_manifest("contact")
    with pytest.raises(StagingError, match="is damaged"):
        folder.read_json("plan.json")


def test_a_manifest_of_another_version_is_recognised(folder: RunFolder) -> None:
    """A run that began before an upgrade begins anew."""
    folder.write_json("contact.manifest.json", {"version": 0, "groups": {}})

    with pytest.raises(StagingError, match="another version"):
        folder.read_manifest("contact")


def test_a_chain_goes_to_the_last_part_without_a_gap_before_it(folder: RunFolder) -> None:
    """A hidden tail is read again; what follows a gap does not count."""
    parts = written(folder, "a", "b", "c", "d")

    assert folder.chain("contact") == parts
    path_of(folder, parts[2]).unlink()
    assert folder.chain("contact") == parts[:2]
    path_of(folder, parts[0]).write_bytes(b"PAR1 damaged PAR1")
    assert folder.chain("contact") == []


def test_a_retry_and_a_zombie_never_mix_their_parts(folder: RunFolder) -> None:
    """The first try is alive after all and goes on: each part belongs to the one before it."""
    zombie = folder.writer("contact")
    zombie.write(some_rows("a"))
    retry = folder.writer("contact", after=folder.chain("contact"))
    for page in ("B", "C", "D"):
        retry.write(some_rows(page))
    for page in ("x", "y"):
        zombie.write(some_rows(page))

    assert names_of(folder, folder.chain("contact")) == ["a", "B", "C", "D"]
    folder.publish("contact", {"contact": retry.parts})
    zombie.write(some_rows("z"))
    published = list(folder.read_manifest("contact").groups["contact"])
    assert names_of(folder, published) == ["a", "B", "C", "D"]


def test_two_manifests_of_other_content_have_another_checksum(folder: RunFolder) -> None:
    """By which a later task sees that what it was made of is not what lies there now."""
    first = folder.publish("contact", {"contact": written(folder, "a")})
    second = folder.publish("contact", {"contact": written(folder, "b")})

    assert first.checksum != second.checksum
    assert folder.read_manifest("contact").checksum == second.checksum


def test_a_file_that_was_not_finished_is_not_seen(folder: RunFolder) -> None:
    """A process that dies while it writes leaves a file that nobody takes for a part."""
    parts = written(folder, "a")
    whole = path_of(folder, parts[0])
    whole.with_name(f"{whole.name}.0f.incomplete").write_bytes(whole.read_bytes()[:50])

    assert folder.chain("contact") == parts


def test_a_removed_group_is_empty_and_its_neighbours_are_not(folder: RunFolder) -> None:
    """An expired reading starts again, the others stay."""
    written(folder, "a", "b")
    others = written(folder, "c", group="account")

    folder.remove_group("contact")

    assert folder.chain("contact") == []
    assert folder.chain("account") == others
    folder.remove_group("contact")  # twice is no harm


def test_what_is_not_there_is_an_error_that_says_what_to_do(folder: RunFolder) -> None:
    """A worker that does not see the folder, or a run that was tidied away."""
    [part] = written(folder, "a")
    folder.remove()

    with pytest.raises(StagingError, match=r"plan\.json.*OPPORTUNITY_SYNC_STAGING_URL"):
        folder.read_json("plan.json")
    with pytest.raises(StagingError, match=r"part-000000"):
        folder.read(part)
    folder.remove()  # twice is no harm


def test_staged_rows_are_their_owners_alone(folder: RunFolder, tmp_path: Path) -> None:
    """They are people's names and addresses; so are the folders that hold them."""
    written(folder, "a")
    folder.write_json("plan.json", {})
    folder.publish("contact", {})

    made = [path for path in tmp_path.rglob("*") if path != tmp_path]

    assert {oct(path.stat().st_mode & 0o777) for path in made if path.is_file()} == {"0o600"}
    assert {oct(path.stat().st_mode & 0o777) for path in made if path.is_dir()} == {"0o700"}


def test_staging_can_be_anywhere_that_fsspec_reaches() -> None:
    """Not only on a disk: an object store, for which a listing may be late, has the same calls."""
    folder = RunFolder("memory://staging/dag/run/1")
    folder.write_json("plan.json", {"is": "here"})
    parts = written(folder, "a", "b")
    folder.publish("contact", {"contact": parts})

    again = RunFolder("memory://staging/dag/run/1")

    assert again.read_json("plan.json") == {"is": "here"}
    assert again.chain("contact") == parts
    assert names_of(again, list(again.read_manifest("contact").groups["contact"])) == ["a", "b"]
    again.remove()
    assert again.chain("contact") == []
