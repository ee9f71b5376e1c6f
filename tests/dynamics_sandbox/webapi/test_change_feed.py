"""A change tracking link is bound to the columns that it was made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics_sandbox import Attribute

if TYPE_CHECKING:
    from dynamics_sandbox import Organisation
    from sandbox_caller import Caller

TRACKED = "odata.track-changes"
REGION = Attribute("new_region", "String", max_length=20)


def test_a_link_gives_the_columns_of_its_first_request(
    caller: Caller, organisation: Organisation, contacts: list[str]
) -> None:
    """Neither fewer nor more, whatever came to the table since."""
    link = caller.read("contacts?$select=fullname,jobtitle", TRACKED)["@odata.deltaLink"]
    organisation.add_column("contacts", REGION)
    organisation.update("contacts", contacts[0], {"new_region": "EMEA", "jobtitle": "Buyer"})
    answer = caller.read(link)
    assert answer["@odata.context"].endswith("#contacts(fullname,jobtitle)/$delta")
    [row] = answer["value"]
    expected = {"fullname", "jobtitle", "contactid"}
    assert expected == {name for name in row if "@" not in name}


def test_a_link_without_a_selection_gives_the_columns_that_the_table_had(
    caller: Caller, organisation: Organisation, contacts: list[str]
) -> None:
    """Link after link; a new pass has the new column."""
    link = caller.read("contacts", TRACKED)["@odata.deltaLink"]
    organisation.add_column("contacts", REGION)
    for place in range(2):
        organisation.update("contacts", contacts[place], {"new_region": "EMEA"})
        answer = caller.read(link)
        [row] = answer["value"]
        assert (row["fullname"], "new_region" in row) == ("AB"[place], False)
        link = answer["@odata.deltaLink"]
    assert "new_region" in caller.read("contacts", TRACKED)["value"][0]


def test_a_link_fails_once_one_of_its_columns_is_gone(
    caller: Caller, organisation: Organisation, contacts: list[str]
) -> None:
    """With the error of any query for that column; when it is back, nothing was missed."""
    unknown = "Could not find a property named 'jobtitle' on type 'Microsoft.Dynamics.CRM.contact'."
    for path in ("contacts?$select=jobtitle", "contacts"):
        link = caller.read(path, TRACKED)["@odata.deltaLink"]
        organisation.drop_column("contacts", "jobtitle")
        organisation.update("contacts", contacts[0], {"nickname": path})
        assert caller.refusal(link) == (400, "0x80060888", unknown)
        organisation.restore_column("contacts", "jobtitle")
        assert contacts[:1] == [row["contactid"] for row in caller.read(link)["value"]]
