"""Facts of an organisation: how it answers, and nothing of what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opportunity_sync.check.facts import report_facts
from opportunity_sync.check.items import Item

if TYPE_CHECKING:
    from asked_check import Asked
    from dynamics_sandbox import Organisation


def test_the_order_of_ids_is_found_out(asked: Asked, organisation: Organisation) -> None:
    """As Dataverse's database has it, which is not that of text."""
    for number in range(20):
        organisation.create("opportunities", {"name": f"Number {number}"})

    assert asked.item("fact.id_order").found == (
        "Ids are ordered as SQL Server does; a range of them goes by the same order."
    )


@pytest.mark.parametrize("name", ["first_echo", "labels", "team_roles"])
def test_a_fact_is_found_out_in_an_empty_organisation(asked: Asked, name: str) -> None:
    """It is of how Dataverse answers, not of rows."""
    assert asked.item(f"fact.{name}").state == "passed"


@pytest.mark.parametrize("name", ["id_order", "links", "delta_echo"])
def test_what_cannot_be_found_out_is_no_failure(asked: Asked, name: str) -> None:
    """Here there are no rows and no delta link."""
    item = asked.item(f"fact.{name}")

    assert (item.state, item.code) == ("unknown", "dynamics.fact")


def test_links_are_told_by_their_spelling(asked: Asked, organisation: Organisation) -> None:
    """Without the link, which would hold an id."""
    for number in range(2):
        organisation.create("opportunities", {"name": f"Number {number}"})

    assert asked.item("fact.links").found.startswith("host spelled alike; path spelled alike; ")


def test_the_report_holds_facts_alone() -> None:
    """What is not decided is `unknown`, without the reason, which may name a host."""
    items = [
        Item("dynamics.token", "passed", "?", "secret talk"),
        Item("fact.links", "passed", "?", "plain"),
        Item("fact.labels", "unknown", "?", "https://contoso refused", "", "dynamics.fact"),
    ]

    assert report_facts(items) == ["links: plain", "labels: unknown"]
