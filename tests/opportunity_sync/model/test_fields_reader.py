"""The fields file is read from where it is, and never taken for the default when it can't be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
import pytest

from opportunity_sync.errors import ConfigError, FieldsFileError
from opportunity_sync.model import Selection
from opportunity_sync.model.fields_reader import read_selection

if TYPE_CHECKING:
    from pathlib import Path

TEXT = '[contact.fields]\nregion = "new_region"\n'


def a_file(folder: Path, content: bytes) -> str:
    """The path of a fields file."""
    path = folder / "fields.toml"
    path.write_bytes(content)
    return str(path)


def refusal(url: str) -> str:
    """Why a file can't be read: an error that is not about what stands in it."""
    with pytest.raises(ConfigError) as caught:
        read_selection(url)
    assert caught.value.code == "ConfigError"
    return str(caught.value)


def test_without_a_file_the_default_is_selected() -> None:
    """An empty setting asks for nothing else."""
    assert read_selection("") == Selection.default()


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_file_is_read_as_editors_save_it(mark: bytes, end: bytes, tmp_path: Path) -> None:
    """With or without a byte order mark, with line ends of either kind, by path or URL."""
    path = a_file(tmp_path, mark + TEXT.encode().replace(b"\n", end))

    for url in (path, f"file://{path}"):
        [region] = read_selection(url)["contact"].custom
        assert (region.column, region.source, region.line) == ("region", "new_region", 2)


def test_any_address_of_fsspec_will_do() -> None:
    """What is no path is opened by its scheme, and always as it is now."""
    for text, expected in ((TEXT, 1), ("", 0)):
        fsspec.filesystem("memory").pipe_file("/fields.toml", text.encode())

        assert len(read_selection("memory://fields.toml")["contact"].custom) == expected


def test_a_file_that_is_missing_is_named_with_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is shown as what it came to."""
    monkeypatch.chdir(tmp_path)

    shown = refusal("some/fields.toml")

    assert f"The fields file {tmp_path}/some/fields.toml can't be read (No such file" in shown
    assert "correct OPPORTUNITY_SYNC_FIELDS, or put the file where every worker" in shown


def test_what_is_no_file_or_has_no_known_scheme_is_refused(tmp_path: Path) -> None:
    """A folder, what is below a file, a scheme that nobody knows, a path that can't be one."""
    assert "Is a directory" in refusal(str(tmp_path))
    assert "Not a directory" in refusal(f"{a_file(tmp_path, b'')}/fields.toml")
    assert "nonsense://bucket/x can't be read (ValueError)" in refusal("nonsense://bucket/x")
    assert "can't be read (ValueError)" in refusal("a\0b")


def test_a_file_that_is_not_utf8_is_refused_with_the_line(tmp_path: Path) -> None:
    """What Windows calls ANSI or Unicode is neither."""
    latin, utf16 = TEXT.encode() + b"# \xe9", TEXT.encode("utf-16")

    assert "is not UTF-8 (line 3)" in refusal(a_file(tmp_path, latin))
    assert "is not UTF-8 (line 1)" in refusal(a_file(tmp_path, utf16))


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """One million bytes are read, the next is too much."""
    content = TEXT.encode() + b"#" * (1_000_000 - len(TEXT))

    assert read_selection(a_file(tmp_path, content))["contact"].custom
    assert "is larger than 1 MB" in refusal(a_file(tmp_path, content + b"#"))


def test_faults_are_named_with_the_file(tmp_path: Path) -> None:
    """The error is that of the text, and says where it stands."""
    path = a_file(tmp_path, b"x = 1")

    with pytest.raises(FieldsFileError, match=f"The fields file {path} has a fault: line 1: "):
        read_selection(path)


def test_no_secret_of_an_address_is_shown() -> None:
    """Neither a password nor a signature, also not in what Python calls the cause."""
    with pytest.raises(ConfigError) as caught:
        read_selection("nonsense://joe:s3cret@host/fields.toml?sig=s3cret")

    assert "nonsense://host/fields.toml can't" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__
