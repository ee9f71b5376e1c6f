"""What is selected is a value: default fields that stay, custom ones, and what always stands."""

from __future__ import annotations

import pytest

from opportunity_sync.model import DEFAULT_MODEL, CustomField, Field, Kind, Selection
from opportunity_sync.model.default import CURRENCY
from opportunity_sync.model.selection import make_selection, selectable_fields, with_currency

STANDING = {
    "opportunity": ["customer", "owner", "created_at", "modified_at"],
    "contact": ["owner", "created_at", "modified_at"],
    "account": ["owner", "created_at", "modified_at"],
}


def a_selection(*custom: CustomField, entity: str = "opportunity") -> Selection:
    """The default selection, and custom fields of one entity."""
    return Selection(
        tuple(
            make_selection(each, selectable_fields(each), custom if each.name == entity else ())
            for each in DEFAULT_MODEL.public
        )
    )


def test_the_default_selection_is_the_default_model() -> None:
    """Each public table has the fields of the model, in their order, and no others."""
    expected = [(entity.name, entity.fields, ()) for entity in DEFAULT_MODEL.public]

    assert expected == [(each.name, each.fields, each.custom) for each in Selection.default()]


@pytest.mark.parametrize("name", STANDING)
def test_what_always_stands_stays_where_nothing_is_wanted(name: str) -> None:
    """The customer, owners, and the instants of rows are there; money's currency is not."""
    nothing = make_selection(DEFAULT_MODEL[name], ())

    assert STANDING[name] == [field.column for field in nothing.fields]
    assert nothing.wanted == ()


def test_an_entity_is_found_by_its_name() -> None:
    """Others, also those that have no public table, are a `KeyError`."""
    assert Selection.default()["account"].name == "account"
    with pytest.raises(KeyError):
        Selection.default()["connection"]


def test_a_row_with_money_has_its_currency() -> None:
    """The currency comes with the first amount, stands once, and goes with the last."""
    name, budget = Field("name", "name"), Field("budget", "new_budget", Kind.MONEY)

    assert with_currency((name, budget)) == (name, budget, CURRENCY)
    assert with_currency((CURRENCY, budget)) == (CURRENCY, budget)
    assert with_currency((name, CURRENCY)) == (name,)


def test_the_currency_goes_with_the_last_default_amount() -> None:
    """An opportunity without its estimated value has no amount, so no currency either."""
    opportunity = DEFAULT_MODEL["opportunity"]
    wanted = [field for field in selectable_fields(opportunity) if field.kind is not Kind.MONEY]

    assert CURRENCY in Selection.default()["opportunity"].fields
    assert CURRENCY not in make_selection(opportunity, wanted).fields


def test_a_fact_that_is_wanted_becomes_public() -> None:
    """What the rules read anyway can be shown, behind the default fields."""
    contact = DEFAULT_MODEL["contact"]
    [master] = [fact for fact in contact.facts if fact.column == "master"]

    assert make_selection(contact, (*selectable_fields(contact), master)).fields == (
        *contact.fields,
        master,
    )


def test_the_fingerprint_is_that_of_what_is_wanted() -> None:
    """Order and place in the file are nothing; a name, a source or an entity is something."""
    region, city = CustomField("region", "new_region", 3), CustomField("city", "new_city", 4)
    moved = CustomField("region", "new_region", 9)
    prints = {
        Selection.default().fingerprint,
        a_selection(region).fingerprint,
        a_selection(region, entity="contact").fingerprint,
        a_selection(region, city).fingerprint,
        a_selection(CustomField("area", "new_region")).fingerprint,
        a_selection(CustomField("region", "new_area")).fingerprint,
    }

    assert len(prints) == 6
    assert a_selection(region, city).fingerprint == a_selection(city, moved).fingerprint


def test_the_fingerprint_never_changes_by_itself() -> None:
    """It is compared between releases: another one for the same columns reads whole tables."""
    assert Selection.default().fingerprint == "9ebe39851031a8a4"
