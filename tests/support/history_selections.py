"""What the user of a history selects: a customer's own columns, their values, and fields files.

Each of the three public tables has the same columns of its own, one of each kind that a fields file
can ask for. A selection goes by its name; what it must give is worked out in `oracle_fields`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_OID, uuid5

from dynamics_sandbox.schema.attribute import LOOKUP_TABLE, Attribute, Behaviour

if TYPE_CHECKING:
    from collections.abc import Mapping

_REGIONS: Final = {1: "North", 2: "South", 3: "East"}
_CHANNELS: Final = {1: "Fair", 2: "Phone", 3: "Web"}

CUSTOM_COLUMNS: Final = (
    Attribute("new_choice", "Picklist", options=_REGIONS),
    Attribute("new_choices", "MultiSelectPicklist", options=_CHANNELS),
    Attribute("new_party", "Lookup", targets=("account", "contact")),
    Attribute("new_helper", "Lookup", targets=("systemuser",)),
    Attribute("new_localtime", "DateTime", behaviour=Behaviour.TIME_ZONE_INDEPENDENT),
    Attribute("new_instant", "DateTime"),
    Attribute("new_day", "DateTime", behaviour=Behaviour.DATE_ONLY),
    Attribute("new_share", "Decimal", precision=4),
    Attribute("new_amount", "Money", precision=2),
    Attribute("new_ratio", "Double", precision=5),
)

# No name stands for two columns of Dynamics, so none is ever refused for that.
SELECTIONS: Final[Mapping[str, str]] = {
    "default": "",
    "rich": """
        [opportunity.fields]
        region = "new_choice"
        channels = "new_choices"
        partner = "new_party"
        helper = "new_helper"
        demo_at = "new_localtime"
        share = "new_share"
        [contact.fields]
        region = "new_choice"
        channels = "new_choices"
        partner = "new_party"
        demo_at = "new_localtime"
        employer = "parentcustomerid"
        is_wanted = "new_synctomkto"
        [account.fields]
        region = "new_choice"
        partner = "new_party"
        called_at = "new_instant"
        opened_on = "new_day"
    """,
    "numbers": """
        [opportunity.fields]
        share = "new_share"
        budget = "new_amount"
        ratio = "new_ratio"
        [contact.fields]
        budget = "new_amount"
        ratio = "new_ratio"
        was_merged = "merged"
        [account.fields]
        share = "new_share"
        budget = "new_amount"
        called_at = "new_instant"
    """,
    "fewer": """
        [opportunity]
        without = ["description", "estimated_value", "stage"]
        [contact]
        without = ["last_name", "job_title", "email", "person_status"]
        [account]
        without = ["company", "annual_revenue", "num_employees"]
    """,
    "bare": """
        [opportunity]
        default = false
        [opportunity.fields]
        region = "new_choice"
        demo_at = "new_localtime"
        [contact]
        default = false
        [account]
        default = false
        [account.fields]
        company = "name"
        partner = "new_party"
        budget = "new_amount"
    """,
    "renamed": """
        [opportunity]
        without = ["name"]
        [opportunity.fields]
        title = "name"
        area = "new_choice"
        [contact]
        without = ["job_title"]
        [contact.fields]
        position = "jobtitle"
        area = "new_choice"
        same_area = "new_choice"
        [account.fields]
        firm = "name"
        ally = "new_party"
    """,
    "mixed": """
        [opportunity]
        without = ["close_probability", "stage"]
        [opportunity.fields]
        region = "new_choice"
        partner = "new_party"
        opened_on = "new_day"
        called_at = "new_instant"
        [contact]
        without = ["last_name"]
        [contact.fields]
        area = "new_choice"
        channels = "new_choices"
        ghost = "new_ghost"
        [account]
        without = ["annual_revenue"]
        [account.fields]
        channels = "new_choices"
        opened_on = "new_day"
        demo_at = "new_localtime"
    """,
}


def custom_values(number: int) -> dict[str, Any]:
    """What a row of any of the tables holds in the customer's columns and as its currency."""
    month, day, hour = 1 + number % 12, 1 + number % 28, number % 24
    moment = f"2025-{month:02}-{day:02}T{hour:02}:30:00Z"
    party = (None, ("account", f"a{number % 7}"), ("contact", f"c{number % 9}"))[number % 3]
    return {
        "new_choice": None if number % 5 == 0 else 1 + number % 3,
        "new_choices": (None, "1", "1,3", "2,3")[number % 4],
        "_new_party_value": party and _guid(party[1]),
        f"_new_party_value{LOOKUP_TABLE}": party and party[0],
        "_new_helper_value": None if number % 4 == 0 else _guid(f"user {number % 3}"),
        "new_localtime": None if number % 7 == 0 else moment,
        "new_instant": None if number % 6 == 0 else moment,
        "new_day": None if number % 8 == 0 else moment[:10],
        "new_share": None if number % 9 == 0 else number / 8,
        "new_amount": None if number % 10 == 0 else number / 4,
        "new_ratio": None if number % 11 == 0 else number / 3,
        "_transactioncurrencyid_value": _guid(f"currency {number % 2}"),
    }


def _guid(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, name))
