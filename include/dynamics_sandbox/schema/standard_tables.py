"""The tables and columns that an organisation of the sandbox has, as data.

A real organisation has hundreds of columns per table; here are those that a sales
synchronisation meets, under their logical names and with the types, lengths, lookup targets and
choice labels of the standard tables (Common Data Model, CC BY 4.0, and the table reference of
Dataverse). Metadata, `$metadata`, `$select` checks and the wire format all follow from these
values. What a customer adds (`new_synctomkto`) or the native Marketo solution leaves behind
(`mkt_*`) is no standard column: an organisation gets it by `with_attributes`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dynamics_sandbox.schema import choices
from dynamics_sandbox.schema.attribute import Attribute, Behaviour
from dynamics_sandbox.schema.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def _columns(kind: str, names: str) -> Iterator[Attribute]:
    return (Attribute(name, kind) for name in names.split())


def _texts(names: str, kind: str = "String") -> Iterator[Attribute]:
    for item in names.split():
        name, length = item.split(":")
        yield Attribute(name, kind, max_length=int(length))


def _required_columns(*attributes: Attribute) -> Iterator[Attribute]:
    """Columns that every form asks for; imports can leave them empty all the same."""
    return (replace(attribute, required_level="ApplicationRequired") for attribute in attributes)


def _dates(names: str) -> Iterator[Attribute]:
    return (Attribute(name, "DateTime", behaviour=Behaviour.DATE_ONLY) for name in names.split())


def _booleans(names: str, labels: Mapping[int, str] = choices.YES_NO) -> Iterator[Attribute]:
    return (Attribute(name, "Boolean", options=labels) for name in names.split())


def _money(names: str) -> Iterator[Attribute]:
    """Every amount has a twin in the organisation's base currency."""
    for name in names.split():
        yield Attribute(name, "Money", precision=2)
        yield Attribute(f"{name}_base", "Money", precision=4)


def _lookups(names: str, kind: str = "Lookup") -> Iterator[Attribute]:
    for item in names.split():
        name, targets = item.split(">")
        yield Attribute(name, kind, targets=tuple(targets.split("|")))


def _choices(sets: Mapping[str, Mapping[int, str]]) -> Iterator[Attribute]:
    kinds = {"statecode": "State", "statuscode": "Status"}
    return (Attribute(name, kinds.get(name, "Picklist"), options=sets[name]) for name in sets)


_SYSTEM = (
    *_columns("DateTime", "createdon modifiedon overriddencreatedon"),
    *_columns("BigInt", "versionnumber"),
    *_columns(
        "Integer", "importsequencenumber timezoneruleversionnumber utcconversiontimezonecode"
    ),
    *_lookups("createdby>systemuser modifiedby>systemuser"),
    *_lookups("createdonbehalfby>systemuser modifiedonbehalfby>systemuser"),
)
_OWNED = (
    *_SYSTEM,
    *_lookups("ownerid>systemuser|team", "Owner"),
    *_lookups("owninguser>systemuser owningteam>team owningbusinessunit>businessunit"),
)
_CURRENCY = (
    *_lookups("transactioncurrencyid>transactioncurrency"),
    Attribute("exchangerate", "Decimal", precision=12),
)
_ADDRESS = (
    *_texts("address1_line1:250 address1_line2:250 address1_line3:250 address1_city:80"),
    *_texts("address1_stateorprovince:50 address1_postalcode:20 address1_country:80"),
    *_texts("address1_county:50 address1_name:200 address1_fax:50"),
    *_texts("address1_composite:1000", "Memo"),
    *(Attribute(f"address1_{axis}", "Double", precision=5) for axis in ("latitude", "longitude")),
)
_MAILING = (
    *_booleans("donotphone donotfax donotemail donotbulkemail", choices.ALLOW),
    *_booleans("donotpostalmail donotbulkpostalmail followemail", choices.ALLOW),
    *_booleans("donotsendmm", choices.SEND),
    *_booleans("marketingonly creditonhold merged participatesinworkflow"),
    *_texts("emailaddress1:100 emailaddress2:100 emailaddress3:100 websiteurl:200 fax:50"),
    *_texts("telephone1:50 telephone2:50 telephone3:50 ftpsiteurl:200"),
    *_texts("description:2000", "Memo"),
    *_money("creditlimit aging30 aging60 aging90"),
    *_columns("DateTime", "lastonholdtime"),
    *_dates("lastusedincampaign"),
    *_columns("Integer", "onholdtime"),
)
_PROCESS = (
    *_columns("Uniqueidentifier", "processid stageid"),
    *_texts("traversedpath:1250"),
)

