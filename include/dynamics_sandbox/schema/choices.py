"""Options of the standard choice columns: `value=label` lists in the organisation's base language.

Labels as the Common Data Model (Microsoft, CC BY 4.0) and the Dataverse table reference give
them; where several tables share a set (state, status, contact method) it is written once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def options(listing: str) -> Mapping[int, str]:
    """The options written as `1=Hot; 2=Warm`."""
    pairs = (item.strip().split("=", 1) for item in listing.split(";"))
    return {int(value): label for value, label in pairs}


_DEFAULT = options("1=Default Value")
_ACTIVE = options("0=Active; 1=Inactive")
_ACTIVE_REASON = options("1=Active; 2=Inactive")
_CONTACT_METHOD = options("1=Any; 2=Email; 3=Phone; 4=Fax; 5=Mail")
_PAYMENT_TERMS = options("1=Net 30; 2=2% 10, Net 30; 3=Net 45; 4=Net 60")
_OBJECT_TYPE = options(
    "1=Account; 2=Contact; 3=Opportunity; 4=Lead; 8=User; 9=Team; 112=Case; 123=Competitor;"
    "1084=Quote; 1088=Order; 1090=Invoice; 4200=Activity; 4201=Appointment; 4202=Email; 4204=Fax;"
    "4207=Letter; 4210=Phone Call; 4212=Task; 4400=Campaign",
)
_INDUSTRY = options(
    "1=Accounting; 2=Agriculture and Non-petrol Natural Resource Extraction;"
    "3=Broadcasting Printing and Publishing; 4=Brokers; 5=Building Supply Retail;"
    "6=Business Services; 7=Consulting; 8=Consumer Services;"
    "9=Design, Direction and Creative Management; 10=Distributors, Dispatchers and Processors;"
    "11=Doctor's Offices and Clinics; 12=Durable Manufacturing; 13=Eating and Drinking Places;"
    "14=Entertainment Retail; 15=Equipment Rental and Leasing; 16=Financial;"
    "17=Food and Tobacco Processing; 18=Inbound Capital Intensive Processing;"
    "19=Inbound Repair and Services; 20=Insurance; 21=Legal Services;"
    "22=Non-Durable Merchandise Retail; 23=Outbound Consumer Service;"
    "24=Petrochemical Extraction and Distribution; 25=Service Retail; 26=SIG Affiliations;"
    "27=Social Services; 28=Special Outbound Trade Contractors; 29=Specialty Realty;"
    "30=Transportation; 31=Utility Creation and Distribution; 32=Vehicle Retail; 33=Wholesale",
)

YES_NO: Mapping[int, str] = options("0=No; 1=Yes")
ALLOW: Mapping[int, str] = options("0=Allow; 1=Do Not Allow")
SEND: Mapping[int, str] = options("0=Send; 1=Do Not Send")

COMPONENT_STATE: Mapping[int, str] = options(
    "0=Published; 1=Unpublished; 2=Deleted; 3=Deleted Unpublished",
)
MANAGED: Mapping[int, str] = options("0=Unmanaged; 1=Managed")

ACTIVE_STATE: Mapping[str, Mapping[int, str]] = {
    "statecode": _ACTIVE,
    "statuscode": _ACTIVE_REASON,
}

OPPORTUNITY: Mapping[str, Mapping[int, str]] = {
    "statecode": options("0=Open; 1=Won; 2=Lost"),
    "statuscode": options("1=In Progress; 2=On Hold; 3=Won; 4=Canceled; 5=Out-Sold"),
    "salesstage": options("0=Qualify; 1=Develop; 2=Propose; 3=Close"),
    "salesstagecode": _DEFAULT,
    "prioritycode": _DEFAULT,
    "opportunityratingcode": options("1=Hot; 2=Warm; 3=Cold"),
    "budgetstatus": options("0=No Committed Budget; 1=May Buy; 2=Can Buy; 3=Will Buy"),
    "need": options("0=Must have; 1=Should have; 2=Good to have; 3=No need"),
    "purchasetimeframe": options(
        "0=Immediate; 1=This Quarter; 2=Next Quarter; 3=This Year; 4=Unknown",
    ),
    "purchaseprocess": options("0=Individual; 1=Committee; 2=Unknown"),
    "initialcommunication": options("0=Contacted; 1=Not Contacted"),
    "timeline": options("0=Immediate; 1=This Quarter; 2=Next Quarter; 3=This Year; 4=Not known"),
    "msdyn_forecastcategory": options(
        "100000001=Pipeline; 100000002=Best case; 100000003=Committed; 100000004=Omitted;"
        "100000005=Won; 100000006=Lost",
    ),
}

CONTACT: Mapping[str, Mapping[int, str]] = {
    **ACTIVE_STATE,
    "accountrolecode": options("1=Decision Maker; 2=Employee; 3=Influencer"),
    "customersizecode": _DEFAULT,
    "customertypecode": _DEFAULT,
    "educationcode": _DEFAULT,
    "familystatuscode": options("1=Single; 2=Married; 3=Divorced; 4=Widowed"),
    "gendercode": options("1=Male; 2=Female"),
    "leadsourcecode": _DEFAULT,
    "paymenttermscode": _PAYMENT_TERMS,
    "preferredcontactmethodcode": _CONTACT_METHOD,
    "shippingmethodcode": _DEFAULT,
    "territorycode": _DEFAULT,
}

ACCOUNT: Mapping[str, Mapping[int, str]] = {
    **ACTIVE_STATE,
    "accountcategorycode": options("1=Preferred Customer; 2=Standard"),
    "accountclassificationcode": _DEFAULT,
    "accountratingcode": _DEFAULT,
    "businesstypecode": _DEFAULT,
    "customersizecode": _DEFAULT,
    "customertypecode": options(
        "1=Competitor; 2=Consultant; 3=Customer; 4=Investor; 5=Partner; 6=Influencer; 7=Press;"
        "8=Prospect; 9=Reseller; 10=Supplier; 11=Vendor; 12=Other",
    ),
    "industrycode": _INDUSTRY,
    "ownershipcode": options("1=Public; 2=Private; 3=Subsidiary; 4=Other"),
    "paymenttermscode": _PAYMENT_TERMS,
    "preferredcontactmethodcode": _CONTACT_METHOD,
    "shippingmethodcode": _DEFAULT,
    "territorycode": _DEFAULT,
}

CONNECTION: Mapping[str, Mapping[int, str]] = {
    **ACTIVE_STATE,
    "record1objecttypecode": _OBJECT_TYPE,
    "record2objecttypecode": _OBJECT_TYPE,
}

CONNECTION_ROLE: Mapping[str, Mapping[int, str]] = {
    **ACTIVE_STATE,
    "category": options(
        "1=Business; 2=Family; 3=Social; 4=Sales; 5=Other;"
        "1000=Stakeholder; 1001=Sales Team; 1002=Service",
    ),
    "componentstate": COMPONENT_STATE,
}

SYSTEM_USER: Mapping[str, Mapping[int, str]] = {
    "accessmode": options(
        "0=Read-Write; 1=Administrative; 2=Read; 3=Support User; 4=Non-interactive;"
        "5=Delegated Admin",
    ),
}

CURRENCY: Mapping[str, Mapping[int, str]] = {
    **ACTIVE_STATE,
    "currencytype": options("0=System; 1=Custom"),
}

TEAM: Mapping[str, Mapping[int, str]] = {
    "teamtype": options("0=Owner; 1=Access; 2=Security Group; 3=Office Group"),
}
