"""`make erase`: whose store it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded import STORE, Embedded, NotStartedError
from erase_contact import erase_in_demo, main

if TYPE_CHECKING:
    from pathlib import Path


def test_without_any_store_nothing_is_called_erased(tmp_path: Path) -> None:
    """Whoever forgot the connection must not believe that the person is gone."""
    with pytest.raises(NotStartedError, match=f"Set {STORE}, or run `make demo` first"):
        erase_in_demo(Embedded(tmp_path), ["false"])


def test_a_folder_of_rows_beside_a_connection_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of the two stores is not meant, and nobody can tell which."""
    monkeypatch.setenv("DEMO_FOLDER", str(tmp_path))
    monkeypatch.setenv(STORE, "{}")

    assert main(["an-id"]) == 1
    assert f"DEMO_FOLDER and {STORE} are both set" in capsys.readouterr().err
