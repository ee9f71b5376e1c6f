"""What can happen to an organisation, as plain steps that can be drawn, shrunk and replayed.

A step is a JSON list: the kind of event, then a slot (`c3` is the fourth contact) and what the
event needs. Ids follow from slots, so a history means the same whatever was cut out of it; a step
that makes no sense where it stands (deleting what is not there) does nothing. The clock is the
organisation's own and moves only by `wait`: whatever lies between two waits is one second.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from dynamics_sandbox import TABLES, Organisation, Touch
from dynamics_sandbox.schema.attribute import LOOKUP_TABLE
from dynamics_sandbox.schema.custom_columns import SYNC_FILTER
from history_selections import CUSTOM_COLUMNS, custom_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dynamics_sandbox.schema.attribute import Attribute

Step = list[Any]
Values = dict[str, Any]

START = datetime.fromisoformat("2026-03-02T08:00:00+00:00")
SETS = {
    "a": "accounts",
    "c": "contacts",
    "o": "opportunities",
    "k": "connections",
    "r": "connectionroles",
}
COUNTS = {"a": 6, "c": 8, "o": 8, "k": 12, "r": 4}
AGES = (0, 600, 86_400, 20 * 86_400)
_NAMES = {"a": "name", "c": "lastname", "o": "name", "k": "description", "r": "name"}
_TABLES = {"a": "account", "c": "contact", "o": "opportunity"}


def guid(slot: str) -> str:
    """The id of a slot; the order of ids is not that of the slots."""
    return str(uuid5(NAMESPACE_OID, slot))


def renew(organisation: Organisation, options: Mapping[str, Any]) -> None:
    """Make an organisation, which may be served already, a new one.

    `filters` and `tracked` are the letters of the tables with a sync filter and with change
    tracking, `rows` how many rows to begin with by letter; `seed` decides how they hang together.
    """
    tables = {
        name: replace(
            table.with_attributes(*_custom(name, options["filters"])),
            change_tracking=name in _sets(options["tracked"]),
        )
        for name, table in TABLES.items()
    }
    fresh = Organisation(tables, identity="histories")
    fresh.generation = organisation.generation + 1
    fresh.metadata_version = organisation.metadata_version + 1
    vars(organisation).update(vars(fresh))
    organisation.now = START
    dice = Random(options["seed"])
    pairs = [dice.randrange(100) for _ in range(COUNTS["k"])]
    for letter in "arcok":
        for index in range(options["rows"].get(letter, 0)):
            number = pairs[index // 2] if letter == "k" else dice.randrange(100)
            parent, age = _some_parent(dice, letter), dice.choice(AGES)
            create(organisation, f"{letter}{index}", parent, number=number, age=age)


def _sets(letters: str) -> set[str]:
    return {SETS[letter] for letter in letters}


def _custom(set_name: str, filters: str) -> tuple[Attribute, ...]:
    """What the customer has added to a table."""
    own = CUSTOM_COLUMNS if set_name in _sets("".join(_TABLES)) else ()
    return (SYNC_FILTER, *own) if set_name in _sets(filters) else own


def _some_parent(dice: Random, letter: str) -> str | None:
    """A slot to hang on, whether anything is there or not."""
    kinds = {"c": "aaac", "o": "aacc"}.get(letter, "")
    if not kinds or dice.random() < 0.15:
        return None
    return f"{dice.choice(kinds)}{dice.randrange(7)}"


def has(organisation: Organisation, slot: str) -> bool:
    """Whether the row of a slot is there."""
    return organisation.stores[SETS[slot[0]]].get(guid(slot)) is not None


def create(
    organisation: Organisation, slot: str, parent: str | None, *, number: int, age: int = 0
) -> None:
    """A new row, back-dated by `age` seconds, perhaps referring to rows that are not there yet."""
    if has(organisation, slot):
        return
    set_name = SETS[slot[0]]
    values = {
        organisation.stores[set_name].table.key: guid(slot),
        _NAMES[slot[0]]: f"{slot} {number}",
        **_new_values(slot, parent, number),
    }
    known = organisation.stores[set_name].position
    values = {name: value for name, value in values.items() if name in known}
    organisation.create(set_name, values, modified_at=_moment_ago(organisation, age))


def _new_values(slot: str, parent: str | None, number: int) -> Values:
    owner = _reference("_ownerid_value", guid("owner"), "systemuser")
    own = owner | custom_values(number)
    match slot[0]:
        case "c":
            return own | _parent("_parentcustomerid_value", parent)
        case "o":
            return own | _parent("_customerid_value", parent) | {"estimatedvalue": number / 4}
        case "k":
            return owner | _connection(slot, number)
        case "r":
            return {"name": _role_name(number), "category": _category(number)}
    return own | {"numberofemployees": number}


def _connection(slot: str, number: int) -> Values:
    """One of two mirrored rows: even slots have the opportunity on side 1, odd ones on side 2."""
    index = int(slot[1:])
    ours, theirs = ("1", "2") if index % 2 == 0 else ("2", "1")
    role = None if number % 7 == 0 else guid(f"r{number % 5}")
    return {
        **_reference(f"_record{ours}id_value", guid(f"o{number % 9}"), "opportunity"),
        **_reference(f"_record{theirs}id_value", guid(f"c{number % 10}"), "contact"),
        f"_record{theirs}roleid_value": role,
        f"_record{ours}roleid_value": guid("r0") if number % 11 == 0 else None,
        "_relatedconnectionid_value": guid(f"k{index ^ 1}"),
    }


def _reference(column: str, row_id: str | None, table: str | None) -> Values:
    return {column: row_id, f"{column}{LOOKUP_TABLE}": table}


def _parent(column: str, parent: str | None) -> Values:
    if parent is None:
        return _reference(column, None, None)
    return _reference(column, guid(parent), _TABLES[parent[0]])


def _role_name(number: int) -> str:
    """Few names, so that several roles share one, and one that collides with the customer's."""
    return "Potential Customer" if number % 10 == 9 else f"Role {number % 3}"


