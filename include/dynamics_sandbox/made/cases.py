"""The planted cases: each rule of the association table, and each way in which it can fail.

One function per family of cases, in the order of the rules. An opportunity with several names
holds cases that don't disturb each other, so that all fit into a small organisation.
"""

from __future__ import annotations

from dynamics_sandbox.made import texts
from dynamics_sandbox.made.planted import Planted, lookup

_INACTIVE = {"statecode": 1, "statuscode": 2}


def plant(seed: int) -> Planted:
    """Every case, under ids that follow from the seed."""
    planted = Planted(seed)
    for family in (
        _customers,
        _filters_and_states,
        _stakeholders,
        _one_sided_stakeholders,
        _repeated_stakeholders,
        _no_stakeholders,
        _missing_records,
        _excluded_records,
        _merged_records,
        _circles,
        _broken_merges,
    ):
        family(planted)
    return planted


def _customers(p: Planted) -> None:
    account, other = p.account(), p.account()
    contact = p.contact(account)
    parents = {**lookup("parentaccountid", account), **lookup("parentcontactid", contact)}
    p.opportunity(
        "contact_with_account", "long_memo", customer=contact, description=texts.LONG_MEMO
    )
    p.opportunity(
        "contact_without_parent", "html_memo", customer=p.contact(), description=texts.HTML_MEMO
    )
    p.opportunity(
        "contact_under_contact",
        "nul_character",
        customer=p.contact(contact),
        description=texts.NUL_TEXT,
    )
    p.opportunity(
        "account_customer",
        "lone_surrogate",
        customer=account,
        description=texts.LONE_SURROGATE_TEXT,
    )
    p.opportunity("account_and_contact", customer=account, **parents)
    p.opportunity(
        "contact_with_other_parent_account", customer=contact, **lookup("parentaccountid", other)
    )
    p.opportunity("no_customer_but_parents", **parents)


def _filters_and_states(p: Planted) -> None:
    p.opportunity("no_customer", "opportunity_filter_null", new_synctomkto=None)
    p.opportunity("opportunity_excluded", customer=p.contact(p.account()), new_synctomkto=False)
    idle = p.contact(p.account(**_INACTIVE), **_INACTIVE)
    p.opportunity("contact_inactive", "contact_account_inactive", customer=idle)
    p.opportunity("account_inactive", customer=p.account(**_INACTIVE))
    undecided = p.contact(p.account(new_synctomkto=None), new_synctomkto=None)
    p.opportunity("contact_filter_null", "account_filter_null", customer=undecided)


def _stakeholders(p: Planted) -> None:
    p.connect(p.opportunity("stakeholder"), p.contact(p.account()))
    from_contact = p.opportunity("stakeholder_from_contact")
    p.connect(p.contact(), from_contact, roles=("champion", None))
    both = p.contact(p.account())
    p.connect(p.opportunity("customer_and_stakeholder", customer=both), both)
    equal = p.contact(p.account())
    opportunity = p.opportunity("customer_and_stakeholder_of_equal_role_name", customer=equal)
    p.connect(opportunity, equal, roles=(None, "potential_customer"))
    counted = p.opportunity("role_inactive", "connection_ended", "stakeholder_contact_inactive")
    p.connect(counted, p.contact(), roles=(None, "retired"))
    ended = {"effectivestart": "2019-01-01T05:00:00Z", "effectiveend": "2019-12-31T05:00:00Z"}
    p.change(p.connect(counted, p.contact(None, **_INACTIVE), roles=(None, "end_user")), **ended)


def _one_sided_stakeholders(p: Planted) -> None:
    of_opportunity = p.opportunity("one_sided_from_opportunity")
    p.remove(p.connect(of_opportunity, p.contact())[1])
    of_contact = p.opportunity("one_sided_from_contact", "twin_not_named")
    kept, lost = p.connect(p.contact(), of_contact, roles=("decision", None))
    p.remove(lost)
    p.change([kept], **lookup("relatedconnectionid", None))
    twin = p.opportunity("inactive_twin")
    p.change(p.connect(twin, p.contact())[:1], **_INACTIVE)


def _repeated_stakeholders(p: Planted) -> None:
    contact = p.contact()
    opportunity = p.opportunity("same_pair_repeated")
    p.connect(opportunity, contact)
    p.connect(opportunity, contact)
    p.connect(contact, opportunity, roles=("stakeholder", None))
    several = p.opportunity("several_roles")
    p.connect(several, contact, roles=(None, "champion"))
    p.connect(several, contact, roles=(None, "economic"))
    equal = p.opportunity("several_roles_of_equal_name", "role_renamed")
    p.connect(equal, contact, roles=(None, "influencer"))
    p.connect(equal, contact, roles=(None, "influencer_again"))
    p.connect(equal, contact, roles=(None, "renamed"))


