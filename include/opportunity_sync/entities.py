"""What is read from Dynamics and where it lands: tables and columns as data.

The query, the staged frame, the store's tables, the upsert and the docs all loop over these
values, so a column is added here and nowhere else. Dataverse logical names appear only here.

A `Field` is one selected Dataverse column. Its kind decides the store columns it becomes:
a choice gives `<column>_code` and `<column>_label`, a lookup `<column>_id` (and `<column>_type`
where it can point at several tables), everything else `<column>`. An `Entity` has two sets of
fields: `fields` go into its public table, `facts` into the private table that the association
rules read between runs. Source of the names: the default mapping of the native sync.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a column's values are typed, from the response to the store."""

    TEXT = "text"
    INTEGER = "integer"
    MONEY = "money"  # exact decimal, carried as plain decimal text
    BOOLEAN = "boolean"
    INSTANT = "instant"  # UTC, whole seconds
    DATE = "date"
    CHOICE = "choice"
    LOOKUP = "lookup"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of staged frames and of the store; its kind is never LOOKUP or CHOICE."""

    name: str
    kind: Kind
    derived: bool = False  # written whenever it differs, not under the row's version guard


@dataclass(frozen=True, slots=True)
class Field:
    """One selected Dataverse column.

    A `polymorphic` lookup can point at several tables. A row is refused, because nothing could be
    made of it, without a `required` value, where a `typed` lookup comes without its table or points
    elsewhere than to the `targets` (none named: to any), and where a text is longer than
    `max_length` characters.
    """

    column: str
    source: str
    kind: Kind = Kind.TEXT
    polymorphic: bool = False
    optional: bool = False  # passed over without a word where the organisation lacks it
    required: bool = False
    typed: bool = False
    targets: tuple[str, ...] = ()
    max_length: int | None = None

    @property
    def select(self) -> str:
        """The property name in `$select` and in the JSON row."""
        return f"_{self.source}_value" if self.kind is Kind.LOOKUP else self.source

    @property
    def columns(self) -> tuple[Column, ...]:
        """The staged and stored columns that this field becomes."""
        if self.kind is Kind.CHOICE:
            label = Column(f"{self.column}_label", Kind.TEXT, derived=True)
            return (Column(f"{self.column}_code", Kind.INTEGER), label)
        if self.kind is Kind.LOOKUP:
            target = Column(f"{self.column}_type", Kind.TEXT)
            return (
                Column(f"{self.column}_id", Kind.TEXT),
                *((target,) if self.polymorphic else ()),
            )
        return (Column(self.column, self.kind),)


VERSION = Column("version_number", Kind.INTEGER)
VERSION_SOURCE = "versionnumber"
MODIFIED_SOURCE = "modifiedon"


@dataclass(frozen=True, slots=True)
class Entity:
    """One Dataverse table that is read, with its public fields and the facts the rules need."""

    name: str  # logical name; also the name of the public table
    set_name: str
    key: str  # logical name of the primary key
    key_column: str
    fields: tuple[Field, ...]
    facts: tuple[Field, ...]
    privilege: str = ""  # read privilege; at global depth absence means deletion
    is_always_read_whole: bool = False  # a handful of rows: cheaper to read than to track

    @property
    def is_public(self) -> bool:
        """Whether the entity has a public table; connections and their roles are facts only."""
        return bool(self.fields)

    @property
    def fact_table(self) -> str:
        """Name of the private table of facts."""
        return f"fact_{self.name}"

    @property
    def all_fields(self) -> tuple[Field, ...]:
        """Every selected field once, in reading order: key and version are not among them."""
        return tuple({field.column: field for field in (*self.fields, *self.facts)}.values())

    @property
    def public_columns(self) -> tuple[Column, ...]:
        """Columns of the public table that come from the row itself, without key and version."""
        return _columns(self.fields)

    @property
    def fact_columns(self) -> tuple[Column, ...]:
        """Columns of the fact table that come from the row itself, without key and version."""
        return _columns(self.facts)

    @property
    def staged_columns(self) -> tuple[Column, ...]:
        """Columns of a staged frame: key, version, then every field's columns once."""
        return (Column(self.key_column, Kind.TEXT), VERSION, *_columns(self.all_fields))


def _columns(fields: tuple[Field, ...]) -> tuple[Column, ...]:
    return tuple(column for field in fields for column in field.columns)


_BOOKKEEPING = (
    Field("owner", "ownerid", Kind.LOOKUP, polymorphic=True),
    Field("created_at", "createdon", Kind.INSTANT),
    Field("modified_at", MODIFIED_SOURCE, Kind.INSTANT),
)
_CURRENCY = Field("currency", "transactioncurrencyid", Kind.LOOKUP)
_MERGE = (
    Field("is_merged", "merged", Kind.BOOLEAN),
    Field("master", "masterid", Kind.LOOKUP),
)
_SYNC_FILTER = Field("sync_filter", "new_synctomkto", Kind.BOOLEAN, optional=True)
_CUSTOMERS = ("account", "contact")
_CUSTOMER = Field(
    "customer", "customerid", Kind.LOOKUP, polymorphic=True, typed=True, targets=_CUSTOMERS
)

OPPORTUNITY = Entity(
    name="opportunity",
    privilege="prvReadOpportunity",
    set_name="opportunities",
    key="opportunityid",
    key_column="opportunity_id",
    fields=(
        _CUSTOMER,
        Field("name", "name"),
        Field("description", "description"),
        Field("close_probability", "closeprobability", Kind.INTEGER),
        Field("stage", "statecode", Kind.CHOICE),
        Field("actual_close_date", "actualclosedate", Kind.DATE),
        Field("estimated_value", "estimatedvalue", Kind.MONEY),
        _CURRENCY,
        *_BOOKKEEPING,
    ),
    facts=(_CUSTOMER, _SYNC_FILTER),
)

