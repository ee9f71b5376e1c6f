"""Items of the connection to Dynamics itself: address, token, secret, application user, clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from opportunity_sync.check.items import FailedItemError, Question, UndecidedItemError
from opportunity_sync.dynamics import AuthFlow, certificate_end
from opportunity_sync.errors import ConfigError, PrivilegeError, SyncError

if TYPE_CHECKING:
    from collections.abc import Callable

    from opportunity_sync.dynamics import DataverseClient, DynamicsConnection

TOKEN: Final = "dynamics.token"  # noqa: S105 - the name of an item
WARN_BEFORE: Final = timedelta(days=30)
CLOCK_TOLERANCE: Final = timedelta(minutes=1)
_EXPIRED_SECRET: Final = "AADSTS7000222"  # noqa: S105 - Entra's code
_ANSWERS_OF_DATAVERSE: Final = frozenset({401, 403})


@dataclass
class SignIn:
    """What WhoAmI says, asked once for all the items that it decides."""

    client: DataverseClient
    _identity: dict[str, str] | None = field(default=None, init=False)
    _error: SyncError | None = field(default=None, init=False)

    def identity(self) -> dict[str, str]:
        """`UserId` and `OrganizationId`; raises the same error each time."""
        if self._error is not None:
            raise self._error
        if self._identity is None:
            try:
                self._identity = self.client.who_am_i()
            except SyncError as error:
                self._error = error
                raise
        return self._identity

    def find_address(self) -> str:
        """Whether the Web API is there, also where no token can be had."""
        try:
            self.identity()
        except SyncError as error:
            if is_of_token_service(error):
                self.client.require_web_api()
            elif status_of(error) not in _ANSWERS_OF_DATAVERSE:
                raise
        return f"The Web API answers at {self.client.organization_url}."

    def find_token(self) -> str:
        """Whether the token service gives a token that Dataverse takes."""
        try:
            self.identity()
        except PrivilegeError:
            pass  # it was taken: the user may not do what was asked
        except SyncError as error:
            code = error.request.code if error.request else None
            if code == _EXPIRED_SECRET:
                raise FailedItemError(
                    error.problem, next_step=error.next_step, item_code="dynamics.secret_expired"
                ) from error
            raise
        return "The token service gave a token, and Dataverse took it."

    def find_application_user(self) -> str:
        """Whether the user that signs in is there and enabled."""
        user = self.identity()["UserId"]
        try:
            found = self.client.get_json(f"systemusers({user})", {"$select": "isdisabled"})
        except ConfigError as error:
            raise UndecidedItemError(
                f"The user {user} signs in, and its own row can't be read: {error.problem}",
                next_step="nothing, unless other items fail; else look at the application user in "
                "the Power Platform admin center",
            ) from error
        if found.get("isdisabled") is True:
            raise FailedItemError(
                f"The user {user} is disabled.",
                next_step="enable it in the Power Platform admin center (Application users)",
            )
        return f"Signed in as user {user}, which is enabled."

    def find_clock_skew(self, now: Callable[[], datetime]) -> str:
        """How far Dynamics' clock and this machine's are apart."""
        told = self.client.get("WhoAmI").server_date
        if told is None:
            raise UndecidedItemError(
                "Dynamics' answers bear no date.",
                next_step="see whether a proxy takes the header Date away",
            )
        apart = abs(told - now())
        if apart > CLOCK_TOLERANCE:
            raise FailedItemError(
                f"Dynamics' clock and this machine's differ by {apart.total_seconds():.0f} s.",
                next_step="let the workers' clocks follow a time server",
            )
        return f"They differ by less than {CLOCK_TOLERANCE.total_seconds():.0f} s."


def find_secret_expiry(connection: DynamicsConnection, now: datetime) -> str:
    """When what the sync signs in with expires: no token tells, so the connection has to."""
    if connection.auth_flow is AuthFlow.MANAGED_IDENTITY:
        return "A managed identity has no secret that expires."
    what, end = _expiry_of(connection)
    if end is None:
        raise UndecidedItemError(
            f"The connection does not say when the {what} expires.",
            next_step="put the day into the extra secret_expires_on, as 2027-01-31 (App "
            "registrations, Certificates & secrets), to be warned 30 days before",
        )
    days = (end - now).days
    if end <= now:
        raise FailedItemError(
            f"The {what} has expired on {end:%Y-%m-%d}.",
            next_step="make a new one, and put it and its day into the connection",
            item_code="dynamics.secret_expired",
        )
    if end - now <= WARN_BEFORE:
        raise FailedItemError(
            f"The {what} expires on {end:%Y-%m-%d}, in {days} days.",
            next_step="make a new one now, and put it and its day into the connection",
            item_code="dynamics.secret_expires_soon",
        )
    return f"The {what} expires on {end:%Y-%m-%d}, in {days} days."


def _expiry_of(connection: DynamicsConnection) -> tuple[str, datetime | None]:
    """What expires, and when; the earlier of what the certificate and the extra say."""
    told = connection.secret_expires_on
    ends = [] if told is None else [datetime(told.year, told.month, told.day, tzinfo=UTC)]
    if connection.auth_flow is AuthFlow.CERTIFICATE:
        return "certificate", min([*ends, certificate_end(connection)])
    what = "user's password" if connection.auth_flow is AuthFlow.ROPC else "client secret"
    return what, min(ends, default=None)


def is_of_token_service(error: SyncError) -> bool:
    """Whether an error comes from asking for a token, not from Dataverse."""
    return error.request is not None and error.request.path.endswith("(token)")


def status_of(error: SyncError) -> int | None:
    """The HTTP status that an error came with, if any."""
    return error.request.status if error.request else None


def sign_in_questions(
    client: DataverseClient,
    connection: DynamicsConnection,
    *,
    sign_in: SignIn,
    now: Callable[[], datetime],
) -> list[Question]:
    """The items that the connection to Dynamics can answer by itself."""
    return [
        Question(
            "dynamics.address",
            f"Does the Web API answer at {client.organization_url}?",
            "dynamics.address",
            sign_in.find_address,
            on_transient="failed",
        ),
        Question(
            TOKEN,
            f"Does {connection.authority} give a token that Dataverse takes?",
            TOKEN,
            sign_in.find_token,
            on_transient="failed",
        ),
        Question(
            "dynamics.secret_expiry",
            "Does what the sync signs in with expire within 30 days?",
            "dynamics.secret_expiry",
            lambda: find_secret_expiry(connection, now()),
        ),
        Question(
            "dynamics.application_user",
            "Is the user that signs in enabled?",
            "dynamics.application_user",
            sign_in.find_application_user,
            needs=TOKEN,
        ),
        Question(
            "dynamics.clock",
            "Do Dynamics' clock and this machine's agree?",
            "dynamics.clock_skew",
            lambda: sign_in.find_clock_skew(now),
            needs=TOKEN,
        ),
    ]
