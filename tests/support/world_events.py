"""What can happen around an organisation's rows: columns, privileges, clocks, tracking, bad data.

Plain steps like those of `histories`: a column by the letter of its table and its number in
`COLUMNS`, a row by its slot. `heal` takes all of it back, for the truth to compare with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_OID, uuid5

from dynamics_sandbox.schema.attribute import Behaviour
from dynamics_sandbox.schema.custom_columns import SYNC_FILTER
from histories import SETS, guid, has

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dynamics_sandbox import Organisation

# Columns that only rows have, one that excludes rows, one that the rules ask for, and columns of
# the customer's own, which the user selects now and then.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "c": (
        *("lastname", "jobtitle", "emailaddress1", SYNC_FILTER.name, "parentcustomerid"),
        *("new_choice", "new_choices", "new_party", "new_localtime"),
    ),
    "a": (
        *("name", "numberofemployees", "revenue", SYNC_FILTER.name),
        *("new_choice", "new_party", "new_instant", "new_amount", "new_day"),
    ),
    "o": (
        *("name", "estimatedvalue", "actualclosedate", SYNC_FILTER.name),
        *("new_choice", "new_choices", "new_party", "new_localtime", "new_share"),
    ),
}
_CHOICES: Final = ("new_choice", "new_choices")
_OTHER_TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "numberofemployees": {"kind": "Money"},
    "actualclosedate": {"kind": "String"},
    "new_choice": {"kind": "String"},
    "new_choices": {"kind": "Picklist"},
    "new_party": {"kind": "Lookup", "targets": ("account",)},
    "new_localtime": {"kind": "DateTime", "behaviour": Behaviour.USER_LOCAL},
    "new_instant": {"kind": "DateTime", "behaviour": Behaviour.DATE_ONLY},
    "new_day": {"kind": "String"},
    "new_share": {"kind": "Double"},
    "new_amount": {"kind": "Decimal"},
}
_BAD: Final[tuple[tuple[str, Any], ...]] = (
    ("modifiedon", "0000-01-01"),
    ("modifiedon", "9999-12-31T23:59:59-01:00"),
    ("createdon", 12),
    ("_ownerid_value", "not a guid"),
    ("versionnumber", "many"),
)
_TABLES: Final = {
    "a": "account",
    "c": "contact",
    "o": "opportunity",
    "k": "connection",
    "r": "connectionrole",
}
SECONDS_AHEAD: Final = (900, 30 * 365 * 86_400, -3600)
STRANGER: Final = str(uuid5(NAMESPACE_OID, "another organisation"))


def column_of(letter: str, number: int) -> tuple[str, str]:
    """A column that events happen to, as its table's logical name and its own."""
    names = COLUMNS[letter]
    return _TABLES[letter], names[number % len(names)]


def _column(organisation: Organisation, letter: str, number: int) -> tuple[str, str] | None:
    """A column that the organisation has by its schema, as table and name."""
    set_name, (_, name) = SETS[letter], column_of(letter, number)
    known = organisation.stores[set_name].table.attributes
    return (set_name, name) if name in known else None


def drop_column(organisation: Organisation, letter: str, number: int) -> None:
    """A column is deleted; what it held comes back with it."""
    if (column := _column(organisation, letter, number)) is not None:
        organisation.drop_column(*column)


def secure_column(organisation: Organisation, letter: str, number: int) -> None:
    """A column is put under column security and reads as null."""
    if (column := _column(organisation, letter, number)) is not None:
        organisation.secure_column(*column)


def retype_column(organisation: Organisation, letter: str, number: int) -> None:
    """A column is made anew with another type."""
    if (column := _column(organisation, letter, number)) is not None:
        other = _OTHER_TYPES.get(column[1], {"kind": "Integer"})
        organisation.retype_column(*column, **other)


def leave_out_column(organisation: Organisation, letter: str, number: int) -> None:
    """One answer of the metadata lacks a column that queries know."""
    if (column := _column(organisation, letter, number)) is not None:
        organisation.leave_out_of_metadata(*column)


def restore_column(organisation: Organisation, letter: str, number: int) -> None:
    """A column is back as it was."""
    if (column := _column(organisation, letter, number)) is not None:
        organisation.restore_column(*column)


