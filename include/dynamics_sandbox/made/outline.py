"""The outline of a made-up organisation: how many rows of what, and the tables that stay small.

Users, teams, currencies, roles and the organisation's own row are written out here; the large
tables are made from the outline row by row (`generate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dynamics_sandbox.made.cases import plant
from dynamics_sandbox.made.people import Currency, person_name
from dynamics_sandbox.made.planted import ROLES, Reference, guid, lookup
from dynamics_sandbox.made.timeline import Dice, Timeline, instant

_SHARES = {"contact": 100, "account": 40, "opportunity": 60, "connection": 80}
_NUMBERS = {name: number for number, name in enumerate(_SHARES)}
_USERS, _TEAMS = 20, 3
_FOUNDED = instant(1_600_000_000)


@dataclass(frozen=True)
class Outline:
    """How many rows there will be, and the planted ones among them, which come first."""

    seed: int
    planted: dict[str, list[dict[str, Any]]]
    counts: dict[str, int]
    currencies: tuple[Currency, ...]
    owners: tuple[dict[str, Any], ...]  # the owning columns, users far more often than teams

    def timeline(self, table: str) -> Timeline:
        longest = max(self.counts.values())
        return Timeline(table_number=_NUMBERS[table], count=self.counts[table], longest=longest)

    def reference(self, table: str, number: int) -> Reference:
        return Reference(table, guid(self.seed, table, number))

    def any_number(self, table: str, dice: Dice) -> int:
        """The number of a row that belongs to no case."""
        return dice.between(len(self.planted[table]), self.counts[table] - 1)

    def any_row(self, table: str, dice: Dice) -> Reference:
        """A row that belongs to no case; one in five hundred isn't there."""
        number = -1 if dice.chance(0.002) else self.any_number(table, dice)
        return self.reference(table, number)


def make_outline(seed: int, opportunities: int) -> Outline:
    """The outline of an organisation of this size, with room for rows around the planted ones."""
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
    return Outline(seed, planted, counts, currencies, owners=_owners(seed))


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


def small_tables(outline: Outline) -> dict[str, list[dict[str, Any]]]:
    """Every row of the tables that don't grow with the organisation, by set name."""
    made = {
        "connectionroles": [
            {
                "connectionroleid": guid(outline.seed, "connectionrole", word),
                "name": name,
                "category": category,
                "statecode": state,
                "statuscode": 1 + state,
                "componentstate": 0,
            }
            for word, (name, category, state) in ROLES.items()
        ],
        "transactioncurrencies": [_currency(currency) for currency in outline.currencies],
        "systemusers": [_user(outline, number) for number in range(_USERS)],
        "teams": [
            {
                "teamid": outline.reference("team", number).id,
                "name": f"Team {number}",
                "teamtype": 0,
            }
            for number in range(_TEAMS)
        ],
        "organizations": [_organization(outline)],
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


def _user(outline: Outline, number: int) -> dict[str, Any]:
    first, last = person_name(number + 7)
    return {
        "systemuserid": outline.reference("systemuser", number).id,
        "fullname": f"{first} {last}",
        "firstname": first,
        "lastname": last,
        "internalemailaddress": f"user{number}@example.test",
        "isdisabled": number == _USERS - 1,
        "accessmode": 0,
    }


def _organization(outline: Outline) -> dict[str, Any]:
    return {
        "organizationid": guid(outline.seed, "organization"),
        "name": "sandbox",
        "languagecode": 1033,
        "expirechangetrackingindays": 7,
        **lookup("basecurrencyid", outline.currencies[0].reference),
    }
