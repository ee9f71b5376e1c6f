"""What stands in made-up rows besides the links between them: names, addresses, money, choices.

A part of the rows has the dirty texts of real organisations, wherever their length allows it, and
every column that may be null sometimes is.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from dynamics_sandbox.made import texts
from dynamics_sandbox.made.timeline import Dice, instant, some_day

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynamics_sandbox.made.planted import Reference

_DIRTY, _DIRTY_OR_NONE = 0.03, 0.1
_SHORT = 20  # fits the shortest text columns
_SHORT_DIRTY = tuple(text for text in texts.DIRTY if len(text) <= _SHORT)
ODD_AMOUNTS = (
    Decimal(0), Decimal("0.0000"), Decimal("-0.01"), Decimal("-2500.5000"), Decimal("0.0001"),
    Decimal("0.1"), Decimal(1000000), Decimal("12.345"), Decimal("999999999999.9999"),
    Decimal("-1000000000000.0000"), Decimal("123456789012.34"), Decimal("7.00"),
)  # fmt: skip
_FOUR_PLACES = Decimal("0.0001")
_PLACES = (Decimal(1), Decimal("0.1"), Decimal("0.01"), Decimal("0.001"), _FOUR_PLACES)


class Currency(NamedTuple):
    """A currency's row and its rate to the organisation's base currency."""

    reference: Reference
    name: str
    code: str
    symbol: str
    precision: int
    rate: Decimal


def money(dice: Dice, currency: Currency, *names: str) -> dict[str, Any]:
    """Amounts with their twins in base currency; most have four decimals, as on the wire."""
    row: dict[str, Any] = {"exchangerate": currency.rate}
    for name in names:
        row.update(with_twin(name, _amount(dice), rate=currency.rate))
    return row


def with_twin(name: str, amount: Decimal | None, *, rate: Decimal) -> dict[str, Decimal | None]:
    """An amount and what it is in the organisation's base currency."""
    return {name: amount, f"{name}_base": amount and (amount / rate).quantize(_FOUR_PLACES)}


def _amount(dice: Dice) -> Decimal | None:
    if dice.chance(0.2):
        return None
    if dice.chance(0.06):
        return dice.pick(ODD_AMOUNTS)
    cents = Decimal(dice.between(1, 5_000_000))
    if dice.chance(0.2):
        return cents * dice.pick(_PLACES)
    return cents.scaleb(-2).quantize(_FOUR_PLACES)


def text(dice: Dice, clean: str | None, *, short: bool = False) -> str | None:
    """A clean text, or now and then a dirty one or none."""
    draw = dice.random()
    if draw > _DIRTY_OR_NONE:
        return clean
    return dice.pick(_SHORT_DIRTY if short else texts.DIRTY) if draw < _DIRTY else None


def memo(dice: Dice) -> str | None:
    """A description: mostly none, now and then a long one or HTML."""
    if dice.chance(0.6):
        return None
    if dice.chance(0.05):
        return dice.pick((texts.LONG_MEMO, texts.HTML_MEMO))
    return text(dice, f"Met at the fair, asked for {dice.pick(texts.PRODUCTS)}.")


