"""The outline of a made-up organisation: how many rows of what, and the tables that stay small.

Users, teams, currencies, roles and the organisation's own row are written out here; the large
tables are made from the plan row by row (`generate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dynamics_sandbox.cases import plant
from dynamics_sandbox.history import Dice, History, instant
from dynamics_sandbox.people import Currency, person_name
from dynamics_sandbox.planted import ROLES, Reference, guid, lookup

_SHARES = {"contact": 100, "account": 40, "opportunity": 60, "connection": 80}
_NUMBERS = {name: number for number, name in enumerate(_SHARES)}
_USERS, _TEAMS = 20, 3
_FOUNDED = instant(1_600_000_000)


@dataclass(frozen=True)
class Plan:
    """How many rows there will be, and the planted ones among them, which come first."""

    seed: int
    planted: dict[str, list[dict[str, Any]]]
    counts: dict[str, int]
    currencies: tuple[Currency, ...]
    owners: tuple[dict[str, Any], ...]  # the owning columns, users far more often than teams

    def history(self, table: str) -> History:
        longest = max(self.counts.values())
        return History(table_number=_NUMBERS[table], count=self.counts[table], longest=longest)

    def reference(self, table: str, number: int) -> Reference:
        return Reference(table, guid(self.seed, table, number))

    def any_number(self, table: str, dice: Dice) -> int:
        """The number of a row that belongs to no case."""
        return dice.between(len(self.planted[table]), self.counts[table] - 1)

    def any(self, table: str, dice: Dice) -> Reference:
        """A row that belongs to no case; one in five hundred isn't there."""
        number = -1 if dice.chance(0.002) else self.any_number(table, dice)
        return self.reference(table, number)


def planned(seed: int, opportunities: int) -> Plan:
    """The plan of an organisation of this size, with room for rows around the planted ones."""
    cases = plant(seed)
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
    return Plan(seed, planted, counts, currencies, owners=_owners(seed))


def _owners(seed: int) -> tuple[dict[str, Any], ...]:
    users = [Reference("systemuser", guid(seed, "systemuser", number)) for number in range(_USERS)]
    teams = [Reference("team", guid(seed, "team", number)) for number in range(_TEAMS)]
    return tuple(
        {
            **lookup("ownerid", owner),
            **lookup("owningteam", owner if owner in teams else None),
            **lookup("owninguser", owner if owner in users else None),
        }
        for owner in (*users, *teams)
    )


def small_tables(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """Every row of the tables that don't grow with the organisation, by set name."""
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
    everything = [row for rows in made.values() for row in rows]
    for version, row in enumerate(everything, 1000):
        row.update(versionnumber=version, createdon=_FOUNDED, modifiedon=_FOUNDED)
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


def _user(plan: Plan, number: int) -> dict[str, Any]:
    first, last = person_name(number + 7)
    return {
        "systemuserid": plan.reference("systemuser", number).id,
        "fullname": f"{first} {last}",
        "firstname": first,
        "lastname": last,
        "internalemailaddress": f"user{number}@example.test",
        "isdisabled": number == _USERS - 1,
        "accessmode": 0,
    }


def _organization(plan: Plan) -> dict[str, Any]:
    return {
        "organizationid": guid(plan.seed, "organization"),
        "name": "sandbox",
        "languagecode": 1033,
        "expirechangetrackingindays": 7,
        **lookup("basecurrencyid", plan.currencies[0].reference),
    }
