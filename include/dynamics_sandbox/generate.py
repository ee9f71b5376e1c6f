"""An organisation from a seed: realistic in its proportions, and the same on every machine.

Around the planted cases lie rows in the proportions of a sales organisation, about 100 contacts :
40 accounts : 60 opportunities : 80 rows of connections, with merges, exclusions, lost references
and one-sided connections at the rates that years of use leave. Rows are made anew on each pass
over a table, so that a million of them need no memory until somebody keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

from dynamics_sandbox.cases import plant
from dynamics_sandbox.history import Dice, History, instant
from dynamics_sandbox.people import (
    Currency,
    account_columns,
    company_name,
    contact_columns,
    opportunity_columns,
    person_name,
)
from dynamics_sandbox.planted import (
    ROLES,
    Planted,
    Reference,
    guid,
    lookup,
    mirrored,
    parent_customer,
)
from dynamics_sandbox.schema import MARKETO_COLUMNS, SYNC_FILTER, TABLES, Rows, Table
from dynamics_sandbox.texts import DIRTY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SMALLEST = 50
_SHARES = {"contact": 100, "account": 40, "opportunity": 60, "connection": 80}
_NUMBERS = {name: number for number, name in enumerate(_SHARES)}
_USERS, _TEAMS = 20, 3
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

    def __init__(self, count: int, make: Callable[[], Iterator[dict[str, Any]]]) -> None:
        self._count = count
        self._make = make

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._make()

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return list(self)[index]
        place = range(self._count)[index]
        return next(islice(self, place, None))


@dataclass(frozen=True)
class _Plan:
    """How many rows there will be, and the planted ones among them, which come first."""

    seed: int
    planted: dict[str, list[dict[str, Any]]]
    counts: dict[str, int]
    currencies: tuple[Currency, ...]

    def history(self, table: str) -> History:
        longest = max(self.counts.values())
        return History(table_number=_NUMBERS[table], count=self.counts[table], longest=longest)

    def reference(self, table: str, number: int) -> Reference:
        return Reference(table, guid(self.seed, table, number))

    def any_number(self, table: str, dice: Dice) -> int:
        """The number of a row that belongs to no case."""
        return dice.randrange(len(self.planted[table]), self.counts[table])

    def any(self, table: str, dice: Dice) -> Reference:
        """A row that belongs to no case; one in five hundred isn't there."""
        number = -1 if dice.chance(0.002) else self.any_number(table, dice)
        return self.reference(table, number)

    def owner(self, dice: Dice) -> dict[str, Any]:
        team = dice.chance(0.15)
        table, many = ("team", _TEAMS) if team else ("systemuser", _USERS)
        owner = self.reference(table, dice.randrange(many))
        return {
            **lookup("ownerid", owner),
            **lookup("owningteam", owner if team else None),
            **lookup("owninguser", None if team else owner),
        }


def generate(*, seed: int, opportunities: int) -> tuple[dict[str, Table], Rows]:
    """Tables and rows of an organisation of this size; it holds every planted case.

    Raises:
        ValueError: fewer opportunities than there are cases to plant.
    """
    if opportunities < SMALLEST:
        raise ValueError(f"every case needs {SMALLEST} opportunities or more, not {opportunities}.")
    plan = _planned(seed, opportunities)
    rows: dict[str, Sequence[dict[str, Any]]] = {
        "accounts": MadeRows(plan.counts["account"], lambda: _accounts(plan)),
        "contacts": MadeRows(plan.counts["contact"], lambda: _contacts(plan)),
        "opportunities": MadeRows(opportunities, lambda: _opportunities(plan)),
        "connections": MadeRows(plan.counts["connection"], lambda: _connections(plan)),
        **_small_tables(plan),
    }
    return {name: _customised(table) for name, table in TABLES.items()}, rows


def _customised(table: Table) -> Table:
    """The table with what this organisation and the native sync have added to it."""
    if table.name == "contact":
        return table.with_attributes(SYNC_FILTER, *MARKETO_COLUMNS)
    return table.with_attributes(SYNC_FILTER) if table.name in {"account", "opportunity"} else table