def _category(number: int) -> int:
    return 1001 if number % 5 == 1 else 1000


def _moment_ago(organisation: Organisation, seconds: int) -> datetime:
    return organisation.now - timedelta(seconds=seconds)


def _update(organisation: Organisation, slot: str, values: Values, **how: Any) -> None:
    if has(organisation, slot):
        organisation.update(SETS[slot[0]], guid(slot), values, **how)


def wait(organisation: Organisation, seconds: int) -> None:
    """Time passes."""
    organisation.now = organisation.now + timedelta(seconds=seconds)


def _other_values(slot: str, number: int) -> Values:
    """A name and, where a user selects fields, values of all that the customer has added."""
    own = custom_values(number) if slot[0] in _TABLES else {}
    return {_NAMES[slot[0]]: f"{slot} {number}", **own}


def change(organisation: Organisation, slot: str, number: int) -> None:
    """Columns that no rule asks for, or the row's state."""
    values = _other_values(slot, number)
    if slot[0] == "r":
        values = {"description": f"{slot} {number}"}
    elif number % 3 == 0:
        values |= {"statecode": number % 2, "statuscode": 1 + number % 2}
    _update(organisation, slot, values)


def change_unseen(organisation: Organisation, slot: str, number: int) -> None:
    """As a rollup or a cascade: the version moves, `modifiedon` does not."""
    _update(organisation, slot, _other_values(slot, number), touch=Touch.VERSION)


def change_backdated(organisation: Organisation, slot: str, number: int, age: int) -> None:
    """As an import: written now, modified long ago by what the row says."""
    values = _other_values(slot, number)
    _update(organisation, slot, values, modified_at=_moment_ago(organisation, age))


def change_many(organisation: Organisation, letter: str, number: int) -> None:
    """Every row of a table changes within one second."""
    for index in range(COUNTS[letter] + 1):
        change(organisation, f"{letter}{index}", number)


def delete(organisation: Organisation, slot: str) -> None:
    """A row goes, with what cascades from it."""
    if has(organisation, slot):
        organisation.delete(SETS[slot[0]], guid(slot))


def restore(organisation: Organisation, slot: str) -> None:
    """A deleted row comes back as it was."""
    if not has(organisation, slot):
        with suppress(KeyError):  # was never deleted
            organisation.restore(SETS[slot[0]], guid(slot))


def merge(organisation: Organisation, loser: str, winner: str) -> None:
    """Two contacts or two accounts become one; circles can come of it."""
    if loser != winner and has(organisation, loser) and has(organisation, winner):
        organisation.merge(SETS[loser[0]], guid(loser), guid(winner))


def move_contact(organisation: Organisation, slot: str, parent: str | None) -> None:
    """The contact gets another parent, or none."""
    _update(organisation, slot, _parent("_parentcustomerid_value", parent))


def change_customer(organisation: Organisation, slot: str, customer: str | None) -> None:
    """The opportunity gets another customer, of either kind, or none."""
    _update(organisation, slot, _parent("_customerid_value", customer))


def change_connection(organisation: Organisation, slot: str, number: int) -> None:
    """One of the two mirrored rows gets other ends and another role."""
    _update(organisation, slot, _connection(slot, number))


def end_connection(organisation: Organisation, slot: str, state: int) -> None:
    """One of the two mirrored rows is deactivated, or active again."""
    _update(organisation, slot, {"statecode": state, "statuscode": 1 + state})


def rename_role(organisation: Organisation, slot: str, number: int) -> None:
    """A connection role gets another name."""
    _update(organisation, slot, {"name": _role_name(number)})


def recategorise_role(organisation: Organisation, slot: str, number: int) -> None:
    """A connection role becomes a stakeholder's, or no longer is one."""
    _update(organisation, slot, {"category": _category(number)})


def flip_filter(organisation: Organisation, slot: str, value: bool | None) -> None:
    """The sync filter says something else, where the table has one."""
    if "new_synctomkto" in organisation.stores[SETS[slot[0]]].by_property:
        _update(organisation, slot, {"new_synctomkto": value})


def hide(organisation: Organisation, slot: str) -> None:
    """The reader loses access to a row."""
    organisation.hide(SETS[slot[0]], guid(slot))


def show(organisation: Organisation, slot: str) -> None:
    """The reader gets access to a row again."""
    organisation.show(SETS[slot[0]], guid(slot))


def expire_delta_tokens(organisation: Organisation) -> None:
    """Change tracking has forgotten what it knew."""
    organisation.expire_delta_tokens()


def create_row(
    organisation: Organisation, slot: str, parent: str | None, number: int, age: int
) -> None:
    """`create` as a step."""
    create(organisation, slot, parent, number=number, age=age)


EVENTS: Mapping[str, Callable[..., None]] = {
    "create": create_row,
    "change": change,
    "change_unseen": change_unseen,
    "change_backdated": change_backdated,
    "change_many": change_many,
    "delete": delete,
    "restore": restore,
    "merge": merge,
    "move_contact": move_contact,
    "change_customer": change_customer,
    "change_connection": change_connection,
    "end_connection": end_connection,
    "rename_role": rename_role,
    "recategorise_role": recategorise_role,
    "flip_filter": flip_filter,
    "hide": hide,
    "show": show,
    "expire_delta_tokens": expire_delta_tokens,
}
