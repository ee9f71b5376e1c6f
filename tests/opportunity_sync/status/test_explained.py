"""Tests of an opportunity explained: its rule, its customer through merges, its roles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from opportunity_sync.model import ACCOUNT, CONNECTION, CONNECTION_ROLE, CONTACT, OPPORTUNITY
from opportunity_sync.status import explain_opportunity
from opportunity_sync.store.schema.tables import (
    history,
    opportunity_contact_role,
    unresolved_association,
)
from store_rows import NOON, guid, later, write

if TYPE_CHECKING:
    from sqlalchemy import Engine

DEAL, LOSER, SURVIVOR, EMPLOYER, CHAMPION, LINK, MIRROR = (guid(number) for number in range(1, 8))


def explained(engine: Engine, opportunity_id: str = DEAL) -> dict[str, Any]:
    """The answer about an opportunity that is there."""
    with engine.connect() as connection:
        answer = explain_opportunity(connection, opportunity_id)
    assert answer is not None
    return answer


def a_deal(engine: Engine, **columns: Any) -> None:
    """The opportunity, and who it may refer to: a contact that was merged, and its employer."""
    write(engine, OPPORTUNITY, {"id": 1, "name": "Mine", "modified_at": NOON} | columns)
    merged = {"id": 2, "last_name": "Old", "is_merged": True, "master_id": SURVIVOR}
    write(engine, CONTACT, merged, {"id": 3, "first_name": "Ada", "last_name": "Byron"})
    write(engine, ACCOUNT, {"id": 4, "company": "Engines"})


def a_link(number: int, *, state: int = 0) -> dict[str, Any]:
    """A connection of the opportunity with the merged contact, as champion."""
    opportunity = {"record1_id": DEAL, "record1_type": "opportunity"}
    contact = {"record2_id": LOSER, "record2_type": "contact", "record2_role_id": CHAMPION}
    return {"id": number, "state": state} | opportunity | contact


def test_a_customer_is_followed_through_its_merges(engine: Engine) -> None:
    """The rule, both names and the account that came of it are told."""
    a_deal(engine, customer_id=LOSER, customer_type="contact", account_id=EMPLOYER)
    found = explained(engine)
    assert (found["name"], found["rule"]) == ("Mine", "customer_is_contact")
    customer = {"id": LOSER, "type": "contact", "name": "Old", "survivor_id": SURVIVOR}
    assert found["customer"] == customer | {"survivor_name": "Ada Byron"}
    assert found["account"] == {"id": EMPLOYER, "name": "Engines"}


def test_without_a_customer_or_with_an_account_another_rule_applies(engine: Engine) -> None:
    """No customer is null, no account is null; names that are not selected are no fault."""
    a_deal(engine)
    write(engine, OPPORTUNITY, {"id": 9, "customer_id": EMPLOYER, "customer_type": "account"})
    nobody, account = explained(engine), explained(engine, guid(9))
    assert (nobody["rule"], nobody["customer"], nobody["account"]) == ("no_customer", None, None)
    assert (account["rule"], account["customer"]["name"]) == ("customer_is_account", "Engines")


def test_a_role_names_the_connections_that_give_it(engine: Engine) -> None:
    """Each active one counts by itself, and merges of the contact are followed."""
    a_deal(engine)
    champion = {"id": 5, "name": "Champion", "category": 1000}
    write(engine, CONNECTION_ROLE, champion)
    write(engine, CONNECTION, a_link(6), a_link(7), a_link(8, state=1))
    role = {"opportunity_id": DEAL, "contact_id": SURVIVOR, "role": "Champion"}
    stored = role | {"is_primary": False, "source": "stakeholder", "synced_at": NOON}
    with engine.begin() as connection:
        connection.execute(insert(opportunity_contact_role).values(stored))
    (found,) = explained(engine)["roles"]
    expected = role | {"contact_name": "Ada Byron", "connections": [LINK, MIRROR]}
    assert (expected | {"is_deleted": False}).items() <= found.items()


def test_what_is_missing_and_what_changed_is_told(engine: Engine) -> None:
    """The newest change comes first, with the names of its columns."""
    a_deal(engine)
    gap = {"kind": "customer_contact", "reference_id": guid(99), "reason": "contact_not_found"}
    lines = [
        {"revision": number, "at": later(number), "changes": json.dumps({"columns": [column]})}
        for number, column in ((2, "name"), (3, "stage_code"))
    ]
    of_deal = {"opportunity_id": DEAL}
    run = {"dag_id": "sync", "run_id": "r"}
    with engine.begin() as connection:
        seen = of_deal | {"first_seen_at": NOON}
        connection.execute(insert(unresolved_association).values(gap | seen))
        connection.execute(insert(history), [of_deal | run | line for line in lines])
    found = explained(engine)
    assert found["unresolved"] == [of_deal | gap | {"first_seen_at": NOON}]
    assert [
        (each["run_id"], each["at"], each["changes"]["columns"]) for each in found["history"]
    ] == [
        ("r", later(3), ["stage_code"]),
        ("r", later(2), ["name"]),
    ]


def test_what_the_store_does_not_have_is_not_explained(engine: Engine) -> None:
    """There is no row, so there is no answer."""
    with engine.connect() as connection:
        assert explain_opportunity(connection, guid(404)) is None
