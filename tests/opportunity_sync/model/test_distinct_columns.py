"""Once types are known, no two fields of a table become columns of one name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opportunity_sync.errors import FieldsFileError
from opportunity_sync.model import DEFAULT_MODEL, Entity, Field, Kind
from opportunity_sync.model.distinct_columns import require_distinct_columns


def an_entity(*fields: Field, name: str = "opportunity") -> Entity:
    """An entity of the default model, with selected fields."""
    entity = DEFAULT_MODEL[name]
    return replace(entity, fields=(*entity.fields, *fields))


@pytest.mark.parametrize("entity", DEFAULT_MODEL.public, ids=lambda each: each.name)
def test_the_default_fields_do_not_meet(entity: Entity) -> None:
    """Neither with each other, nor with what is reserved."""
    require_distinct_columns(entity)


def test_fields_of_different_columns_pass() -> None:
    """A choice and a lookup of one stem differ by their suffixes; a fact may be shown."""
    [fact] = [each for each in DEFAULT_MODEL["opportunity"].facts if each.column == "sync_filter"]

    require_distinct_columns(
        an_entity(
            fact,
            Field("region", "new_region", Kind.CHOICE),
            Field("region_id", "new_regionid"),
            Field("description_2", "description"),
        )
    )


def test_an_amount_brings_its_currency_into_a_table_that_has_none() -> None:
    """It is not taken for a field that somebody has called so."""
    [currency] = [each for each in DEFAULT_MODEL["account"].fields if each.column == "currency"]

    require_distinct_columns(
        an_entity(Field("income", "annualincome", Kind.MONEY), currency, name="contact")
    )


@pytest.mark.parametrize(
    ("fields", "met"),
    [
        (
            [Field("account", "parentaccountid", Kind.LOOKUP)],
            ("account (parentaccountid)", "account_id", "always there", "parentaccountid"),
        ),
        (
            [Field("stage_code", "new_text")],
            ("stage_code (new_text)", "stage_code", "that of stage (statecode)", "new_text"),
        ),
        (
            [Field("area", "new_area", Kind.CHOICE), Field("area_label", "new_name")],
            ("area_label (new_name)", "area_label", "that of area (new_area)", "new_name"),
        ),
        (
            [Field("x_label", "n"), Field("x", "x", Kind.CHOICE), Field("x_2", "new_x")],
            ("x (x)", "x_label", "that of x_label (n)", "x_3"),
        ),
    ],
)
def test_fields_that_meet_are_named_with_a_free_name(
    fields: list[Field], met: tuple[str, str, str, str]
) -> None:
    """The message has both fields, the column, the line, and a name to take."""
    field, column, owner, free = met

    with pytest.raises(FieldsFileError) as caught:
        require_distinct_columns(an_entity(*fields), {each.column: 7 for each in fields})

    [fault] = caught.value.faults
    assert str(fault).replace('"', "") == (
        f"line 7: [opportunity.fields] {field} would become the column {column}, "
        f"which is {owner} (take another name, such as {free})"
    )


def test_all_that_meet_are_named_at_once() -> None:
    """In the order of their lines, each with a name that no other is told to take."""
    fields = (
        Field("account", "new_same", Kind.LOOKUP),
        Field("opportunity", "new_same", Kind.LOOKUP),
    )

    with pytest.raises(FieldsFileError, match="has 2 faults") as caught:
        require_distinct_columns(an_entity(*fields), {"account": 9, "opportunity": 4})

    told = [(fault.line, fault.next_step.split('"')[1]) for fault in caught.value.faults]
    assert told == [(4, "opportunity_2"), (9, "new_same")]


def test_a_default_field_never_gives_way() -> None:
    """Wherever the selected one stands among the fields."""
    contact = DEFAULT_MODEL["contact"]
    first = replace(contact, fields=(Field("person_status_code", "new_code"), *contact.fields))

    with pytest.raises(
        FieldsFileError, match=r"^The fields file has a fault: .*person_status_code"
    ):
        require_distinct_columns(first)
