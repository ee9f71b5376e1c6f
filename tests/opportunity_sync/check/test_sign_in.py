"""The connection to Dynamics: each thing that can be wrong with it is told apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from opportunity_sync.check.items import FailedItemError, UndecidedItemError
from opportunity_sync.check.sign_in import find_secret_expiry
from opportunity_sync.dynamics import DynamicsConnection
from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from asked_check import Asked
    from dynamics_sandbox import Organisation, Sandbox

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
TENANT = "11111111-2222-4333-8444-555555555555"


def a_connection(**extra: Any) -> DynamicsConnection:
    """A connection with a client secret."""
    given = {"tenant_id": TENANT} | extra
    return DynamicsConnection.from_parts("https://c.crm.dynamics.com", "id", "secret-1", given)


def state_and_code(asked: Asked, name: str) -> tuple[str, str | None]:
    """How an item ended."""
    item = asked.item(name)
    return item.state, item.code


@pytest.mark.parametrize("name", ["address", "token", "clock"])
def test_a_good_connection_passes(asked: Asked, name: str) -> None:
    """Each item by itself."""
    assert state_and_code(asked, f"dynamics.{name}") == ("passed", None)


def test_an_expired_secret_is_the_tokens_fault_and_not_the_addresss(
    asked: Asked, sandbox: Sandbox
) -> None:
    """It has a code of its own: by far the most frequent end of a sync that ran well."""
    body = (
        '{"error": "invalid_client", "error_codes": [7000222],'
        ' "error_description": "AADSTS7000222: expired"}'
    )
    sandbox.faults.add("status", "/oauth2/", status=401, body=body, times=99)

    assert state_and_code(asked, "dynamics.token") == ("failed", "dynamics.secret_expired")
    assert state_and_code(asked, "dynamics.address") == ("passed", None)


def test_an_organisation_that_does_not_answer_is_the_addresss_fault(
    asked: Asked, sandbox: Sandbox
) -> None:
    """Though the token service gives a token."""
    sandbox.faults.add("drop_connection", "/api/data/", times=99)

    assert state_and_code(asked, "dynamics.address") == ("failed", "dynamics.address")


@pytest.mark.parametrize(
    ("is_disabled", "ended"),
    [(False, ("passed", None)), (True, ("failed", "dynamics.application_user"))],
)
def test_a_disabled_user_has_failed(
    asked: Asked, organisation: Organisation, *, is_disabled: bool, ended: tuple[str, str | None]
) -> None:
    """Its own row tells; where that can't be read it is not decided."""
    undecided = asked.item("dynamics.application_user")
    user = undecided.found.split()[2]
    organisation.create("systemusers", {"systemuserid": user, "isdisabled": is_disabled})

    assert undecided.state == "unknown"
    assert state_and_code(asked, "dynamics.application_user") == ended


def test_clocks_that_differ_are_told(asked: Asked, organisation: Organisation) -> None:
    """A minute is tolerated."""
    organisation.skew_clock(600)

    assert state_and_code(asked, "dynamics.clock") == ("failed", "dynamics.clock_skew")


@pytest.mark.parametrize(
    ("day", "code"),
    [
        ("2026-11-26", "dynamics.secret_expired"),
        ("2026-12-26", "dynamics.secret_expires_soon"),
        ("2026-11-27T08:00:00Z", "dynamics.secret_expires_soon"),
    ],
)
def test_a_secret_is_warned_of_thirty_days_before(day: str, code: str) -> None:
    """By the day that the connection tells: no token does."""
    with pytest.raises(FailedItemError) as raised:
        find_secret_expiry(a_connection(secret_expires_on=day), NOW)

    assert raised.value.item_code == code


def test_a_secret_that_lasts_passes() -> None:
    """With the days that are left."""
    connection = a_connection(secret_expires_on="2026-12-31")

    assert find_secret_expiry(connection, NOW) == (
        "The client secret expires on 2026-12-31, in 34 days."
    )


def test_a_secret_of_which_nobody_told_is_not_decided() -> None:
    """The next step names the extra."""
    with pytest.raises(UndecidedItemError, match="secret_expires_on"):
        find_secret_expiry(a_connection(), NOW)


def test_a_managed_identity_has_no_secret() -> None:
    """So nothing can expire."""
    connection = DynamicsConnection.from_parts(
        "https://c.crm.dynamics.com", None, None, {"auth_flow": "managed_identity"}
    )

    assert find_secret_expiry(connection, NOW) == ("A managed identity has no secret that expires.")


def test_a_certificate_tells_its_end_by_itself(sandbox: Sandbox) -> None:
    """Nobody has to type a day."""
    key, certificate = sandbox.register_certificate()
    connection = a_connection(
        auth_flow="certificate", private_key=key, public_certificate=certificate
    )
    long_after = datetime.now(UTC) + timedelta(days=36500)

    with pytest.raises(FailedItemError, match="The certificate has expired"):
        find_secret_expiry(connection, long_after)


def test_a_day_that_is_none_is_refused_by_the_connection() -> None:
    """By its name, with an example."""
    with pytest.raises(ConfigError, match="secret_expires_on: must be a day, as 2027-01-31"):
        a_connection(secret_expires_on="next spring")
