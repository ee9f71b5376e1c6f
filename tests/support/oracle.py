"""What the store must hold for an organisation as it is: the contract in plain loops.

It shares no code and no table of names with the product: column by column it is written down
again from the contract, and every rule is a walk over dicts. Slow and obvious on purpose.
`expected_store` and `actual_store` give the same shape, so a test compares two dicts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from dynamics_sandbox import Organisation
    from dynamics_sandbox.schema.attribute import Attribute

Record = dict[str, Any]
LOOKUP_TYPE = "@Microsoft.Dynamics.CRM.lookuplogicalname"
LABELS = "label of"

BOOKKEEPING = {
    "owner_id": "_ownerid_value",
    "owner_type": "_ownerid_value" + LOOKUP_TYPE,
    "created_at": "createdon",
    "modified_at": "modifiedon",
    "version_number": "versionnumber",
}
COLUMNS: dict[str, dict[str, str]] = {
    "opportunity": {
        "opportunity_id": "opportunityid",
        "customer_id": "_customerid_value",
        "customer_type": "_customerid_value" + LOOKUP_TYPE,
        "name": "name",
        "description": "description",
        "close_probability": "closeprobability",
        "stage_code": "statecode",
        "stage_label": "label of statecode",
        "actual_close_date": "actualclosedate",
        "estimated_value": "estimatedvalue",
        "currency_id": "_transactioncurrencyid_value",
        **BOOKKEEPING,
    },
    "account": {
        "account_id": "accountid",
        "company": "name",
        "account_number": "accountnumber",
        "billing_address": "address1_line1",
        "billing_address_2": "address1_line2",
        "billing_address_3": "address1_line3",
        "billing_city": "address1_city",
        "billing_country": "address1_country",
        "billing_postal_code": "address1_postalcode",
        "main_phone": "telephone1",
        "business_type_code": "businesstypecode",
        "business_type_label": "label of businesstypecode",
        "company_status_code": "statecode",
        "company_status_label": "label of statecode",
        "annual_revenue": "revenue",
        "company_notes": "description",
        "industry_code": "industrycode",
        "industry_label": "label of industrycode",
        "sic_code": "sic",
        "website": "websiteurl",
        "num_employees": "numberofemployees",
        "currency_id": "_transactioncurrencyid_value",
        **BOOKKEEPING,
    },
    "contact": {
        "contact_id": "contactid",
        "salutation": "salutation",
        "first_name": "firstname",
        "middle_name": "middlename",
        "last_name": "lastname",
        "email": "emailaddress1",
        "job_title": "jobtitle",
        "phone": "telephone1",
        "mobile_phone": "mobilephone",
        "home_phone": "telephone2",
        "address": "address1_line1",
        "address_2": "address1_line2",
        "address_3": "address1_line3",
        "city": "address1_city",
        "state": "address1_stateorprovince",
        "country": "address1_country",
        "postal_code": "address1_postalcode",
        "person_status_code": "statecode",
        "person_status_label": "label of statecode",
        "status_reason_code": "statuscode",
        "status_reason_label": "label of statuscode",
        "do_not_call": "donotphone",
        "unsubscribed": "donotbulkemail",
        "do_not_email": "donotemail",
        "do_not_fax": "donotfax",
        "do_not_send_marketing_material": "donotsendmm",
        "preferred_method_of_contact_code": "preferredcontactmethodcode",
        "preferred_method_of_contact_label": "label of preferredcontactmethodcode",
        "person_notes": "description",
        "mkt_leadscore": "mkt_leadscore",
        "mkt_lastinterestingmomentdate": "mkt_lastinterestingmomentdate",
        "mkt_lastinterestingmomenttype": "mkt_lastinterestingmomenttype",
        **BOOKKEEPING,
    },
}
SETS = {"opportunity": "opportunities", "account": "accounts", "contact": "contacts"}
KEYS = {
    "opportunity": ("opportunity_id",),
    "account": ("account_id",),
    "contact": ("contact_id",),
    "opportunity_contact_role": ("opportunity_id", "contact_id", "role"),
    "unresolved_association": ("opportunity_id", "kind", "reference_id"),
}
MONEY = {"estimated_value", "annual_revenue"}
FLAGS = {
    "is_deleted",
    "is_primary",
    "do_not_call",
    "unsubscribed",
    "do_not_email",
    "do_not_fax",
    "do_not_send_marketing_material",
}

Store = dict[str, dict[tuple[str, ...], Record]]


@dataclass(frozen=True)
class Selected:
    """The columns of each table by what they come from, and which hold decimals and flags."""

    columns: Mapping[str, Mapping[str, str]]
    exact: AbstractSet[str]
    flags: AbstractSet[str]


DEFAULT = Selected(COLUMNS, MONEY, FLAGS)


@dataclass
class _Books:
    """The organisation's rows by id, and what was decided so far."""

    contacts: Mapping[str, Record]
    accounts: Mapping[str, Record]
    roles: Mapping[str, Record]
    links: Mapping[str, list[tuple[str, str]]]
    erased: AbstractSet[str]
    contact_roles: dict[tuple[str, ...], Record] = field(default_factory=dict)
    unresolved: dict[tuple[str, ...], Record] = field(default_factory=dict)


