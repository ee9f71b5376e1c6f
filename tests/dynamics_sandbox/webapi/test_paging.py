"""Pages and the change feed while rows come, change and go."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from dynamics_sandbox.organisation.row_store import sort_key

if TYPE_CHECKING:
    from dynamics_sandbox import Organisation
    from sandbox_caller import Caller

TRACK = "odata.track-changes"
NAMES = list("ABCDEFGHI")


@pytest.mark.usefixtures("contacts")
def test_pages_hold_as_many_rows_as_preferred(caller: Caller) -> None:
    """The preference is echoed, and the last page has no link."""
    answer = caller.get("contacts?$select=fullname", "odata.maxpagesize=4")
    assert answer.headers["Preference-Applied"] == "odata.maxpagesize=4"
    pages = caller.pages("contacts?$select=fullname", "odata.maxpagesize=4")
    assert [len(page["value"]) for page in pages] == [4, 4, 1]
    assert "@odata.nextLink" not in pages[-1]


@pytest.mark.parametrize("size", ["0", "-1", "many"])
def test_a_page_size_that_is_no_positive_number_is_refused(caller: Caller, size: str) -> None:
    """Dataverse pages from 1 to 5000 rows."""
    assert caller.refusal("contacts", f"odata.maxpagesize={size}")[0] == 400


def test_a_page_never_holds_more_than_five_thousand_rows(
    organisation: Organisation, caller: Caller
) -> None:
    """Neither by default nor when more is preferred."""
    for _ in range(5001):
        organisation.create("teams", {})
    assert len(caller.read("teams?$select=name")["value"]) == 5000
    assert len(caller.read("teams?$select=name", "odata.maxpagesize=9000")["value"]) == 5000
    assert caller.read("teams?$count=true&$top=1")["@odata.count"] == 5000


@pytest.mark.usefixtures("contacts")
def test_the_cookie_is_shaped_and_encoded_as_dataverse_does(caller: Caller) -> None:
    """Encoded three times, with page number, upper-case key and the untouched query."""
    link = caller.read("contacts?$select=fullname", "odata.maxpagesize=2")["@odata.nextLink"]
    assert link.startswith(f"{caller.root}contacts?$select=fullname&$skiptoken=%3Ccookie")
    token = parse_qs(urlsplit(link).query)["$skiptoken"][0]
    assert token.startswith('<cookie pagenumber="2" pagingcookie="%253Ccookie')
    assert token.endswith('istracking="False" />')
    inner = unquote(unquote(token.split('"')[3]))
    assert 'last="{0C2D0000-0000-0000-0000-000000000002}"' in inner


@pytest.mark.usefixtures("contacts")
def test_a_link_that_was_encoded_again_is_refused(caller: Caller) -> None:
    """The commonest mistake of clients has Dataverse's answer."""
    link = caller.read("contacts", "odata.maxpagesize=2")["@odata.nextLink"]
    message = caller.refusal(link.replace("%", "%25"))[2]
    assert message == "Malformed XML in the Paging Cookie"


def test_keys_are_ordered_as_sql_server_orders_them(
    organisation: Organisation, caller: Caller
) -> None:
    """By the last group first, not as text."""
    ids = [
        "ff000000-0000-0000-0000-000000000001",
        "00000000-0000-0000-0000-000000000002",
        "00000000-0000-0000-0001-000000000001",
        "00000000-0001-0000-0000-000000000001",
    ]
    for identifier in ids:
        organisation.create("contacts", {"contactid": identifier})
    expected = [ids[0], ids[3], ids[2], ids[1]]
    assert expected == sorted(ids, key=sort_key)
    assert expected == caller.values("contacts", "contactid", "odata.maxpagesize=1")


def test_rows_that_come_and_go_between_pages_do_not_shift_the_rest(
    organisation: Organisation, caller: Caller, contacts: list[str]
) -> None:
    """Keyset paging: no row that stays is missed or doubled."""
    page = caller.read("contacts?$select=fullname", "odata.maxpagesize=3")
    seen = [row["fullname"] for row in page["value"]]
    organisation.delete("contacts", contacts[0])
    organisation.delete("contacts", contacts[2])
    organisation.create("contacts", {"contactid": contacts[0][:-2] + "aa", "fullname": "J"})
    seen += caller.values(page["@odata.nextLink"], "fullname", "odata.maxpagesize=3")
    assert [*NAMES, "J"] == seen


def test_ordered_pages_follow_rows_that_move(
    organisation: Organisation, caller: Caller, contacts: list[str]
) -> None:
    """A row modified while it is read moves to the end; ties by the second are kept apart."""
    path = "contacts?$select=fullname&$orderby=modifiedon,contactid"
    page = caller.read(path, "odata.maxpagesize=2")
    organisation.update("contacts", contacts[4], {"nickname": "moved"})
    seen = [row["fullname"] for row in page["value"]]
    seen += caller.values(page["@odata.nextLink"], "fullname", "odata.maxpagesize=2")
    assert [*"ABCDFGHI", "E"] == seen


@pytest.mark.usefixtures("contacts")
def test_a_tracked_pass_ends_with_a_delta_link_on_its_last_page_only(caller: Caller) -> None:
    """The token names the version and time at which the pass began."""
    answer = caller.get("contacts?$select=fullname", TRACK)
    assert answer.headers["Preference-Applied"] == TRACK
    pages = caller.pages("contacts?$select=fullname", f"{TRACK},odata.maxpagesize=4")
    assert ["@odata.deltaLink" in page for page in pages] == [False, False, True]
    token = parse_qs(urlsplit(pages[-1]["@odata.deltaLink"]).query)["$deltatoken"][0]
    version = caller.sandbox.organisation.version
    assert f"{version}!02/03/2026 04:05:06" == token


