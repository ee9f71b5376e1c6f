"""Values as other tools write them are converted; what is no value costs its own row alone."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox.exports.export_folder import read_folder
from folder_rows import (
    CONTACT,
    OTHER,
    a_contact,
    a_folder,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("column", "written", "expected"),
    [
        ("creditlimit", "12.50", Decimal("12.50")),
        ("creditlimit", 7, Decimal(7)),
        ("numberofchildren", 12.0, 12),
        ("numberofchildren", " 12 ", 12),
        ("statuscode", "1", 1),
        ("familystatuscode", 1.0, 1),
        ("donotemail", 0, False),
        ("donotemail", 1, True),
        ("donotemail", "True", True),
        ("donotemail", "0", False),
        ("birthdate", "", None),
        ("birthdate", "2026-02-03T00:00:00Z", "2026-02-03"),
        ("lastonholdtime", "", None),
        ("lastonholdtime", "2026-02-03T05:06:07.1234567+01:00", "2026-02-03T04:06:07Z"),
        ("lastonholdtime", "2026-02-03", "2026-02-03T00:00:00Z"),
        ("telephone1", 4255550100, "4255550100"),
        ("firstname", "", None),
        ("_masterid_value", "{C0000000-0000-0000-0000-000000000002}", OTHER),
        ("masterid", OTHER, OTHER),
        ("FirstName", "Ada", "Ada"),
    ],
    ids=repr,
)
def test_values_as_other_tools_write_them_are_read(
    tmp_path: Path, column: str, written: Any, expected: Any
) -> None:
    """Numbers as text, 12.0 for 12, an empty text for null, 0 and 1 for No and Yes."""
    loaded = read_folder(a_folder(tmp_path, contacts=[a_contact(**{column: written})]))
    [contact] = loaded.rows["contacts"]
    served = "_masterid_value" if column == "masterid" else column.lower()
    assert contact[served] == expected
    assert type(contact[served]) is type(expected)
    assert not [finding for finding in loaded.findings if finding.column]


@pytest.mark.parametrize(
    ("column", "written"),
    [
        ("creditlimit", "lots"),
        ("creditlimit", True),
        ("creditlimit", Decimal("1e999")),
        ("numberofchildren", 1.5),
        ("numberofchildren", 2**70),
        ("statuscode", "open"),
        ("donotemail", 2),
        ("birthdate", "yesterday"),
        ("birthdate", "0000-01-01"),
        ("birthdate", "2026-02-30"),
        ("createdon", "0000-00-00T00:00:00Z"),
        ("createdon", "0001-01-01T00:00:00+01:00"),
        ("createdon", "2026-01-01T00:00:00"),
        ("createdon", 1580702706000),
        ("modifiedon", "9999-12-31T23:59:59-01:00"),
        ("firstname", True),
        ("_masterid_value", "Ada"),
    ],
    ids=str,
)
def test_a_value_that_no_column_can_have_costs_nobody_else_anything(
    tmp_path: Path, column: str, written: Any
) -> None:
    """It is told and served as it is; the other rows get nothing of it."""
    row = json.dumps({**a_contact(), column: str(written)}).replace(
        f'"{written}"', str(written) if isinstance(written, Decimal) else json.dumps(written)
    )
    good = json.dumps({"contactid": OTHER, column: None})
    loaded = read_folder(a_folder(tmp_path, contacts=f'{{"value": [{row}, {good}]}}'))
    bad, other = loaded.rows["contacts"]
    [finding] = [finding for finding in loaded.findings if finding.column]
    assert (finding.row, finding.row_id, finding.column) == (1, CONTACT, column)
    assert isinstance(bad[column], str)
    assert bad[column] not in {other["createdon"], other["modifiedon"]}
    assert str(written) not in str(finding)