def expected_store(
    organisation: Organisation,
    selected: Selected = DEFAULT,
    *,
    erased: AbstractSet[str] = frozenset(),
) -> Store:
    """What one full sync of the organisation as it is must give, in the selected columns.

    `erased`: ids of contacts that were erased, at any time: they are in no row and never come back.
    """
    contacts = {row["contactid"]: row for row in organisation.rows("contacts")}
    books = _Books(
        contacts={key: row for key, row in contacts.items() if key not in erased},
        accounts={row["accountid"]: row for row in organisation.rows("accounts")},
        roles={row["connectionroleid"]: row for row in organisation.rows("connectionroles")},
        links=_links(organisation.rows("connections")),
        erased=erased,
    )
    store: Store = {}
    for table, set_name in SETS.items():
        rows = [
            row for row in organisation.rows(set_name) if row.get("new_synctomkto") is not False
        ]
        if table == "contact":
            rows = [row for row in rows if row["contactid"] not in erased]
        store[table] = {
            (row[COLUMNS[table][KEYS[table][0]]],): _plain_record(
                organisation, table, row, selected
            )
            for row in rows
        }
    for (contact_id,), record in store["contact"].items():
        record["account_id"] = _own_account(books, books.contacts[contact_id])
    for record in store["opportunity"].values():
        record["account_id"] = _customer(books, record)
        _stakeholders(books, record["opportunity_id"])
    return store | {
        "opportunity_contact_role": books.contact_roles,
        "unresolved_association": books.unresolved,
    }


def actual_store(engine: Engine, selected: Selected = DEFAULT) -> Store:
    """What the store holds: live rows, the compared columns, in plain values."""
    store: Store = {}
    with engine.connect() as connection:
        for table, key in KEYS.items():
            columns = set(selected.columns.get(table, ())) | {
                "account_id",
                "role",
                "is_primary",
                "source",
            }
            columns |= {"opportunity_id", "contact_id", "kind", "reference_id", "reason"}
            records = [
                dict(row) for row in connection.execute(text(f'SELECT * FROM "{table}"')).mappings()
            ]
            store[table] = {
                tuple(record[name] for name in key): {
                    name: _value(name, value, selected)
                    for name, value in record.items()
                    if name in columns
                }
                for record in records
                if not record.get("is_deleted")
            }
    return store


def differences(expected: Store, actual: Store) -> list[str]:
    """Readable lines, one per row or value that differs; empty where the stores are equal."""
    lines = []
    for table, rows in expected.items():
        found = actual[table]
        lines += [f"{table} {key}: missing" for key in sorted(rows.keys() - found.keys())]
        lines += [f"{table} {key}: not expected" for key in sorted(found.keys() - rows.keys())]
        for key in sorted(rows.keys() & found.keys()):
            lines += [
                f"{table} {key} {name}: expected {value!r}, found {found[key].get(name)!r}"
                for name, value in rows[key].items()
                if found[key].get(name) != value
            ]
    return lines


def _plain_record(
    organisation: Organisation, table: str, row: Record, selected: Selected
) -> Record:
    attributes = organisation.stores[SETS[table]].table.attributes
    record: Record = {}
    for column, source in selected.columns[table].items():
        name = source.removeprefix(LABELS).strip()
        if source.startswith(LABELS):
            record[column] = _label(attributes[name].options or {}, row.get(name))
        elif source.endswith(LOOKUP_TYPE) and row.get(source.removesuffix(LOOKUP_TYPE)) is None:
            record[column] = None
        elif _is_local_time(attributes.get(name)) and row.get(name) is not None:
            record[column] = row[name].removesuffix("Z")
        else:
            record[column] = _value(column, row.get(source), selected)
    return record


def _label(options: Mapping[int, str], value: int | str | None) -> str | None:
    """The label of a code, or those of several that are joined by commas."""
    if isinstance(value, str):
        return "; ".join(options[int(code)] for code in value.split(","))
    return None if value is None else options.get(value)


def _is_local_time(attribute: Attribute | None) -> bool:
    return attribute is not None and attribute.behaviour == "TimeZoneIndependent"


