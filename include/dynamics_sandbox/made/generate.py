"""An organisation from a seed: realistic in its proportions, and the same on every machine.

Around the planted cases lie rows in the proportions of a sales organisation, about 100 contacts :
40 accounts : 60 opportunities : 80 rows of connections, with merges, exclusions, lost references
and one-sided connections at the rates that years of use leave. Rows are made anew on each pass
over a table, so that a million of them need no memory until somebody keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count, islice
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from dynamics_sandbox.made.outline import Outline, make_outline, small_tables
from dynamics_sandbox.made.people import (
    ODD_AMOUNTS,
    account_columns,
    company_name,
    contact_columns,
    opportunity_columns,
    person_name,
    with_twin,
)
from dynamics_sandbox.made.planted import (
    ROLES,
    Reference,
    guid,
    lookup,
    mirror_connection,
    parent_customer,
)
from dynamics_sandbox.made.texts import DIRTY
from dynamics_sandbox.made.timeline import Dice
from dynamics_sandbox.schema.custom_columns import MARKETO_COLUMNS, SYNC_FILTER
from dynamics_sandbox.schema.standard_tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dynamics_sandbox.schema.table import Rows, Table

SMALLEST = 50
_FILTERS = (True,) * 17 + (None, None, False)
_PARENTS = ("account",) * 15 + ("contact",) + (None,) * 4
_CUSTOMERS = ("account",) * 10 + ("contact",) * 9 + (None,)
_ONE_SIDED = 53  # of so many connections one has lost its mirror
_WORDS = (
    *("stakeholder",) * 8, *("champion", "decision", "influencer", "end_user") * 3,
    *(word for word in ROLES if word != "potential_customer"), None, "missing",
)  # fmt: skip
_NEVER_NULL = frozenset({
    "accountid", "contactid", "opportunityid", "versionnumber", "createdon", "modifiedon",
    "statecode", "statuscode", "merged",
})  # fmt: skip


class MadeRows(Sequence[dict[str, Any]]):
    """The rows of a table, made on each pass; `list` of it keeps them."""

    def __init__(self, length: int, make: Callable[[], Iterator[dict[str, Any]]]) -> None:
        self._length = length
        self._make = make

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._make()

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return list(self)[index]
        place = range(self._length)[index]
        return next(islice(self, place, None))


def generate(*, seed: int, opportunities: int) -> tuple[dict[str, Table], Rows]:
    """Tables and rows of an organisation of this size; it holds every planted case.

    Raises:
        ValueError: fewer opportunities than there are cases to plant.
    """
    if opportunities < SMALLEST:
        raise ValueError(f"every case needs {SMALLEST} opportunities or more, not {opportunities}.")
    outline = make_outline(seed, opportunities)
    rows: dict[str, Sequence[dict[str, Any]]] = {
        "accounts": MadeRows(outline.counts["account"], lambda: _accounts(outline)),
        "contacts": MadeRows(outline.counts["contact"], lambda: _contacts(outline)),
        "opportunities": MadeRows(opportunities, lambda: _opportunities(outline)),
        "connections": MadeRows(outline.counts["connection"], lambda: _connections(outline)),
        **small_tables(outline),
    }
    return {name: _customise_table(table) for name, table in TABLES.items()}, rows


def _customise_table(table: Table) -> Table:
    """The table with what this organisation and the native sync have added to it."""
    if table.name == "contact":
        return table.with_attributes(SYNC_FILTER, *MARKETO_COLUMNS)
    return table.with_attributes(SYNC_FILTER) if table.name in {"account", "opportunity"} else table


def _with_planted(
    outline: Outline, table: str, make: Callable[[int, Dice], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """All rows of a table: the planted ones first, their columns laid over those of any row."""
    dice, timeline, planted = (
        Dice(f"{outline.seed}/{table}"),
        outline.timeline(table),
        outline.planted[table],
    )
    for number in range(outline.counts[table]):
        row = {f"{table}id": guid(outline.seed, table, number), **timeline.stamps(number, dice)}
        row.update(make(number, dice))
        if number < len(planted):
            yield _lay_planted_over(row, planted[number], number)
        else:
            is_bare = number == len(planted) or dice.chance(0.002)
            yield _bare_row(row) if is_bare else row


def _bare_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row with nothing in it but what Dataverse itself sees to."""
    return {
        name: value if name in _NEVER_NULL or name.startswith("_own") else None
        for name, value in row.items()
        if "@" not in name or name.startswith("_own")
    }


def _lay_planted_over(row: dict[str, Any], planted: dict[str, Any], number: int) -> dict[str, Any]:
    """The planted columns over a row; a lookup that they clear loses its table as well.

    Between them the planted rows have every dirty text and odd amount, so that no organisation
    is without.
    """
    kept = {name: row[name] for name in row if name.partition("@")[0] not in planted}
    is_opportunity = "opportunityid" in row
    dirty = number + is_opportunity * len(DIRTY) // 2
    kept["description"] = DIRTY[dirty % len(DIRTY)]
    if is_opportunity:
        amount = ODD_AMOUNTS[number % len(ODD_AMOUNTS)]
        kept.update(with_twin("estimatedvalue", amount, rate=row["exchangerate"]))
    return {**kept, **planted}