def test_changes_are_new_and_updated_rows_by_version_then_deletions(
    organisation: Organisation, caller: Caller, contacts: list[str]
) -> None:
    """With all selected columns, tombstones at the end, and a link for the next time."""
    link = caller.read("contacts?$select=fullname", TRACK)["@odata.deltaLink"]
    assert caller.read(link)["value"] == []
    organisation.update("contacts", contacts[5], {"jobtitle": "x"})
    organisation.delete("contacts", contacts[7])
    organisation.update("contacts", contacts[0], {"jobtitle": "y"}, touch="version")
    brief = organisation.create("contacts", {"fullname": "brief"})
    organisation.delete("contacts", brief)
    organisation.delete("contacts", contacts[8])
    organisation.restore("contacts", contacts[8])
    assert caller.get(link.replace("contacts?", "contacts/$count?")).text == "5"
    changes = caller.read(link)
    assert changes["@odata.context"].endswith("#contacts(fullname)/$delta")
    rows = changes["value"]
    assert [row["fullname"] for row in rows[:3]] == ["F", "A", "I"]
    assert [contacts[7], brief] == [row["id"] for row in rows[3:]]
    assert rows[3]["@odata.context"].endswith("#contacts/$deletedEntity")
    assert rows[3]["reason"] == "deleted"
    assert caller.read(changes["@odata.deltaLink"])["value"] == []


def test_changes_are_paged_and_none_is_lost_on_the_way(
    organisation: Organisation, caller: Caller, contacts: list[str]
) -> None:
    """A row changed between two pages of changes comes with the next link at the latest."""
    link = caller.read("contacts?$select=fullname", TRACK)["@odata.deltaLink"]
    for identifier in contacts[:4]:
        organisation.update("contacts", identifier, {"jobtitle": "x"})
    for identifier in contacts[4:]:
        organisation.delete("contacts", identifier)
    first = caller.read(link, "odata.maxpagesize=3")
    organisation.update("contacts", contacts[3], {"jobtitle": "y"})
    pages = [first, *caller.pages(first["@odata.nextLink"], "odata.maxpagesize=3")]
    ids = [row.get("contactid", row.get("id")) for page in pages for row in page["value"]]
    assert [*contacts[:3], *contacts[4:]] == ids
    later = caller.read(pages[-1]["@odata.deltaLink"])["value"]
    assert [contacts[3]] == [row["contactid"] for row in later]


def test_a_change_during_the_tracked_pass_is_in_the_first_delta(
    organisation: Organisation, caller: Caller, contacts: list[str]
) -> None:
    """Also one behind the cursor."""
    first = caller.read("contacts?$select=fullname", f"{TRACK},odata.maxpagesize=5")
    organisation.update("contacts", contacts[0], {"jobtitle": "x"})
    last = caller.pages(first["@odata.nextLink"], f"{TRACK},odata.maxpagesize=5")[-1]
    changed = caller.read(last["@odata.deltaLink"])["value"]
    assert [contacts[0]] == [row["contactid"] for row in changed]


@pytest.mark.parametrize(
    "option", ["$filter=statecode eq 0", "$orderby=fullname", "$top=1", "$expand=ownerid"]
)
def test_tracking_takes_no_restricting_option(caller: Caller, option: str) -> None:
    """Each is refused by its name."""
    status, _, message = caller.refusal(f"contacts?{option}", TRACK)
    name = option[1:].partition("=")[0]
    expected = f'The "{name}" query parameter isn\'t supported when Change Tracking is enabled.'
    assert (400, expected) == (status, message)


def test_an_old_token_asks_for_a_full_sync(organisation: Organisation, caller: Caller) -> None:
    """By its age, and when the server says so."""
    link = caller.read("contacts", TRACK)["@odata.deltaLink"]
    organisation.now += timedelta(days=8)
    refused = caller.refusal(link)
    assert refused[:2] == (400, "0x80044352")
    assert "full sync" in refused[2]
    link = caller.read("contacts", TRACK)["@odata.deltaLink"]
    organisation.expire_delta_tokens()
    assert caller.refusal(link)[1] == "0x80044352"


def test_how_long_tokens_last_is_the_organisations_own_setting(
    organisation: Organisation, caller: Caller
) -> None:
    """Readable in its row, and obeyed."""
    link = caller.read("contacts", TRACK)["@odata.deltaLink"]
    values = {"expirechangetrackingindays": 30}
    organisation.update("organizations", organisation.organisation_id, values)
    organisation.now += timedelta(days=8)
    name = "expirechangetrackingindays"
    assert caller.values(f"organizations?$select={name}", name) == [30]
    assert caller.read(link)["value"] == []


def test_tracking_needs_the_whole_table(organisation: Organisation, caller: Caller) -> None:
    """Less than global read depth is a missing privilege for it."""
    organisation.read_depth["contact"] = "Local"
    assert caller.read("contacts")["value"] == []
    assert caller.refusal("contacts", TRACK)[:2] == (403, "0x80040220")


@pytest.mark.parametrize("token", ["nonsense", "12", "x!02/03/2026 04:05:06"])
def test_a_damaged_delta_token_is_refused(caller: Caller, token: str) -> None:
    """It is the client's mistake, not a change feed."""
    assert caller.refusal(f"contacts?$deltatoken={token}")[0] == 400
