"""The token service: what Microsoft Entra ID answers to msal and to people with curl.

Client credentials with a secret or a signed assertion, the password grant with its user-realm
question, discovery, and the two managed-identity endpoints. Errors carry Entra's codes. Tokens are
bound to the organisation's URL, end after a settable time, and can be revoked all at once.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import jwt
from cryptography import x509

if TYPE_CHECKING:
    from collections.abc import Mapping

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


_ERRORS = {
    50034: (400, "invalid_grant"),
    50126: (400, "invalid_grant"),
    53003: (400, "invalid_request"),
    70000: (400, "invalid_grant"),
    70003: (400, "unsupported_grant_type"),
    70011: (400, "invalid_scope"),
    90002: (400, "invalid_tenant"),
    500011: (400, "invalid_resource"),
    700016: (400, "unauthorized_client"),
    700027: (401, "invalid_client"),
    900144: (400, "invalid_request"),
    900561: (400, "invalid_request"),
    1002012: (400, "invalid_scope"),
    7000215: (401, "invalid_client"),
}


class TokenRefused(Exception):  # noqa: N818  the field's word for it
    """An OAuth error: status, error and Entra's number."""

    def __init__(self, number: int, text: str) -> None:
        """`number` is the one behind AADSTS."""
        super().__init__(text)
        self.status, error = _ERRORS[number]
        now = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
        self.body = {
            "error": error,
            "error_description": f"AADSTS{number}: {text}",
            "error_codes": [number],
            "timestamp": now,
            "trace_id": str(uuid4()),
            "correlation_id": str(uuid4()),
            "error_uri": f"https://login.microsoftonline.com/error?code={number}",
        }


