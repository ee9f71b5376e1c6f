"""What the Test buttons say: the items that one connection can answer, within half a minute.

A test is green where runs could begin. What a run would only warn of makes the sentence longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opportunity_sync.check.items import answer_all
from opportunity_sync.check.sign_in import SignIn, sign_in_questions
from opportunity_sync.check.store_items import StoreItems, store_questions
from opportunity_sync.check.tables import Depths, privilege_questions
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.pipeline.run import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from sqlalchemy import Engine

    from opportunity_sync.check.items import Item
    from opportunity_sync.dynamics import DataverseClient, DynamicsConnection

# No question is begun later; the last one may take two requests, which the hooks give 6 s each.
BEGIN_SECONDS: Final = 16
# What a run warns of and goes on.
_WARNINGS: Final = frozenset(
    {
        "dynamics.clock_skew",
        "dynamics.read_privilege",
        "dynamics.secret_expires_soon",
        "store.foreign_tables",
        "store.schema",
        "store.timeouts",
        "store.world_readable",
    }
)


def try_dynamics(
    client: DataverseClient,
    connection: DynamicsConnection,
    *,
    now: Callable[[], datetime] = utc_now,
) -> tuple[bool, str]:
    """Whether runs could begin by this connection, and in words what was found."""
    sign_in = SignIn(client)
    depths = Depths(client, sign_in, DEFAULT_MODEL)
    items = answer_all(
        [
            *sign_in_questions(client, connection, sign_in=sign_in, now=now),
            *privilege_questions(depths, DEFAULT_MODEL),
        ],
        seconds=BEGIN_SECONDS,
    )
    if any(item.name == "dynamics.token" and item.state == "failed" for item in items):
        return _judge("", items)
    who = sign_in.identity()
    connected = (
        f"Connected to organisation {who['OrganizationId']} at {client.organization_url} as user "
        f"{who['UserId']}."
    )
    return _judge(connected, items)


def try_store(engine: Engine) -> tuple[bool, str]:
    """Whether runs could use this store, and in words what it is."""
    items = answer_all(store_questions(StoreItems(engine)), seconds=BEGIN_SECONDS)
    told = [
        item.found
        for item in items
        if item.name in {"store.reachable", "store.organization"} and item.state == "passed"
    ]
    return _judge(" ".join(told), items)


def _judge(opening: str, items: Iterable[Item]) -> tuple[bool, str]:
    failed = [item for item in items if item.state == "failed"]
    steps = ((item.next_step or "").rstrip(".") for item in failed)
    told = zip(failed, steps, strict=True)
    advice = (f"{_of_table(item)}{item.found} Next step: {step}." for item, step in told)
    is_usable = all(item.code in _WARNINGS for item in failed)
    return is_usable, " ".join([*([opening] if opening else []), *advice])


def _of_table(item: Item) -> str:
    """The table that an item is about, where there is one."""
    name = item.name.removeprefix("dynamics.read_privilege.")
    return "" if name == item.name else f"{name}: "
