"""What a selected column may be called beside all others, and where it may come from."""

from __future__ import annotations

import pytest

from opportunity_sync.errors import FieldsFileError
from opportunity_sync.model.fields_file import parse_fields

RULE = "lower-case letters, digits and _, a letter first"


def faults_of(*lines: str, entity: str = "opportunity") -> list[str]:
    """What is wrong with lines below `[entity.fields]`, without that place and without quotes."""
    with pytest.raises(FieldsFileError) as caught:
        parse_fields("\n".join([f"[{entity}.fields]", *lines]))
    place = f" [{entity}.fields]"
    return [str(fault).replace(place, "").replace('"', "") for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("name", "free"),
    [
        ("Region", "region"),
        ("'new-region'", "new_region"),
        ('"Sales Stage"', "sales_stage"),
        ('""', "column"),
        ("1st", "st"),
        ("_x", "x"),
        ("x" * 41, "x" * 40),
        ('"größe"', "groe"),
    ],
)
def test_a_name_against_the_rules_is_answered_with_one_that_follows_them(
    name: str, free: str
) -> None:
    """The nearest name that is free."""
    shown = name.strip("\"'")

    assert [
        f"line 2: {shown} is no name of a column: {RULE}, 40 characters at most (write {free})"
    ] == faults_of(f'{name} = "new_x"')


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("opportunity_id", "always there"),
        ("version_number", "always there"),
        ("customer", "always there"),
        ("customer_type", "always there"),
        ("account_id", "always there"),
        ("owner_id", "always there"),
        ("modified_at", "always there"),
        ("is_deleted", "always there"),
        ("synced_at", "always there"),
        ("revision", "always there"),
        ("currency", "there by itself wherever there is money"),
        ("currency_id", "there by itself wherever there is money"),
        ("xmin", "a column of PostgreSQL itself"),
        ("rowid", "a column of SQLite itself"),
        ("sync_filter", "kept by the sync itself"),
    ],
)
def test_a_name_that_is_taken_for_ever_is_refused(name: str, meaning: str) -> None:
    """Also where a suffix might save it: whether it does would hang on a type."""
    assert [
        f"line 2: {name} is {meaning} (take another name, such as new_x, or remove the line)"
    ] == faults_of(f'{name} = "new_x"')


@pytest.mark.parametrize("name", ["opportunity_id", "customer", "customer_id"])
def test_what_another_table_has_is_free(name: str) -> None:
    """Names are taken table by table."""
    parse_fields(f'[contact.fields]\n{name} = "new_x"')


@pytest.mark.parametrize(
    ("name", "owner"), [("name", "name"), ("stage", "stage"), ("stage_label", "stage")]
)
def test_a_name_of_a_default_field_is_refused(name: str, owner: str) -> None:
    """Its own and those of its columns, unless it is left out."""
    assert [
        (
            f"line 2: {name} is a name of the default field {owner} (take another name, such as "
            "new_x, or do without the default field)"
        )
    ] == faults_of(f'{name} = "new_x"')


def test_a_default_field_that_is_selected_by_its_line_has_its_names_too() -> None:
    """It makes no difference by which way it was selected."""
    with pytest.raises(FieldsFileError, match="is a name of the default field"):
        parse_fields(
            "[opportunity]\ndefault = false\n[opportunity.fields]\n"
            'stage = "statecode"\nstage_code = "new_code"'
        )


def test_a_name_that_differs_by_case_is_there_already() -> None:
    """Not every reader tells them apart. The later line is told of a free name."""
    rule = f"no name of a column: {RULE}, 40 characters at most"

    assert faults_of('region = "a"', 'Region = "b"', '"REGION" = "a"') == [
        f"line 3: Region is {rule} (write b)",
        "line 3: Region is there already (take another name, such as b, or remove the line)",
        f"line 4: REGION is {rule} (write a)",
        "line 4: REGION is there already (take another name, such as a, or remove the line)",
    ]


def test_free_names_are_told_once() -> None:
    """Who takes every name that is offered has no fault left."""
    told = faults_of('stage = "new_x"', 'name = "new_x"', 'description = "new_x"')

    assert [fault.split("such as ")[1].split(",")[0] for fault in told] == [
        *("new_x", "name_2", "description_2")
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"_new_region_value"', "is the Web API's name of a lookup, no logical name|new_region"),
        ('"Sales Stage"', "is a display name, no logical name|salesstage"),
        ('"new_Region"', "is a schema name, no logical name|new_region"),
        ('"new-region"', "is no logical name|"),
        ('""', "is no logical name|"),
    ],
)
def test_what_is_no_logical_name_is_refused(source: str, expected: str) -> None:
    """It says what the name is instead, and the likely one."""
    problem, _, likely = expected.partition("|")
    next_step = f"write {likely}" if likely else "Power Apps shows it with each column of a table"
    shown = source.strip('"')

    assert [f"line 2: {shown} {problem}: {RULE} ({next_step})"] == faults_of(f"x = {source}")


@pytest.mark.parametrize("source", ["3", "true", "['new_x']", "{source = 'new_x'}"])
def test_a_line_without_a_column_is_refused(source: str) -> None:
    """A column is a name in quotes and nothing else."""
    assert faults_of(f"x = {source}") == [
        "line 2: x has no Dynamics column (write its logical name in quotes, such as new_region)"
    ]


def test_a_line_can_have_several_faults() -> None:
    """Each is named."""
    assert [fault.split(" is ")[0] for fault in faults_of('Owner = "Owner"')] == [
        *("line 2: Owner", "line 2: Owner", "line 2: Owner")
    ]