_OPPORTUNITY = (
    *_OWNED, *_CURRENCY, *_PROCESS, *_choices(choices.OPPORTUNITY),
    *_required_columns(*_texts("name:300")),
    *_texts("stepname:200 emailaddress:100"),
    *_texts("description:2000 currentsituation:2000 customerneed:2000", "Memo"),
    *_texts("customerpainpoints:2000 proposedsolution:2000", "Memo"),
    *_texts("qualificationcomments:2000 quotecomments:2000", "Memo"),
    *_money("estimatedvalue actualvalue budgetamount totalamount totallineitemamount totaltax"),
    *_money("discountamount freightamount totalamountlessfreight totaldiscountamount"),
    *_money("totallineitemdiscountamount"),
    Attribute("discountpercentage", "Decimal", precision=2),
    *_dates("estimatedclosedate actualclosedate finaldecisiondate"),
    *_columns("DateTime", "schedulefollowup_prospect schedulefollowup_qualify lastonholdtime"),
    *_columns("DateTime", "scheduleproposalmeeting"),
    *_columns("Integer", "closeprobability onholdtime"),
    *_booleans("isrevenuesystemcalculated participatesinworkflow confirminterest decisionmaker"),
    *_booleans("completeinternalreview developproposal evaluatefit resolvefeedback filedebrief"),
    *_booleans("completefinalproposal presentproposal captureproposalfeedback pursuitdecision"),
    *_booleans("sendthankyounote identifycustomercontacts identifycompetitors"),
    *_booleans("identifypursuitteam presentfinalproposal"),
    Attribute("isprivate", "Boolean", options=choices.YES_NO, is_valid_for_read=False),
    *_lookups("customerid>account|contact", "Customer"),
    *_lookups("parentaccountid>account parentcontactid>contact accountid>account"),
    *_lookups("contactid>contact originatingleadid>lead pricelevelid>pricelevel"),
    *_lookups("campaignid>campaign"),
)  # fmt: skip
_CONTACT = (
    *_OWNED, *_CURRENCY, *_PROCESS, *_ADDRESS, *_MAILING, *_choices(choices.CONTACT),
    *_texts("fullname:160 firstname:50 middlename:50 nickname:100 salutation:100"),
    *_required_columns(*_texts("lastname:50")),
    *_texts("suffix:10 jobtitle:100 department:100 mobilephone:50 pager:50 managername:100"),
    *_texts("assistantname:100 spousesname:100 childrensnames:255 managerphone:50"),
    *_texts("assistantphone:50 business2:50 home2:50 callback:50 company:50"),
    *_texts("externaluseridentifier:50 employeeid:50 governmentid:50"),
    *_dates("birthdate anniversary"),
    *_money("annualincome"),
    *_columns("Integer", "numberofchildren"),
    *_booleans("isbackofficecustomer"),
    *_lookups("parentcustomerid>account|contact", "Customer"),
    *_lookups("masterid>contact accountid>account parentcontactid>contact"),
    *_lookups("originatingleadid>lead preferredsystemuserid>systemuser"),
)  # fmt: skip
_ACCOUNT = (
    *_OWNED, *_CURRENCY, *_PROCESS, *_ADDRESS, *_MAILING, *_choices(choices.ACCOUNT),
    *_required_columns(*_texts("name:160")),
    *_texts("accountnumber:20 sic:20 tickersymbol:10 stockexchange:20"),
    *_money("revenue marketcap"),
    *_columns("Integer", "numberofemployees sharesoutstanding"),
    *_lookups("primarycontactid>contact parentaccountid>account masterid>account"),
    *_lookups("originatingleadid>lead preferredsystemuserid>systemuser territoryid>territory"),
)  # fmt: skip
_PARTIES = (
    "account|contact|opportunity|lead|systemuser|team|competitor|incident|quote|salesorder|invoice"
    "|campaign|appointment|email|phonecall|task"
)
_CONNECTION = (
    *_OWNED, *_CURRENCY, *_choices(choices.CONNECTION),
    *_texts("name:500"),
    *_texts("description:2000", "Memo"),
    *(Attribute(f"effective{end}", "DateTime", format="DateOnly") for end in ("start", "end")),
    *_booleans("ismaster"),
    *_lookups(f"record1id>{_PARTIES} record2id>{_PARTIES}"),
    *_lookups("record1roleid>connectionrole record2roleid>connectionrole"),
    *_lookups("relatedconnectionid>connection"),
)  # fmt: skip
_CONNECTION_ROLE = (
    *_SYSTEM, *_choices(choices.CONNECTION_ROLE),
    *_texts("name:100 introducedversion:48"),
    *_texts("description:1000", "Memo"),
    *_booleans("ismanaged"),
    *_columns("Uniqueidentifier", "connectionroleidunique solutionid"),
    *_lookups("organizationid>organization"),
)  # fmt: skip
_SYSTEM_USER = (
    *_SYSTEM, *_choices(choices.SYSTEM_USER),
    *_texts("fullname:200 firstname:256 lastname:256 internalemailaddress:100 domainname:1024"),
    *_columns("Uniqueidentifier", "azureactivedirectoryobjectid applicationid"),
    *_booleans("isdisabled"),
    *_lookups("businessunitid>businessunit"),
)  # fmt: skip
_TRANSACTION_CURRENCY = (
    *_SYSTEM, *_choices(choices.CURRENCY),
    *_texts("currencyname:100 isocurrencycode:5 currencysymbol:10"),
    *_columns("Integer", "currencyprecision"),
    Attribute("exchangerate", "Decimal", precision=12),
)  # fmt: skip
_TEAM = (
    *_SYSTEM, *_choices(choices.TEAM),
    *_texts("name:160 emailaddress:100"),
    *_texts("description:2000", "Memo"),
    *_booleans("isdefault"),
    *_lookups("businessunitid>businessunit administratorid>systemuser"),
)  # fmt: skip
_ORGANIZATION = (
    *_SYSTEM,
    *_texts("name:160"),
    *_columns("Integer", "languagecode expirechangetrackingindays maxuploadfilesize"),
    *_lookups("basecurrencyid>transactioncurrency"),
)


