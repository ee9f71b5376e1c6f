"""Values of the kinds that only selected columns have arrive as they were written."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opportunity_sync.dynamics import DecodedPage, EntityPlan, PageDecoder, Plan, staged_schema
from opportunity_sync.model import CONTACT, Field, Kind

ID = "5d1e0000-0000-4000-8000-0000000000f1"
OTHER = "5d1e0000-0000-4000-8000-0000000000f2"
COLOURS = {1: "Red", 2: "Green", 3: "Blue"}
NAME = "new_column"


def decode(kind: Kind, *written: str, labels: dict[int, str] | None = None) -> DecodedPage:
    """A page with one row per JSON value of a column of this kind, which the store calls `c`."""
    entity = replace(CONTACT, fields=(Field("c", NAME, kind),), facts=())
    plan = EntityPlan(("c",), labels={"c": labels or {}})
    rows = ",".join(
        f'{{"contactid": "5d1e0000-0000-4000-8000-{number:012x}", "versionnumber": 7, '
        f'"{NAME}": {value}}}'
        for number, value in enumerate(written)
    )
    return PageDecoder(entity, Plan("", None, {"contact": plan})).decode(
        f'{{"value": [{rows}]}}'.encode()
    )


def values(page: DecodedPage, column: str = "c") -> list[Any]:
    """The column's values of the page's good rows."""
    return list(page.table.column(column).to_pylist())


def text(*each: str | None) -> list[str]:
    """JSON of texts."""
    return [json.dumps(item) for item in each]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0.30000000000000004", 0.1 + 0.2),
        ("5", 5.0),
        ("-0.0", -0.0),
        ("1e-300", 1e-300),
        ("99999999999.99998", 99999999999.99998),
        ("null", None),
    ],
)
def test_a_double_keeps_its_digits(written: str, expected: float | None) -> None:
    """What is read is the very number that was written."""
    assert values(decode(Kind.DOUBLE, written)) == [expected]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_every_double_is_equal_when_read_back(numbers: list[float]) -> None:
    """To the bit, so that nothing is written anew that did not change."""
    found = values(decode(Kind.DOUBLE, *map(repr, numbers)))
    assert [struct.pack("d", each) for each in found] == [struct.pack("d", n) for n in numbers]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0.1230000000", "0.1230000000"),
        ("12345678901234567890.10", "12345678901234567890.10"),
        ("-7", "-7"),
        ("1.50E3", "1500"),
        ("1e-3", "0.001"),
        ("null", None),
    ],
)
def test_a_decimal_keeps_its_scale(written: str, expected: str | None) -> None:
    """It is no float at any time; exponents are written out."""
    assert values(decode(Kind.DECIMAL, written)) == [expected]


@pytest.mark.parametrize("written", ['"1.5"', "true", "{}"])
@pytest.mark.parametrize("kind", [Kind.DOUBLE, Kind.DECIMAL])
def test_what_is_no_number_costs_its_row_alone(kind: Kind, written: str) -> None:
    """The other rows of the page come through."""
    page = decode(kind, "1.5", written, "2.5")
    assert [float(each) for each in values(page)] == [1.5, 2.5]
    assert len(page.refused) == 1


@pytest.mark.parametrize(
    "written",
    [
        "2026-02-03T04:05:06Z",
        "2026-02-03T04:05:06.789Z",
        "2026-02-03T04:05:06",
        "2026-02-03T04:05:06+02:00",
    ],
)
def test_a_local_time_is_the_wall_clock_that_is_written(written: str) -> None:
    """Whatever zone an answer names: it was entered without one."""
    expected = datetime(2026, 2, 3, 4, 5, 6)  # noqa: DTZ001 - of no zone
    assert values(decode(Kind.LOCAL_TIME, *text(written, None))) == [expected, None]
    beside_a_bad_one = decode(Kind.LOCAL_TIME, *text("soon", written))
    assert values(beside_a_bad_one) == [expected]


@pytest.mark.parametrize(
    "written", ["2026-02-03", "04:05:06", "2026-02-30T00:00:00Z", "", "0000-01-01T00:00:00Z"]
)
def test_what_is_no_local_time_is_refused_whatever_stands_beside_it(written: str) -> None:
    """A date alone is none: its column would be of another kind."""
    for beside in ("2026-02-03T04:05:06Z", "soon"):
        page = decode(Kind.LOCAL_TIME, *text(written, beside))
        bad = 1 if beside != "soon" else 2
        assert (len(page.refused), page.table.num_rows) == (bad, 2 - bad)


@pytest.mark.parametrize(
    ("written", "codes", "labels"),
    [
        ("1,3", "1,3", "Red; Blue"),
        ("3,1", "3,1", "Blue; Red"),
        ("2", "2", "Green"),
        (" 1, 3", "1,3", "Red; Blue"),
        ("1,9", "1,9", "Red"),
        ("9", "9", None),
        ("-1,100000000", "-1,100000000", None),
        (None, None, None),
    ],
)
def test_several_choices_keep_the_order_of_dynamics(
    written: str | None, codes: str | None, labels: str | None
) -> None:
    """Labels in the order of the codes; an option that was added a moment ago has none yet."""
    page = decode(Kind.CHOICES, *text(written, "1"), labels=COLOURS)
    assert values(page, "c_codes") == [codes, "1"]
    assert values(page, "c_labels") == [labels, "Red"]


@pytest.mark.parametrize("written", ["Red", "1;3", "1,,3", "1.5", "", "99999999999"])
def test_what_is_no_list_of_options_costs_its_row_alone(written: str) -> None:
    """And says so without its value."""
    page = decode(Kind.CHOICES, *text("1,3", written, "2"), labels=COLOURS)
    assert values(page, "c_codes") == ["1,3", "2"]
    (error,) = page.refused
    assert "is no list of options" in str(error)
    assert not written or written not in str(error)


def test_a_guid_is_in_lower_case() -> None:
    """As keys are."""
    assert values(decode(Kind.GUID, *text(ID.upper(), None))) == [ID, None]


def test_a_column_under_two_names_gives_its_values_to_both() -> None:
    """Whichever kind each of them has; the schema has both."""
    fields = (
        Field("text", NAME),
        Field("when", NAME, Kind.INSTANT),
        Field("owner", "ownerid", Kind.LOOKUP, polymorphic=True),
        Field("owner_only", "ownerid", Kind.LOOKUP),
        Field("own", "contactid", Kind.GUID),
    )
    entity = replace(CONTACT, fields=fields, facts=())
    plan = Plan("", None, {"contact": EntityPlan(tuple(field.column for field in fields))})
    row = {
        "contactid": ID,
        "versionnumber": 7,
        NAME: "2026-02-03T04:05:06Z",
        "_ownerid_value": OTHER,
        "_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname": "team",
    }
    page = PageDecoder(entity, plan).decode(json.dumps({"value": [row]}).encode())
    assert staged_schema(entity) == page.table.schema
    (found,) = page.table.to_pylist()
    assert (found["text"], found["when"].hour, found["own"]) == ("2026-02-03T04:05:06Z", 4, ID)
    assert (found["owner_id"], found["owner_type"], found["owner_only_id"]) == (
        OTHER, "team", OTHER,
    )  # fmt: skip
    assert plan.of(entity).select(entity) == (
        "contactid", "versionnumber", NAME, "_ownerid_value",
    )  # fmt: skip