@dataclass(slots=True)
class TokenService:
    """Credentials and tokens of one tenant."""

    tenant_id: str = str(uuid5(NAMESPACE_OID, "dynamics-sandbox-tenant"))
    client_id: str = str(uuid5(NAMESPACE_OID, "dynamics-sandbox-client"))
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    username: str = "sync@sandbox.example"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    identity_header: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    certificates: list[str] = field(default_factory=list, repr=False)  # PEM, of registered clients
    token_seconds: int = 4211
    _key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _live: dict[str, float] = field(default_factory=dict, repr=False)

    def grant(self, form: Mapping[str, str], origin: str) -> dict[str, Any]:
        """The token endpoint: a token for `origin`, or `TokenRefused`."""
        grant = form.get("grant_type")
        if grant == "client_credentials":
            self._check_client(form, origin)
            self._check_scope(form, origin, delegated=False)
            return self._token(origin)
        if grant == "password":
            self._check_user(form)
        elif grant == "refresh_token":
            self._check_refresh(form)
        else:
            raise TokenRefused(70003, f"The grant type '{grant}' is not supported.")
        self._check_scope(form, origin, delegated=True)
        return {**self._token(origin), **self._user_claims()}

    def _check_client(self, form: Mapping[str, str], origin: str) -> None:
        if form.get("client_id") != self.client_id:
            message = f"Application '{form.get('client_id')}' was not found in the directory."
            raise TokenRefused(700016, message)
        if form.get("client_assertion_type") == _ASSERTION:
            self._check_assertion(form.get("client_assertion", ""), origin)
        elif not secrets.compare_digest(
            form.get("client_secret", "").encode(), self.client_secret.encode()
        ):
            raise TokenRefused(7000215, "Invalid client secret provided.")

    def _check_assertion(self, assertion: str, origin: str) -> None:
        """A JWT signed by one of the registered certificates."""
        audience = f"{origin}/{self.tenant_id}/oauth2/v2.0/token"
        for pem in self.certificates:
            key: Any = x509.load_pem_x509_certificate(pem.encode()).public_key()
            try:
                claims = jwt.decode(
                    assertion, key, algorithms=["PS256", "RS256"], audience=audience
                )
            except jwt.PyJWTError:
                continue
            if claims.get("iss") == claims.get("sub") == self.client_id:
                return
        raise TokenRefused(
            700027,
            "The certificate used to sign the client assertion is not registered.",
        )

    def _check_user(self, form: Mapping[str, str]) -> None:
        if form.get("client_id") != self.client_id:
            raise TokenRefused(700016, "Application was not found in the directory.")
        if form.get("username", "").lower() != self.username:
            raise TokenRefused(50034, "The user account does not exist in the directory.")
        if not secrets.compare_digest(form.get("password", "").encode(), self.password.encode()):
            raise TokenRefused(
                50126,
                "Error validating credentials due to invalid username or password.",
            )

    def _check_refresh(self, form: Mapping[str, str]) -> None:
        try:
            jwt.decode(
                form.get("refresh_token", ""), self._key, algorithms=["HS256"], audience="refresh"
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(70000, "The refresh token is not valid.") from error

    @staticmethod
    def _check_scope(form: Mapping[str, str], origin: str, *, delegated: bool) -> None:
        scopes = [scope for scope in form.get("scope", "").split() if "://" in scope]
        allowed = {f"{origin}/.default", f"{origin}//.default"}
        if delegated:
            allowed.add(f"{origin}/user_impersonation")
        if not scopes:
            raise TokenRefused(
                70011,
                "The provided value for the input parameter 'scope' is not valid.",
            )
        if not set(scopes) <= allowed:
            known = all(scope.startswith(f"{origin}/") for scope in scopes)
            number = 1002012 if known else 500011
            raise TokenRefused(
                number,
                f"The resource principal named {scopes[0]} was not found in the tenant.",
            )

    def _token(self, origin: str) -> dict[str, Any]:
        identifier, ends = str(uuid4()), time.time() + self.token_seconds
        claims = {
            "aud": origin,
            "exp": int(ends) + 1,
            "tid": self.tenant_id,
            "appid": self.client_id,
            "jti": identifier,
        }
        self._live = {known: end for known, end in self._live.items() if end > time.time()}
        self._live[identifier] = ends
        return {
            "token_type": "Bearer",
            "expires_in": self.token_seconds,
            "ext_expires_in": self.token_seconds,
            "access_token": jwt.encode(claims, self._key, algorithm="HS256"),
        }

    def _user_claims(self) -> dict[str, Any]:
        user = str(uuid5(NAMESPACE_OID, self.username))
        now = int(time.time())
        claims = {
            "aud": self.client_id,
            "iss": f"https://login.microsoftonline.com/{self.tenant_id}/v2.0",
            "tid": self.tenant_id,
            "oid": user,
            "sub": user,
            "preferred_username": self.username,
            "iat": now,
            "exp": now + self.token_seconds,
        }
        info = (
            base64.urlsafe_b64encode(json.dumps({"uid": user, "utid": self.tenant_id}).encode())
            .decode()
            .rstrip("=")
        )
        refresh = {"aud": "refresh", "exp": now + 86400}
        return {
            "refresh_token": jwt.encode(refresh, self._key, algorithm="HS256"),
            "client_info": info,
            "id_token": jwt.encode(claims, self._key, algorithm="HS256"),
        }

    def managed_identity_token(self, resource: str, origin: str) -> dict[str, Any]:
        """What the metadata endpoint of a virtual machine or app service gives."""
        if resource.rstrip("/") != origin:
            raise TokenRefused(
                500011,
                f"The resource principal named {resource} was not found.",
            )
        token = self._token(origin)
        ends = int(time.time()) + self.token_seconds
        return {
            **token,
            "expires_in": str(self.token_seconds),
            "expires_on": str(ends),
            "resource": resource,
        }

    def accepts(self, authorization: str, origin: str) -> bool:
        """Whether an `Authorization` header holds a live token for this organisation."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return False
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"], audience=origin)
        except jwt.PyJWTError:
            return False
        return self._live.get(claims["jti"], 0) > time.time()

    def revoke_all(self) -> None:
        """Make every token handed out so far worthless."""
        self._live.clear()

    def discovery(self, origin: str, tenant: str) -> dict[str, Any]:
        """The OpenID configuration of the tenant."""
        root = f"{origin}/{tenant}"
        return {
            "issuer": f"{root}/v2.0",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{root}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token", "token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        }
