"""What the Airflow connection `dynamics_default` says, checked before anything is sent.

Otherwise a misspelt key or a missing secret shows up as an AADSTS code ten steps later. All faults
are named at once, by key and never by value. The model holds secrets, so it prints without them and
refuses to be pickled, for XCom, task arguments and crash reports pickle freely.
"""

from __future__ import annotations

import os.path
import re
from datetime import date, datetime
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, field_validator

from opportunity_sync.dynamics.guids import is_guid
from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PUBLIC_CLOUD: Final = "https://login.microsoftonline.com"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
# Blanks, and characters of no width: controls, soft hyphens, marks of direction, byte order marks.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_BUT_BREAKS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_INVISIBLE: Final = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
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
    `secret_expires_on`: the last day of the secret, for the check to warn of; no token tells it.
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
    secret_expires_on: date | None = None

    @classmethod
    def from_parts(  # noqa: PLR0917 - the four parts in Airflow's order
        cls,
        host: str | None,
        login: str | None,
        password: str | None,
        extra: Mapping[str, Any],
    ) -> DynamicsConnection:
        """Build from the parts of an Airflow connection; `ConfigError` names every fault."""
        _refuse_unknown_keys(extra)
        parts = {"organization_url": host, "client_id": login, "client_secret": password, **extra}
        given = {key: value for key, value in parts.items() if not _is_blank(value)}
        try:
            connection = cls.model_validate(given)
        except ValidationError as error:
            # `from None`: pydantic keeps the input, secrets included, on its exception.
            raise _invalid_connection_error(_describe_faults(error)) from None
        missing = [
            f"{_place_of(name)} is missing"
            for name in _NEEDED[connection.auth_flow]
            if getattr(connection, name) is None
        ]
        if missing:
            raise _invalid_connection_error(
                [*missing, f"auth_flow {connection.auth_flow} needs it"]
            )
        return connection

    @field_validator("organization_url", "client_id", "tenant_id", "authority", mode="before")
    @classmethod
    def _strip_text(cls, text: object) -> object:
        """Without the blanks that copying adds around it; invisible characters are refused."""
        return _strip_and_check(text, str.strip, _INVISIBLE)

    @field_validator("client_secret", mode="before")
    @classmethod
    def _strip_secret(cls, text: object) -> object:
        return _strip_and_check(text, str.strip, _INVISIBLE)

    @field_validator("username", "user_password", mode="before")
    @classmethod
    def _strip_line(cls, text: object) -> object:
        """A password may begin or end with a blank, but not with a line break."""
        return _strip_and_check(text, lambda line: line.strip("\r\n"), _CONTROL)

    @field_validator("private_key", "public_certificate", mode="before")
    @classmethod
    def _strip_lines(cls, text: object) -> object:
        return _strip_and_check(text, str.strip, _CONTROL_BUT_BREAKS)

    @field_validator("organization_url")
    @classmethod
    def _require_organization_origin(cls, url: str) -> str:
        if "://" not in url:
            url = f"https://{url}"
        return _require_origin(url, plain_on_loopback=True)

    @field_validator("authority")
    @classmethod
    def _require_authority_origin(cls, url: str) -> str:
        return _require_origin(url, plain_on_loopback=False)

    @field_validator("tenant_id")
    @classmethod
    def _require_tenant_name(cls, name: str) -> str:
        """The name becomes a part of the token service's address, and must not lead elsewhere."""
        if not (is_guid(name) or (_HOST.fullmatch(name) and "." in name)):
            raise ValueError("must be the tenant's id (a GUID) or one of its domains")
        return name

    @field_validator("verify", mode="before")
    @classmethod
    def _require_bundle(cls, path: object) -> object:
        if path is True:
            return None
        path = str(path).strip()
        if _CONTROL.search(path) or not os.path.exists(path):  # noqa: PTH110 - Path.exists raises where this user may not look
            raise ValueError("must be the path of an existing CA bundle; it can't be turned off")
        return path

    @field_validator("secret_expires_on", mode="before")
    @classmethod
    def _require_day(cls, day: object) -> object:
        """A day, or the moment that a portal shows, of which the day counts."""
        try:
            return datetime.fromisoformat(str(day).strip()).date()
        except ValueError:
            raise ValueError("must be a day, as 2027-01-31") from None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret text, for wiping it from what servers echo."""
        held = (self.client_secret, self.user_password, self.private_key)
        return tuple(secret.get_secret_value() for secret in held if secret is not None)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a DynamicsConnection holds secrets and is never pickled")


def _refuse_unknown_keys(extra: object) -> None:
    if not isinstance(extra, dict):
        raise _invalid_connection_error(["extra is not a JSON object"])
    known = set(DynamicsConnection.model_fields) - set(_WHERE)
    unknown = sorted(str(key) for key in set(extra) - known)
    if unknown:
        raise _invalid_connection_error([f"extra key {key[:40]} is unknown" for key in unknown])


def _strip_and_check(
    text: object, strip: Callable[[str], str], forbidden: re.Pattern[str]
) -> object:
    if not isinstance(text, str):
        return text  # its type is refused by the field itself
    stripped = strip(text)
    if forbidden.search(stripped):
        raise ValueError("has a line break or another character that can't be seen; type it anew")
    return stripped


def _require_origin(url: str, *, plain_on_loopback: bool) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("must have a port from 1 to 65535, if any, after its host") from None
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be scheme and host only, as in https://contoso.crm.dynamics.com")
    plain_allowed = plain_on_loopback and host in _LOOPBACK
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and plain_allowed)):
        raise ValueError("must be an https URL")
    host = host.removesuffix(".")
    if not (_HOST.fullmatch(host) or _is_ip_6(host)) or port == 0:
        raise ValueError("must be a host's name, as in https://contoso.crm.dynamics.com")
    written = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{written}" + (f":{port}" if port else "")


def _is_ip_6(host: str) -> bool:
    try:
        return isinstance(ip_address(host), IPv6Address)
    except ValueError:
        return False


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _place_of(name: str) -> str:
    return _WHERE.get(name) or f"extra key {name}"


def _describe_faults(error: ValidationError) -> list[str]:
    return [
        f"{_place_of(str(fault['loc'][0]))}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors(include_input=False, include_context=False, include_url=False)
    ]


def _invalid_connection_error(faults: list[str]) -> ConfigError:
    known = ", ".join(name for name in DynamicsConnection.model_fields if name not in _WHERE)
    return ConfigError(
        f"The Dynamics connection is not valid: {'; '.join(faults)}.",
        next_step=f"correct the Airflow connection; keys of its extra are {known}.",
    )