def _no_stakeholders(p: Planted) -> None:
    inactive = p.opportunity("connection_inactive", "party_opportunity")
    p.change(p.connect(inactive, p.contact()), **_INACTIVE)
    category = p.opportunity("role_of_other_category", "role_without_category")
    for word in ("namesake", "business", "sales_team", "legacy"):
        p.connect(category, p.contact(), roles=(None, word))
    without = p.opportunity("no_role", "role_on_opportunity_side")
    p.connect(without, p.contact(), roles=(None, None))
    p.connect(without, p.contact(), roles=("stakeholder", None))
    party = p.opportunity("party_not_a_contact")
    for other in (p.account(), p.user(), p.missing_row("lead"), inactive):
        p.connect(party, other)


def _missing_records(p: Planted) -> None:
    p.opportunity("customer_contact_not_found", customer=p.missing_row("contact"))
    p.opportunity("customer_account_not_found", customer=p.missing_row("account"))
    p.opportunity("contact_account_not_found", customer=p.contact(p.missing_row("account")))
    opportunity = p.opportunity("stakeholder_contact_not_found", "stakeholder_role_not_found")
    p.connect(opportunity, p.missing_row("contact"))
    p.connect(opportunity, p.contact(), roles=(None, "missing"))


def _excluded_records(p: Planted) -> None:
    excluded = p.contact(p.account(), new_synctomkto=False)
    p.opportunity("customer_contact_excluded", customer=excluded)
    account = p.account(new_synctomkto=False)
    opportunity = p.opportunity(
        "customer_account_excluded", "stakeholder_contact_excluded", customer=account
    )
    p.connect(opportunity, excluded)
    p.opportunity("contact_account_excluded", customer=p.contact(account))


def _merged_records(p: Planted) -> None:
    account, merged_account = p.account(), p.account()
    p.merge(merged_account, account)
    survivor, once, twice, thrice = p.contact(account), p.contact(), p.contact(), p.contact()
    for loser, winner in ((once, survivor), (twice, once), (thrice, twice)):
        p.merge(loser, winner)
    p.opportunity("contact_merged", customer=once)
    p.opportunity("contact_merged_three_times", customer=thrice)
    p.opportunity("account_merged", customer=merged_account)
    p.opportunity("contact_account_merged", customer=p.contact(merged_account))
    p.connect(p.opportunity("stakeholder_merged"), twice)
    excluded, into_excluded = p.contact(p.account(), new_synctomkto=False), p.contact()
    p.merge(into_excluded, excluded)
    p.opportunity("contact_merged_into_excluded", customer=into_excluded)
    from_excluded = p.contact(new_synctomkto=False)
    p.merge(from_excluded, survivor)
    from_excluded_account = p.account(new_synctomkto=False)
    p.merge(from_excluded_account, account)
    both = p.opportunity(
        "account_merged_from_excluded",
        "stakeholder_merged_from_excluded",
        customer=from_excluded_account,
    )
    p.connect(both, from_excluded)


def _circles(p: Planted) -> None:
    contacts, accounts = [p.contact(), p.contact(), p.contact()], [p.account(), p.account()]
    for circle in (contacts, accounts):
        for loser, winner in zip(circle, circle[1:] + circle[:1], strict=True):
            p.merge(loser, winner)
    itself = p.contact()
    p.merge(itself, itself)
    opportunity = p.opportunity(
        "contact_merge_circle", "stakeholder_merge_circle", customer=contacts[0]
    )
    p.connect(opportunity, itself)
    p.opportunity("account_merge_circle", customer=accounts[1])
    p.opportunity("contact_account_merge_circle", customer=p.contact(accounts[0]))


def _broken_merges(p: Planted) -> None:
    lost, lost_account = p.contact(), p.account()
    p.merge(lost, p.missing_row("contact"))
    p.merge(lost_account, p.missing_row("account"))
    p.opportunity("contact_survivor_not_found", customer=lost)
    opportunity = p.opportunity(
        "account_survivor_not_found", "stakeholder_survivor_not_found", customer=lost_account
    )
    p.connect(opportunity, lost)
    without_master = p.contact(p.account(), merged=True, **_INACTIVE)
    p.opportunity("merged_without_master", customer=without_master)
    not_merged = p.contact(p.account(), **lookup("masterid", without_master))
    p.opportunity("master_without_merged", customer=not_merged)