CONTACT = Entity(
    name="contact",
    privilege="prvReadContact",
    set_name="contacts",
    key="contactid",
    key_column="contact_id",
    fields=(
        Field("salutation", "salutation"),
        Field("first_name", "firstname"),
        Field("middle_name", "middlename"),
        Field("last_name", "lastname"),
        Field("email", "emailaddress1"),
        Field("job_title", "jobtitle"),
        Field("phone", "telephone1"),
        Field("mobile_phone", "mobilephone"),
        Field("home_phone", "telephone2"),
        Field("address", "address1_line1"),
        Field("address_2", "address1_line2"),
        Field("address_3", "address1_line3"),
        Field("city", "address1_city"),
        Field("state", "address1_stateorprovince"),
        Field("country", "address1_country"),
        Field("postal_code", "address1_postalcode"),
        Field("person_status", "statecode", Kind.CHOICE),
        Field("status_reason", "statuscode", Kind.CHOICE),
        Field("do_not_call", "donotphone", Kind.BOOLEAN),
        Field("unsubscribed", "donotbulkemail", Kind.BOOLEAN),
        Field("do_not_email", "donotemail", Kind.BOOLEAN),
        Field("do_not_fax", "donotfax", Kind.BOOLEAN),
        Field("do_not_send_marketing_material", "donotsendmm", Kind.BOOLEAN),
        Field("preferred_method_of_contact", "preferredcontactmethodcode", Kind.CHOICE),
        Field("person_notes", "description"),
        Field("mkt_leadscore", "mkt_leadscore", Kind.INTEGER, optional=True),
        Field("mkt_priority", "mkt_priority", Kind.INTEGER, optional=True),
        Field("mkt_urgency", "mkt_urgency", Kind.INTEGER, optional=True),
        Field("mkt_relativescore", "mkt_relativescore", Kind.INTEGER, optional=True),
        Field(
            "mkt_lastinterestingmomentdate",
            "mkt_lastinterestingmomentdate",
            Kind.INSTANT,
            optional=True,
        ),
        Field("mkt_lastinterestingmomenttype", "mkt_lastinterestingmomenttype", optional=True),
        Field("mkt_leadinterestingmomentsource", "mkt_leadinterestingmomentsource", optional=True),
        Field("mkt_lastinterestingmomentdesc", "mkt_lastinterestingmomentdesc", optional=True),
        *_BOOKKEEPING,
    ),
    facts=(
        Field(
            "parent",
            "parentcustomerid",
            Kind.LOOKUP,
            polymorphic=True,
            typed=True,
            targets=_CUSTOMERS,
        ),
        *_MERGE,
        _SYNC_FILTER,
    ),
)

ACCOUNT = Entity(
    name="account",
    privilege="prvReadAccount",
    set_name="accounts",
    key="accountid",
    key_column="account_id",
    fields=(
        Field("company", "name"),
        Field("account_number", "accountnumber"),
        Field("billing_address", "address1_line1"),
        Field("billing_address_2", "address1_line2"),
        Field("billing_address_3", "address1_line3"),
        Field("billing_city", "address1_city"),
        Field("billing_country", "address1_country"),
        Field("billing_postal_code", "address1_postalcode"),
        Field("main_phone", "telephone1"),
        Field("business_type", "businesstypecode", Kind.CHOICE),
        Field("company_status", "statecode", Kind.CHOICE),
        Field("annual_revenue", "revenue", Kind.MONEY),
        Field("company_notes", "description"),
        Field("industry", "industrycode", Kind.CHOICE),
        Field("sic_code", "sic"),
        Field("website", "websiteurl"),
        Field("num_employees", "numberofemployees", Kind.INTEGER),
        _CURRENCY,
        *_BOOKKEEPING,
    ),
    facts=(*_MERGE, _SYNC_FILTER),
)

CONNECTION = Entity(
    name="connection",
    privilege="prvReadConnection",
    set_name="connections",
    key="connectionid",
    key_column="connection_id",
    fields=(),
    facts=(
        Field("record1", "record1id", Kind.LOOKUP, polymorphic=True, typed=True),
        Field("record1_role", "record1roleid", Kind.LOOKUP),
        Field("record2", "record2id", Kind.LOOKUP, polymorphic=True, typed=True),
        Field("record2_role", "record2roleid", Kind.LOOKUP),
        Field("state", "statecode", Kind.INTEGER),
    ),
)

CONNECTION_ROLE = Entity(
    name="connectionrole",
    privilege="prvReadConnectionRole",
    set_name="connectionroles",
    key="connectionroleid",
    key_column="connectionrole_id",
    fields=(),
    facts=(
        # It is part of a key, and an index takes no longer one. Dynamics allows 100 characters.
        Field("name", "name", required=True, max_length=1000),
        Field("category", "category", Kind.INTEGER),
    ),
    is_always_read_whole=True,
)

ENTITIES: tuple[Entity, ...] = (OPPORTUNITY, CONNECTION, CONNECTION_ROLE, CONTACT, ACCOUNT)
PUBLIC_ENTITIES: tuple[Entity, ...] = tuple(entity for entity in ENTITIES if entity.is_public)
BY_NAME: dict[str, Entity] = {entity.name: entity for entity in ENTITIES}

# What each extract task of the DAG reads.
EXTRACTS: dict[str, tuple[Entity, ...]] = {
    "extract_opportunities": (OPPORTUNITY,),
    "extract_connections": (CONNECTION, CONNECTION_ROLE),
    "extract_contacts": (CONTACT,),
    "extract_accounts": (ACCOUNT,),
}