def _planned(seed: int, opportunities: int) -> _Plan:
    cases: Planted = plant(seed)
    planted = {name: [row for row in rows.values() if row] for name, rows in cases.rows.items()}
    counts = {
        name: max(opportunities * share // _SHARES["opportunity"], len(planted[name]) + 8)
        for name, share in _SHARES.items()
    }
    counts["opportunity"] = opportunities
    base = Reference("transactioncurrency", guid(seed, "currency", 0))
    other = Reference("transactioncurrency", guid(seed, "currency", 1))
    currencies = (
        Currency(base, "US Dollar", "USD", "$", 2, Decimal(1)),
        Currency(other, "Kuwaiti Dinar", "KWD", "د.ك", 3, Decimal("0.307654321")),
    )
    return _Plan(seed, planted, counts, currencies)


def _with_planted(
    plan: _Plan, table: str, make: Callable[[int, Dice], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """All rows of a table: the planted ones first, their columns laid over those of any row."""
    dice, history, planted = Dice(f"{plan.seed}/{table}"), plan.history(table), plan.planted[table]
    for number in range(plan.counts[table]):
        row = {f"{table}id": guid(plan.seed, table, number), **history.stamps(number, dice)}
        row.update(make(number, dice))
        if number < len(planted):
            yield _laid_over(row, planted[number], number)
        else:
            is_bare = number == len(planted) or dice.chance(0.002)
            yield _bare(row) if is_bare else row


def _bare(row: dict[str, Any]) -> dict[str, Any]:
    """A row with nothing in it but what Dataverse itself sees to."""
    return {
        name: value if name in _NEVER_NULL or name.startswith("_own") else None
        for name, value in row.items()
        if "@" not in name or name.startswith("_own")
    }


def _laid_over(row: dict[str, Any], planted: dict[str, Any], number: int) -> dict[str, Any]:
    """The planted columns over a row; a lookup that they clear loses its table as well.

    Between them the planted rows have every dirty text, so that no organisation is without.
    """
    dirty = number + (len(DIRTY) // 2 if "opportunityid" in row else 0)
    kept = {name: row[name] for name in row if name.partition("@")[0] not in planted}
    return {**kept, "description": DIRTY[dirty % len(DIRTY)], **planted}


def _sync_filter(dice: Dice) -> bool | None:
    draw = dice.random()
    return None if draw < 0.1 else draw < 0.95


def _customer_facts(plan: _Plan, table: str, number: int, dice: Dice) -> dict[str, Any]:
    """Filter, state and merge of an account or contact: chains of merges, never circles."""
    first = len(plan.planted[table])
    row: dict[str, Any] = {"new_synctomkto": _sync_filter(dice)}
    merged = number > first and dice.chance(0.01)
    survivor = plan.reference(table, dice.randrange(first, number)) if merged else None
    inactive = merged or dice.chance(0.04)
    row.update(merged=merged, statecode=int(inactive), statuscode=1 + int(inactive))
    row.update(lookup("masterid", survivor))
    return row


def _accounts(plan: _Plan) -> Iterator[dict[str, Any]]:
    def make(number: int, dice: Dice) -> dict[str, Any]:
        currency = plan.currencies[dice.chance(0.2)]
        parent = plan.any("account", dice) if dice.chance(0.1) else None
        contact = plan.any("contact", dice) if dice.chance(0.5) else None
        return {
            **account_columns(number, dice, currency),
            **lookup("transactioncurrencyid", currency.reference),
            **lookup("parentaccountid", parent),
            **lookup("primarycontactid", contact),
            **_customer_facts(plan, "account", number, dice),
            **plan.owner(dice),
        }

    return _with_planted(plan, "account", make)


def _contacts(plan: _Plan) -> Iterator[dict[str, Any]]:
    def make(number: int, dice: Dice) -> dict[str, Any]:
        draw = dice.random()
        parent = plan.any("account", dice) if draw < 0.75 else None
        if draw > 0.97:
            parent = plan.any("contact", dice)
        return {
            **contact_columns(number, dice),
            **parent_customer(parent),
            **_customer_facts(plan, "contact", number, dice),
            **plan.owner(dice),
        }

    return _with_planted(plan, "contact", make)


def _opportunities(plan: _Plan) -> Iterator[dict[str, Any]]:
    def make(number: int, dice: Dice) -> dict[str, Any]:
        currency = plan.currencies[dice.chance(0.2)]
        draw = dice.random()
        account, contact = plan.any("account", dice), plan.any("contact", dice)
        customer = account if draw < 0.5 else contact if draw < 0.93 else None
        return {
            **opportunity_columns(number, dice, currency),
            **lookup("transactioncurrencyid", currency.reference),
            **lookup("customerid", customer),
            **lookup("parentaccountid", dice.maybe(account, 0.5)),
            **lookup("parentcontactid", dice.maybe(contact, 0.5)),
            "new_synctomkto": _sync_filter(dice),
            **plan.owner(dice),
        }

    return _with_planted(plan, "opportunity", make)


def _connections(plan: _Plan) -> Iterator[dict[str, Any]]:
    """Planted rows, then mirrored pairs, now and then a single row, up to the count."""
    dice, history = Dice(f"{plan.seed}/connection"), plan.history("connection")
    links = (row for pair in _links(plan, dice) for row in pair)
    rows = (*plan.planted["connection"],)
    everything = (row for source in (rows, links) for row in source)
    for number, row in enumerate(islice(everything, plan.counts["connection"])):
        shared = {"name": "Connection", **history.stamps(number, dice), **plan.owner(dice)}
        yield {**shared, **row}


def _links(plan: _Plan, dice: Dice) -> Iterator[list[dict[str, Any]]]:
    """Connections without end, as pairs of rows; most join an opportunity and a contact."""
    number = 0
    while True:
        number += 1
        ids = guid(plan.seed, "link", number), guid(plan.seed, "mirror", number)
        deal, person = plan.any_number("opportunity", dice), plan.any_number("contact", dice)
        names = [f"Deal {deal}", " ".join(person_name(person))]
        one, other = plan.reference("opportunity", deal), plan.reference("contact", person)
        if dice.chance(0.1):
            company = plan.any_number("account", dice)
            one, names[0] = plan.reference("account", company), company_name(company)
        word = dice.pick(_WORDS)
        role = (
            Reference("connectionrole", guid(plan.seed, "connectionrole", word)) if word else None
        )
        ends, roles = ((one, other), (None, role))
        if dice.chance(0.4):
            ends, roles, names = ends[::-1], roles[::-1], names[::-1]
        pair = mirrored(ids, ends, roles)
        pair[0]["name"], pair[1]["name"] = names[1], names[0]
        if dice.chance(0.03):
            for row in pair[dice.randrange(2) :]:
                row.update(statecode=1, statuscode=2)
        yield pair[:1] if number % _ONE_SIDED == 0 else pair


def _small_tables(plan: _Plan) -> dict[str, list[dict[str, Any]]]:
    made = {
        "connectionroles": [
            {
                "connectionroleid": guid(plan.seed, "connectionrole", word),
                "name": name,
                "category": category,
                "statecode": state,
                "statuscode": 1 + state,
                "componentstate": 0,
            }
            for word, (name, category, state) in ROLES.items()
        ],
        "transactioncurrencies": [_currency(currency) for currency in plan.currencies],
        "systemusers": [_user(plan, number) for number in range(_USERS)],
        "teams": [
            {"teamid": plan.reference("team", number).id, "name": f"Team {number}", "teamtype": 0}
            for number in range(_TEAMS)
        ],
        "organizations": [_organization(plan)],
    }
    start = instant(1_600_000_000)
    everything = [row for rows in made.values() for row in rows]
    for version, row in enumerate(everything, 1000):
        row.update(versionnumber=version, createdon=start, modifiedon=start)
    return made


def _currency(currency: Currency) -> dict[str, Any]:
    return {
        "transactioncurrencyid": currency.reference.id,
        "currencyname": currency.name,
        "isocurrencycode": currency.code,
        "currencysymbol": currency.symbol,
        "currencyprecision": currency.precision,
        "exchangerate": currency.rate,
        "currencytype": 0,
        "statecode": 0,
        "statuscode": 1,
    }


def _user(plan: _Plan, number: int) -> dict[str, Any]:
    first, last = person_name(number + 7)
    return {
        "systemuserid": plan.reference("systemuser", number).id,
        "fullname": f"{first} {last}",
        "firstname": first,
        "lastname": last,
        "internalemailaddress": f"user{number}@example.test",
        "isdisabled": number % 7 == 6,
        "accessmode": 0,
    }


def _organization(plan: _Plan) -> dict[str, Any]:
    return {
        "organizationid": guid(plan.seed, "organization"),
        "name": "sandbox",
        "languagecode": 1033,
        "expirechangetrackingindays": 7,
        **lookup("basecurrencyid", plan.currencies[0].reference),
    }