def rename_option(organisation: Organisation, letter: str, number: int) -> None:
    """An option of one of the customer's choices gets another label, and no row another version."""
    set_name, name = SETS[letter], _CHOICES[number % len(_CHOICES)]
    column = organisation.stores[set_name].table.attributes[name]
    if organisation.attribute(set_name, name) == column:
        options = {**(column.options or {}), 1 + number % 3: f"Option {number}"}
        organisation.add_column(set_name, replace(column, options=options))


def garble(organisation: Organisation, slot: str, number: int) -> None:
    """A row comes with a value that nobody can take."""
    if has(organisation, slot):
        name, value = _BAD[number % len(_BAD)]
        table = organisation.stores[SETS[slot[0]]]
        known = name if name in table.by_property else "versionnumber"
        organisation.garble(SETS[slot[0]], guid(slot), {known: value})


def garble_all(organisation: Organisation, letter: str) -> None:
    """No row of a table can be taken."""
    for row in organisation.rows(SETS[letter]):
        key = organisation.stores[SETS[letter]].table.key
        organisation.garble(SETS[letter], row[key], {"versionnumber": "many"})


def garble_id(organisation: Organisation, slot: str) -> None:
    """A row comes with an id that can't be read, so nobody can tell which one it is."""
    if has(organisation, slot):
        key = organisation.stores[SETS[slot[0]]].table.key
        organisation.garble(SETS[slot[0]], guid(slot), {key: "no id"})


def mend(organisation: Organisation, slot: str) -> None:
    """A row comes as it is again, and nothing else says so."""
    organisation.mend(SETS[slot[0]], guid(slot))


def lose_privilege(organisation: Organisation, letter: str, depth: str) -> None:
    """The application user sees fewer rows of a table, or may not read it at all."""
    organisation.set_read_depth(_TABLES[letter], depth)


def regain_privilege(organisation: Organisation, letter: str) -> None:
    """The application user sees every row of a table again."""
    organisation.set_read_depth(_TABLES[letter], "Global")


def switch_tracking(organisation: Organisation, letter: str, enabled: bool) -> None:
    """Somebody turns change tracking of a table off, or on."""
    organisation.set_change_tracking(SETS[letter], enabled=enabled)


def skew_server(organisation: Organisation, seconds: int) -> None:
    """The clock that answers is not the one that stamps rows."""
    organisation.skew_clock(seconds)


def skew_one_answer(organisation: Organisation, seconds: int) -> None:
    """One answer has a date far off."""
    organisation.skew_clock(seconds, 1)


def switch_organisation(organisation: Organisation) -> None:
    """The connection leads to another organisation, or back to the first."""
    [home] = organisation.rows("organizations")
    if organisation.switch_identity(STRANGER) == STRANGER:
        organisation.switch_identity(home["organizationid"])


def heal(organisation: Organisation, *, tracked: str) -> None:
    """Everything around the rows is as it was at first; `tracked`: letters of such tables."""
    for letter, set_name in SETS.items():
        organisation.set_change_tracking(set_name, enabled=letter in tracked)
    for letter, names in COLUMNS.items():
        for number in range(len(names)):
            restore_column(organisation, letter, number)
    for set_name, rows in list(organisation.garbled.items()):
        for row_id in list(rows):
            organisation.mend(set_name, row_id)
    for letter in _TABLES:
        regain_privilege(organisation, letter)
    organisation.skew_clock(0)
    if organisation.organisation_id == STRANGER:
        switch_organisation(organisation)


WORLD_EVENTS: Final[Mapping[str, Callable[..., None]]] = {
    "drop_column": drop_column,
    "secure_column": secure_column,
    "retype_column": retype_column,
    "leave_out_column": leave_out_column,
    "restore_column": restore_column,
    "rename_option": rename_option,
    "garble": garble,
    "garble_all": garble_all,
    "garble_id": garble_id,
    "mend": mend,
    "lose_privilege": lose_privilege,
    "regain_privilege": regain_privilege,
    "switch_tracking": switch_tracking,
    "skew_server": skew_server,
    "skew_one_answer": skew_one_answer,
    "switch_organisation": switch_organisation,
}