def _table(
    name: str, set_name: str, *, name_column: str, code: int, columns: Sequence[Attribute]
) -> Table:
    key = Attribute(f"{name}id", "Uniqueidentifier")
    attributes = {attribute.name: attribute for attribute in (key, *columns)}
    return Table(name, set_name, key.name, name_column, code, attributes)


TABLES: Mapping[str, Table] = {
    table.set_name: table
    for table in (
        _table("account", "accounts", name_column="name", code=1, columns=_ACCOUNT),
        _table("contact", "contacts", name_column="fullname", code=2, columns=_CONTACT),
        _table("opportunity", "opportunities", name_column="name", code=3, columns=_OPPORTUNITY),
        _table("connection", "connections", name_column="name", code=3234, columns=_CONNECTION),
        _table(
            "connectionrole",
            "connectionroles",
            name_column="name",
            code=3231,
            columns=_CONNECTION_ROLE,
        ),
        _table("systemuser", "systemusers", name_column="fullname", code=8, columns=_SYSTEM_USER),
        _table(
            "transactioncurrency",
            "transactioncurrencies",
            name_column="currencyname",
            code=9105,
            columns=_TRANSACTION_CURRENCY,
        ),
        _table("team", "teams", name_column="name", code=9, columns=_TEAM),
        _table(
            "organization", "organizations", name_column="name", code=1019, columns=_ORGANIZATION
        ),
    )
}
