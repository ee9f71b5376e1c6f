"""What is read where nobody selects otherwise: the default mapping of the native sync.

Dataverse logical names appear here and in the fields file of a user, nowhere else.
"""

from __future__ import annotations

from opportunity_sync.model.entity import Entity
from opportunity_sync.model.fields import CREATED_SOURCE, MODIFIED_SOURCE, Field, Kind
from opportunity_sync.model.model import Model

_BOOKKEEPING = (
    Field("owner", "ownerid", Kind.LOOKUP, polymorphic=True, always_stands=True),
    Field("created_at", CREATED_SOURCE, Kind.INSTANT, always_stands=True),
    Field("modified_at", MODIFIED_SOURCE, Kind.INSTANT, always_stands=True),
)
CURRENCY = Field("currency", "transactioncurrencyid", Kind.LOOKUP)
_MERGE = (
    Field("is_merged", "merged", Kind.BOOLEAN),
    Field("master", "masterid", Kind.LOOKUP),
)
_SYNC_FILTER = Field("sync_filter", "new_synctomkto", Kind.BOOLEAN, optional=True)
_CUSTOMERS = ("account", "contact")
_CUSTOMER = Field(
    "customer",
    "customerid",
    Kind.LOOKUP,
    polymorphic=True,
    typed=True,
    targets=_CUSTOMERS,
    always_stands=True,
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
        CURRENCY,
        *_BOOKKEEPING,
    ),
    facts=(_CUSTOMER, _SYNC_FILTER),
    read_by="extract_opportunities",
    searched=("customer_id",),
    carries_account=True,
    has_roles=True,
    has_unresolved=True,
    keeps_history=True,
    named_by=("name",),
    is_found_by_name=True,
    sync_filter=_SYNC_FILTER.column,
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
    read_by="extract_contacts",
    named_by=("firstname", "lastname"),
    searched=("parent_id", "master_id"),
    carries_account=True,
    has_roles=True,
    sync_filter=_SYNC_FILTER.column,
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
        CURRENCY,
        *_BOOKKEEPING,
    ),
    facts=(*_MERGE, _SYNC_FILTER),
    read_by="extract_accounts",
    named_by=("name",),
    searched=("master_id",),
    sync_filter=_SYNC_FILTER.column,
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
    read_by="extract_connections",
    searched=("record1_id", "record2_id", "record1_role_id", "record2_role_id"),
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
    read_by="extract_connections",
    is_always_read_whole=True,
)

DEFAULT_MODEL = Model((OPPORTUNITY, CONNECTION, CONNECTION_ROLE, CONTACT, ACCOUNT))
EXTRACT_TASKS = DEFAULT_MODEL.extract_tasks