def _value(column: str, value: Any, selected: Selected) -> Any:
    """A value of either side as plain text, number or flag."""
    if value is None:
        return None
    if column in selected.exact:
        return Decimal(str(value))
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, str):
        return "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in value)
    plain = value.isoformat() if isinstance(value, date) else value
    return bool(plain) if column in selected.flags else plain


def _survivor(
    records: Mapping[str, Record],
    key: str | None,
    missing: str,
    erased: AbstractSet[str] = frozenset(),
) -> tuple[Record | None, str | None]:
    """The record that an id stands for after all merges, or why there is none."""
    seen: set[str] = set()
    while key is not None and (record := records.get(key)) is not None:
        if not (record.get("merged") and record.get("_masterid_value")):
            return record, None
        if key in seen:
            return None, "merge_circle"
        seen.add(key)
        key = record["_masterid_value"]
    return None, "contact_erased" if key in erased else missing


def _is_excluded(record: Record) -> bool:
    return record.get("new_synctomkto") is False


def _note(books: _Books, opportunity_id: str, kind: str, reference: str, reason: str) -> None:
    books.unresolved[opportunity_id, kind, reference] = {
        "opportunity_id": opportunity_id,
        "kind": kind,
        "reference_id": reference,
        "reason": reason,
    }


def _account(books: _Books, reference: str) -> tuple[str | None, str | None]:
    record, reason = _survivor(books.accounts, reference, "account_not_found")
    if record is None:
        return None, reason
    return (None, "account_excluded") if _is_excluded(record) else (record["accountid"], None)


def _parent_account(contact: Record) -> str | None:
    parent = "_parentcustomerid_value"
    return contact.get(parent) if contact.get(parent + LOOKUP_TYPE) == "account" else None


def _own_account(books: _Books, contact: Record) -> str | None:
    parent = _parent_account(contact)
    return _account(books, parent)[0] if parent else None


def _customer(books: _Books, opportunity: Record) -> str | None:
    """The account that the customer gives; notes the role and what is unresolved."""
    identifier, customer = opportunity["opportunity_id"], opportunity["customer_id"]
    if opportunity["customer_type"] == "account":
        return _resolve_account(books, identifier, customer, kind="customer_account")
    if opportunity["customer_type"] != "contact":
        return None
    contact, reason = _survivor(books.contacts, customer, "contact_not_found", books.erased)
    if contact is not None and not _is_excluded(contact):
        _role(books, identifier, contact["contactid"], "Potential Customer", source="customer")
    else:
        _note(books, identifier, "customer_contact", customer, reason or "contact_excluded")
    parent = _parent_account(contact) if contact else None
    return _resolve_account(books, identifier, parent, kind="contact_account") if parent else None


def _resolve_account(
    books: _Books, opportunity_id: str, reference: str, *, kind: str
) -> str | None:
    account, reason = _account(books, reference)
    if reason:
        _note(books, opportunity_id, kind, reference, reason)
    return account


def _role(books: _Books, opportunity_id: str, contact_id: str, role: str, *, source: str) -> None:
    key = (opportunity_id, contact_id, role)
    books.contact_roles.setdefault(
        key,
        {
            "opportunity_id": opportunity_id,
            "contact_id": contact_id,
            "role": role,
            "is_primary": source == "customer",
            "source": source,
        },
    )


def _stakeholders(books: _Books, opportunity_id: str) -> None:
    for contact_id, role_id in books.links.get(opportunity_id, ()):
        role = books.roles.get(role_id)
        if role is None:
            _note(books, opportunity_id, "stakeholder_role", role_id, "role_not_found")
            continue
        if role["category"] != 1000:
            continue
        contact, reason = _survivor(books.contacts, contact_id, "contact_not_found", books.erased)
        if contact is None:
            _note(books, opportunity_id, "stakeholder_contact", contact_id, reason or "")
        elif _is_excluded(contact):
            _note(books, opportunity_id, "stakeholder_contact", contact_id, "contact_excluded")
        else:
            _role(books, opportunity_id, contact["contactid"], role["name"], source="stakeholder")


def _links(connections: Iterable[Record]) -> dict[str, list[tuple[str, str]]]:
    """(contact, role on the contact's side) of every active connection row, by opportunity."""
    links: dict[str, list[tuple[str, str]]] = {}
    for row in connections:
        for ours, theirs in (("1", "2"), ("2", "1")):
            fits = (
                row["statecode"] == 0
                and row.get(f"_record{ours}id_value" + LOOKUP_TYPE) == "opportunity"
                and row.get(f"_record{theirs}id_value" + LOOKUP_TYPE) == "contact"
                and row.get(f"_record{theirs}roleid_value")
            )
            if fits:
                link = (row[f"_record{theirs}id_value"], row[f"_record{theirs}roleid_value"])
                links.setdefault(row[f"_record{ours}id_value"], []).append(link)
    return links
