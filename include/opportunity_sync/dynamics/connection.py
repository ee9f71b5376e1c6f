"""What the Airflow connection `dynamics_default` says, checked before anything is sent.

A misspelt key or a missing secret shows up otherwise as an AADSTS code ten steps later. All
faults are named at once, by key and never by value. The model holds secrets, so it prints
without them and refuses to be pickled (XCom, task arguments and crash reports pickle freely).
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, field_validator

from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

PUBLIC_CLOUD: Final = "https://login.microsoftonline.com"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_WHERE: Final = {
    "organization_url": "host",
    "client_id": "login",
    "client_secret": "password",
}


class AuthFlow(StrEnum):
    """How a token is asked for."""

    CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of the flow
    CERTIFICATE = "certificate"
    ROPC = "ropc"
    MANAGED_IDENTITY = "managed_identity"


_NEEDED: Final[Mapping[AuthFlow, tuple[str, ...]]] = {
    AuthFlow.CLIENT_SECRET: ("client_id", "client_secret", "tenant_id"),
    AuthFlow.CERTIFICATE: ("client_id", "tenant_id", "private_key", "public_certificate"),
    AuthFlow.ROPC: ("client_id", "tenant_id", "username", "user_password"),
    AuthFlow.MANAGED_IDENTITY: (),
}


class DynamicsConnection(BaseModel):
    """One organisation and the credentials that read it.

    `private_key` and `public_certificate` are PEM texts or paths of PEM files. `client_id` of a
    managed identity chooses a user-assigned one; without it the machine's own is used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    organization_url: str
    client_id: str | None = None
    client_secret: SecretStr | None = None
    tenant_id: str | None = None
    auth_flow: AuthFlow = AuthFlow.CLIENT_SECRET
    authority: str = PUBLIC_CLOUD
    instance_discovery: bool = True
    verify: Path | None = None
    username: str | None = None
    user_password: SecretStr | None = None
    private_key: SecretStr | None = None
    public_certificate: str | None = None

    @classmethod
    def from_parts(  # noqa: PLR0917 - the four parts in Airflow's order
        cls,
        host: str | None,
        login: str | None,
        password: str | None,
        extra: Mapping[str, Any],
    ) -> DynamicsConnection:
        """Build from the parts of an Airflow connection; `ConfigError` names every fault."""
        _refuse_unknown(extra)
        parts = {"organization_url": host, "client_id": login, "client_secret": password, **extra}
        given = {key: value for key, value in parts.items() if value not in (None, "")}
        try:
            connection = cls.model_validate(given)
        except ValidationError as error:
            # `from None`: pydantic keeps the input, secrets included, on its exception.
            raise _not_valid(_faults(error)) from None
        missing = [
            f"{_place(name)} is missing"
            for name in _NEEDED[connection.auth_flow]
            if getattr(connection, name) is None
        ]
        if missing:
            raise _not_valid([*missing, f"auth_flow {connection.auth_flow} needs it"])
        return connection

    @field_validator("organization_url")
    @classmethod
    def _origin_of_organization(cls, url: str) -> str:
        if "://" not in url:
            url = f"https://{url}"
        return _origin(url, plain_on_loopback=True)

    @field_validator("authority")
    @classmethod
    def _origin_of_authority(cls, url: str) -> str:
        return _origin(url, plain_on_loopback=False)

    @field_validator("verify", mode="before")
    @classmethod
    def _existing_bundle(cls, path: object) -> object:
        if path is True:
            return None
        if path is False or not Path(str(path)).exists():
            raise ValueError("must be the path of an existing CA bundle; it can't be turned off")
        return path

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret text, for wiping it from what servers echo."""
        held = (self.client_secret, self.user_password, self.private_key)
        return tuple(secret.get_secret_value() for secret in held if secret is not None)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a DynamicsConnection holds secrets and is never pickled")


def _refuse_unknown(extra: Mapping[str, Any]) -> None:
    known = set(DynamicsConnection.model_fields) - set(_WHERE)
    unknown = sorted(str(key) for key in set(extra) - known)
    if unknown:
        raise _not_valid([f"extra key {key} is unknown" for key in unknown])


def _origin(url: str, *, plain_on_loopback: bool) -> str:
    parts = urlsplit(url.strip())
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be scheme and host only, as in https://contoso.crm.dynamics.com")
    plain_allowed = plain_on_loopback and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or plain_allowed):
        raise ValueError("must be an https URL")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _place(name: str) -> str:
    return _WHERE.get(name) or f"extra key {name}"


def _faults(error: ValidationError) -> list[str]:
    return [
        f"{_place(str(fault['loc'][0]))}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors(include_input=False, include_context=False, include_url=False)
    ]


def _not_valid(faults: list[str]) -> ConfigError:
    known = ", ".join(name for name in DynamicsConnection.model_fields if name not in _WHERE)
    return ConfigError(
        f"The Dynamics connection is not valid: {'; '.join(faults)}.",
        next_step=f"correct the Airflow connection; keys of its extra are {known}.",
    )