def _customer_facts(outline: Outline, table: str, *, number: int, dice: Dice) -> dict[str, Any]:
    """Filter, state and merge of an account or contact: chains of merges, never circles."""
    first = len(outline.planted[table])
    row: dict[str, Any] = {"new_synctomkto": dice.pick(_FILTERS)}
    merged = number > first and dice.chance(0.01)
    survivor = outline.reference(table, dice.randrange(first, number)) if merged else None
    inactive = merged or dice.chance(0.04)
    row.update(merged=merged, statecode=int(inactive), statuscode=1 + int(inactive))
    row.update(lookup("masterid", survivor))
    return row


def _accounts(outline: Outline) -> Iterator[dict[str, Any]]:
    def make(number: int, dice: Dice) -> dict[str, Any]:
        currency = outline.currencies[dice.chance(0.2)]
        parent = outline.any_row("account", dice) if dice.chance(0.1) else None
        contact = outline.any_row("contact", dice) if dice.chance(0.5) else None
        return {
            **account_columns(number, dice, currency),
            **lookup("transactioncurrencyid", currency.reference),
            **lookup("parentaccountid", parent),
            **lookup("primarycontactid", contact),
            **_customer_facts(outline, "account", number=number, dice=dice),
            **dice.pick(outline.owners),
        }

    return _with_planted(outline, "account", make)


def _contacts(outline: Outline) -> Iterator[dict[str, Any]]:
    def make(number: int, dice: Dice) -> dict[str, Any]:
        kind = dice.pick(_PARENTS)
        parent = outline.any_row(kind, dice) if kind else None
        return {
            **contact_columns(number, dice),
            **parent_customer(parent),
            **_customer_facts(outline, "contact", number=number, dice=dice),
            **dice.pick(outline.owners),
        }

    return _with_planted(outline, "contact", make)


def _opportunities(outline: Outline) -> Iterator[dict[str, Any]]:
    def make(number: int, dice: Dice) -> dict[str, Any]:
        currency = outline.currencies[dice.chance(0.2)]
        parties = {table: outline.any_row(table, dice) for table in ("account", "contact")}
        kind = dice.pick(_CUSTOMERS)
        return {
            **opportunity_columns(number, dice, currency),
            **lookup("transactioncurrencyid", currency.reference),
            **lookup("customerid", parties[kind] if kind else None),
            **lookup("parentaccountid", dice.maybe(parties["account"], 0.5)),
            **lookup("parentcontactid", dice.maybe(parties["contact"], 0.5)),
            "new_synctomkto": dice.pick(_FILTERS),
            **dice.pick(outline.owners),
        }

    return _with_planted(outline, "opportunity", make)


def _connections(outline: Outline) -> Iterator[dict[str, Any]]:
    """Planted rows, then mirrored pairs, now and then a single row, up to the count."""
    dice, timeline = Dice(f"{outline.seed}/connection"), outline.timeline("connection")
    links = chain.from_iterable(_links(outline, dice))
    everything = chain(outline.planted["connection"], links)
    for number, row in enumerate(islice(everything, outline.counts["connection"])):
        shared = {
            "name": "Connection",
            **timeline.stamps(number, dice),
            **dice.pick(outline.owners),
        }
        yield {**shared, **row}


def _links(outline: Outline, dice: Dice) -> Iterator[list[dict[str, Any]]]:
    """Connections without end, as pairs of rows; most join an opportunity and a contact."""
    for number in count(1):
        ends = [_thing(outline, dice), _person(outline, dice)]
        if dice.chance(0.4):
            ends.reverse()
        ids = guid(outline.seed, "link", number), guid(outline.seed, "mirror", number)
        one, other = ends
        pair = mirror_connection(ids, (one.reference, other.reference), (one.role, other.role))
        pair[0]["name"], pair[1]["name"] = other.name, one.name
        if dice.chance(0.03):
            for row in pair[dice.randrange(2) :]:
                row.update(statecode=1, statuscode=2)
        yield pair[:1] if number % _ONE_SIDED == 0 else pair


class _End(NamedTuple):
    """One side of a connection."""

    reference: Reference
    name: str
    role: Reference | None


def _thing(outline: Outline, dice: Dice) -> _End:
    """What a person is connected to: an opportunity, seldom an account."""
    if dice.chance(0.1):
        number = outline.any_number("account", dice)
        return _End(outline.reference("account", number), company_name(number), None)
    number = outline.any_number("opportunity", dice)
    return _End(outline.reference("opportunity", number), f"Deal {number}", None)


def _person(outline: Outline, dice: Dice) -> _End:
    """A contact in a role, or in none, or in one that is gone."""
    number, word = outline.any_number("contact", dice), dice.pick(_WORDS)
    role = Reference("connectionrole", guid(outline.seed, "connectionrole", word)) if word else None
    return _End(outline.reference("contact", number), " ".join(person_name(number)), role)
