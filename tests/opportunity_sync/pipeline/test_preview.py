"""What is told of a changed selection before any run: columns, what is left out, and the cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox import Organisation, Sandbox
from opportunity_sync.model import Selection
from opportunity_sync.pipeline.preview import Change, kept_columns, preview
from opportunity_sync.store import store_engine
from sync_runs import SyncRuns, settings_for_tests

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine


def planned(sandbox: Sandbox, engine: Engine, folder: Path, file: str) -> list[Change]:
    """What a fields file would do to contacts, accounts and opportunities."""
    path = folder / "fields.toml"
    path.write_text(file)
    settings = settings_for_tests(folder, fields=str(path))
    with SyncRuns(sandbox, engine, settings).client() as client:
        return preview(client, engine, settings=settings)


def of_contacts(changes: list[Change]) -> Change:
    """The change of one table."""
    return next(change for change in changes if change.entity == "contact")


@pytest.mark.parametrize(
    ("cost", "told"),
    [
        ({"rows": 1, "requests": 1}, "1 row, 1 request"),
        ({"rows": 9000, "requests": 2, "minutes": 0.1}, "9,000 rows, 2 requests, about 1 minute"),
        ({"rows": 9000, "requests": 2, "minutes": 90}, "9,000 rows, 2 requests, about 90 minutes"),
    ],
)
def test_the_cost_is_told_in_rows_requests_and_minutes(cost: dict[str, Any], told: str) -> None:
    """Without a run that tells the pace there are no minutes."""
    change = Change("contact", to_fill=("region",), **cost)

    assert list(change.lines()) == ["contact:", f"  to fill: region ({told})"]


def test_a_table_of_which_nothing_changes_says_so() -> None:
    """And so does not one whose columns are made and have yet to be filled."""
    assert list(Change("contact").lines()) == ["contact:", "  nothing changes"]
    assert "  nothing changes" not in Change("contact", to_fill=("a",), rows=1, requests=1).lines()


def test_columns_are_told_by_the_names_that_a_query_uses(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    """A choice is two columns, an amount brings its currency; an empty store fills nothing."""
    file = '[contact]\ndefault = false\n[contact.fields]\nterms = "paymenttermscode"\n'
    file += 'income = "annualincome"\n'
    with Sandbox(Organisation.empty()) as sandbox:
        change = of_contacts(planned(sandbox, sqlite_engine, tmp_path, file))

    assert change.added == ("terms_code", "terms_label", "income", "currency_id")
    assert (change.to_fill, change.requests) == ((), 0)


def test_what_the_organisation_lacks_is_left_out_with_the_nearest_name(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    """It stops nothing: the other columns are planned."""
    world = Organisation.empty()
    world.add_column("contacts", "new_region", "String")
    file = '[contact.fields]\nregion = "new_regoin"\nnick = "nickname"\n'
    with Sandbox(world) as sandbox:
        change = of_contacts(planned(sandbox, sqlite_engine, tmp_path, file))

    [left_out] = [line for line in change.left_out if line.startswith("new_regoin: ")]
    assert "the nearest name is new_region" in left_out
    assert "nick" in change.added


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """All columns would be new; a mistyped path leaves no file behind."""
    file = tmp_path / "mistyped.sqlite"
    engine = store_engine(f"sqlite:///{file}")
    with Sandbox(Organisation.empty()) as sandbox:
        change = of_contacts(planned(sandbox, engine, tmp_path, "[contact]\n"))

    assert "last_name" in change.added
    assert kept_columns(engine, Selection.default()) == {}
    assert not file.exists()
