"""One opportunity for each case of the association rules, in every generated organisation.

Chance alone would miss most of them in a small organisation. A planted opportunity is called
`Case: <names>`, so a test finds it by the name of its case (`cases`); other rows never touch it.
Here are only the columns that make the case; everything else is filled in like any other row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from dynamics_sandbox.schema.attribute import LOOKUP_TABLE
from dynamics_sandbox.schema.standard_tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CASE_PREFIX = "Case: "
OBJECT_TYPE_CODES = {"lead": 4, **{table.name: table.object_type_code for table in TABLES.values()}}


class Reference(NamedTuple):
    """What a lookup holds: a table and the id of a row, which need not exist."""

    table: str
    id: str


def guid(seed: int, *parts: object) -> str:
    """The id of a row: the same for the same seed, in no order at all."""
    text = f"{seed}/{'/'.join(map(str, parts))}"
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"


def lookup(name: str, reference: Reference | None) -> dict[str, Any]:
    """A lookup's property and, unless it is empty, its table beside it."""
    if reference is None:
        return {f"_{name}_value": None}
    return {f"_{name}_value": reference.id, f"_{name}_value{LOOKUP_TABLE}": reference.table}


# name, category, statecode by a word of our own: names repeat and can be renamed.
ROLES: Mapping[str, tuple[str, int | None, int]] = {
    "stakeholder": ("Stakeholder", 1000, 0),
    "champion": ("Champion", 1000, 0),
    "decision": ("Decision Maker", 1000, 0),
    "end_user": ("End User", 1000, 0),
    "economic": ("Économic Buyer / 決裁者", 1000, 0),
    "influencer": ("Influencer", 1000, 0),
    "influencer_again": ("Influencer", 1000, 0),
    "technical": ("Technical Buyer", 1000, 0),
    "renamed": ("Sponsor (formerly: Champion, do not use)", 1000, 0),
    "retired": ("Gatekeeper", 1000, 1),
    "potential_customer": ("Potential Customer", 1000, 0),
    "namesake": ("Stakeholder", 5, 0),
    "business": ("Partner", 1, 0),
    "family": ("Spouse/Partner", 2, 0),
    "social": ("Friend", 3, 0),
    "sales": ("Referral", 4, 0),
    "other": ("Beneficiary", 5, 0),
    "sales_team": ("Account Manager", 1001, 0),
    "service": ("Service Professional", 1002, 0),
    "legacy": ('Legacy "role", n/a', None, 1),
}


@dataclass
class Planted:
    """Rows that make the cases, by id, as the columns that matter."""

    seed: int
    rows: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {
            name: {} for name in ("account", "contact", "opportunity", "connection")
        }
    )

    def _add(self, table: str, columns: dict[str, Any]) -> Reference:
        reference = Reference(table, guid(self.seed, table, len(self.rows[table])))
        self.rows[table][reference.id] = {f"{table}id": reference.id, **columns}
        return reference

    def missing_row(self, table: str) -> Reference:
        """A reference to a row that isn't there."""
        return Reference(table, guid(self.seed, "missing", table))

    def role(self, word: str) -> Reference:
        return Reference("connectionrole", guid(self.seed, "connectionrole", word))

    def account(self, **columns: Any) -> Reference:
        return self._add("account", {**_CUSTOMER, **lookup("parentaccountid", None), **columns})

    def contact(self, parent: Reference | None = None, **columns: Any) -> Reference:
        return self._add("contact", {**_CUSTOMER, **parent_customer(parent), **columns})

    def opportunity(
        self, *cases: str, customer: Reference | None = None, **columns: Any
    ) -> Reference:
        links = {**lookup("parentaccountid", None), **lookup("parentcontactid", None)}
        open_state = {"new_synctomkto": True, "statecode": 0, "statuscode": 1}
        name = {"name": CASE_PREFIX + ", ".join(cases)}
        return self._add(
            "opportunity",
            {**links, **lookup("customerid", customer), **open_state, **name, **columns},
        )

    def merge(self, loser: Reference, survivor: Reference) -> None:
        """Mark a row as merged into another; what points at it stays as it is."""
        marks = {"merged": True, "statecode": 1, "statuscode": 2, **lookup("masterid", survivor)}
        self.rows[loser.table][loser.id].update(marks)

    def connect(
        self,
        one: Reference,
        other: Reference,
        *,
        roles: tuple[str | None, str | None] = (None, "stakeholder"),
    ) -> tuple[str, str]:
        """Two mirrored rows, the first entered from `one`; roles are those of the parties."""
        first = guid(self.seed, "connection", len(self.rows["connection"]))
        second = guid(self.seed, "connection", len(self.rows["connection"]) + 1)
        known = tuple(None if word is None else self.role(word) for word in roles)
        pair = mirror_connection((first, second), (one, other), known)
        self.rows["connection"].update(zip((first, second), pair, strict=True))
        return first, second

    def change(self, connections: Iterable[str], **columns: Any) -> None:
        """Change rows of connections."""
        for row_id in connections:
            self.rows["connection"][row_id].update(columns)

    def remove(self, connection: str) -> None:
        """Lose one row of a connection; its twin still names it."""
        self.rows["connection"][connection] = {}

    def user(self) -> Reference:
        return Reference("systemuser", guid(self.seed, "systemuser", 0))


_CUSTOMER = {
    "new_synctomkto": True, "statecode": 0, "statuscode": 1, "merged": False,
    "_masterid_value": None,
}  # fmt: skip


def parent_customer(parent: Reference | None) -> dict[str, Any]:
    """The parent of a contact and the read-only columns that mirror it."""
    row = lookup("parentcustomerid", parent)
    for mirror, table in (("accountid", "account"), ("parentcontactid", "contact")):
        row.update(lookup(mirror, parent if parent and parent.table == table else None))
    return row


def mirror_connection(
    ids: tuple[str, str], ends: tuple[Reference, Reference], roles: tuple[Reference | None, ...]
) -> list[dict[str, Any]]:
    """Both rows of a connection: ends and roles swapped, each naming the other."""
    rows = []
    for own, order in ((0, (0, 1)), (1, (1, 0))):
        row: dict[str, Any] = {
            "connectionid": ids[own],
            "ismaster": own == 0,
            "statecode": 0,
            "statuscode": 1,
        }
        row.update(lookup("relatedconnectionid", Reference("connection", ids[1 - own])))
        for number, end in enumerate(order, start=1):
            row.update(lookup(f"record{number}id", ends[end]))
            row.update(lookup(f"record{number}roleid", roles[end]))
            row[f"record{number}objecttypecode"] = OBJECT_TYPE_CODES[ends[end].table]
        rows.append(row)
    return rows


def cases(rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, str]:
    """The planted opportunities' ids by the names of their cases."""
    planted = (
        row for row in rows["opportunities"] if str(row.get("name") or "").startswith(CASE_PREFIX)
    )
    return {
        case: row["opportunityid"]
        for row in planted
        for case in row["name"].removeprefix(CASE_PREFIX).split(", ")
    }