def person_name(number: int) -> tuple[str, str]:
    """First and last name of the contact with this number."""
    mixed = number * 2_654_435_761 % 2**32
    first, last = texts.FIRST_NAMES, texts.LAST_NAMES
    return first[mixed % len(first)], last[mixed // 64 % len(last)]


def company_name(number: int) -> str:
    """The name of the account with this number."""
    mixed = number * 2_654_435_761 % 2**32
    words, ends = texts.COMPANY_WORDS, texts.COMPANY_ENDS
    return f"{words[mixed % len(words)]} {ends[mixed // 64 % len(ends)]}"


def phone(dice: Dice) -> str | None:
    """A telephone number; zeros and signs at its start count."""
    if dice.chance(0.3):
        return None
    number = int(dice.random() * 1e8)
    return dice.pick((f"+{number}", f"0{number} ext. 0"))


@cache
def _ready_parts(make: Callable[[Dice], dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Parts of rows made beforehand: neighbours share an address, and making each takes long."""
    dice = Dice(make.__name__)
    return tuple(make(dice) for _ in range(1009))


def _address(dice: Dice) -> dict[str, Any]:
    """A postal address; parts of it can be missing."""
    city, state, country, postal_code = dice.pick(texts.CITIES)
    return {
        "address1_line1": text(dice, f"{dice.between(1, 400)} Market Street"),
        "address1_line2": dice.maybe("c/o reception, 2nd floor", 0.15),
        "address1_line3": text(dice, None),
        "address1_city": text(dice, city),
        "address1_stateorprovince": text(dice, state),
        "address1_postalcode": text(dice, postal_code, short=True),
        "address1_country": text(dice, country),
    }


def contact_columns(number: int, dice: Dice) -> dict[str, Any]:
    """A person, without links, states and times."""
    first, last = person_name(number)
    first_name, last_name = text(dice, first), text(dice, last) or last
    return {
        "fullname": f"{first_name or ''} {last_name}".strip(),
        "firstname": first_name,
        "middlename": dice.maybe("J.", 0.1),
        "lastname": last_name,
        "salutation": text(dice, dice.pick(("Dr.", "Mme", "Mr.", None))),
        "emailaddress1": dice.maybe(f"contact{number}@example.test", 0.9),
        "jobtitle": text(dice, dice.pick(texts.JOBS)),
        "telephone1": phone(dice),
        "telephone2": phone(dice),
        "mobilephone": phone(dice),
        **dice.pick(_ready_parts(_address)),
        "birthdate": dice.maybe(some_day(dice, 1940, 2005), 0.3),
        **dice.pick(_ready_parts(_permissions)),
        "description": memo(dice),
        **(dice.pick(_ready_parts(_marketo_columns)) if dice.chance(0.5) else {}),
    }


def _permissions(dice: Dice) -> dict[str, Any]:
    return {
        "preferredcontactmethodcode": dice.maybe(dice.between(1, 5), 0.9),
        "donotphone": dice.chance(0.1),
        "donotbulkemail": dice.chance(0.2),
        "donotemail": dice.maybe(dice.chance(0.1), 0.98),
        "donotfax": dice.chance(0.5),
        "donotsendmm": dice.chance(0.1),
    }


def _marketo_columns(dice: Dice) -> dict[str, Any]:
    moment = instant(1_700_000_000 + dice.between(0, 40_000_000))
    return {
        "mkt_leadscore": dice.between(-10, 250),
        "mkt_priority": dice.maybe(dice.between(1, 5)),
        "mkt_urgency": dice.maybe(dice.between(0, 4)),
        "mkt_relativescore": dice.maybe(dice.between(0, 4)),
        "mkt_lastinterestingmomentdate": moment,
        "mkt_lastinterestingmomenttype": dice.pick(("Email", "Milestone", "Web")),
        "mkt_leadinterestingmomentsource": text(dice, "Web Page"),
        "mkt_lastinterestingmomentdesc": text(dice, "Visited /pricing?plan=pro&lang=en"),
    }


def account_columns(number: int, dice: Dice, currency: Currency) -> dict[str, Any]:
    """A company, without links, states and times."""
    return {
        "name": text(dice, company_name(number)) or company_name(number),
        "accountnumber": dice.maybe(f"{number:08}", 0.9),
        **dice.pick(_ready_parts(_address)),
        "telephone1": phone(dice),
        "emailaddress1": dice.maybe(f"office{number}@example.test", 0.6),
        "businesstypecode": dice.maybe(1, 0.9),
        "industrycode": dice.maybe(dice.between(1, 33)),
        **money(dice, currency, "revenue"),
        "numberofemployees": dice.maybe(dice.between(0, 90_000), 0.7),
        "sic": text(dice, f"{dice.between(0, 9999):04}", short=True),
        "websiteurl": dice.maybe(f"https://example.test/{number}?a=1&b=ä", 0.5),
        "description": memo(dice),
    }


def opportunity_columns(number: int, dice: Dice, currency: Currency) -> dict[str, Any]:
    """A deal, without links and times; a closed one has its date and value."""
    state, status = dice.pick(((0, 1), (0, 1), (0, 1), (0, 2), (1, 3), (1, 3), (2, 4), (2, 5)))
    row = {
        "name": text(dice, f"{dice.pick(texts.PRODUCTS)} {number}") or f"Deal {number}",
        "description": memo(dice),
        **money(dice, currency, "estimatedvalue", "budgetamount", "totalamount"),
        "estimatedclosedate": dice.maybe(some_day(dice, 2024, 2027)),
        "closeprobability": dice.maybe(dice.between(0, 100), 0.7),
        "salesstage": dice.maybe(dice.between(0, 3)),
        "opportunityratingcode": dice.between(1, 3),
        "stepname": dice.maybe("1-Qualify", 0.5),
        "statecode": state,
        "statuscode": status,
    }
    if state:
        row["actualclosedate"] = dice.maybe(some_day(dice, 2023, 2025), 0.98)
        row.update(money(dice, currency, "actualvalue"))
    return row
