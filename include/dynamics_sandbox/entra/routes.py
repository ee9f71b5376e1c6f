"""Routes of the token service, as login.microsoftonline.com and the metadata services have them."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

from dynamics_sandbox.entra.token_service import TokenRefused, TokenService
from dynamics_sandbox.odata.http_messages import Answer, Incoming, json_answer

_TOKEN = re.compile(r"/(?P<tenant>[\w.-]+)/oauth2/v2\.0/token")
_DISCOVERY = re.compile(r"/(?P<tenant>[\w.-]+)/v2\.0/\.well-known/openid-configuration")
_REALM = re.compile(r"/[\w.-]+/userrealm/(?P<user>[^/]+)", re.IGNORECASE)
_NO_REAL_TENANT = frozenset({"common", "organizations", "consumers"})


def answer_identity(incoming: Incoming, tokens: TokenService) -> Answer | None:
    """The answer to a request for the token service, or nothing where it is not for it."""
    try:
        return _answer(incoming, tokens)
    except TokenRefused as refused:
        return json_answer(refused.body, refused.status)


def _answer(incoming: Incoming, tokens: TokenService) -> Answer | None:
    query = dict(parse_qsl(incoming.raw_query))
    if match := _DISCOVERY.fullmatch(incoming.path):
        _check_tenant(match["tenant"], tokens)
        return json_answer(tokens.discovery(incoming.origin, match["tenant"]))
    if match := _TOKEN.fullmatch(incoming.path):
        return _token(incoming, tokens, match["tenant"])
    if match := _REALM.fullmatch(incoming.path):
        user = unquote(match["user"])
        realm = {
            "ver": "1.0",
            "account_type": "Managed",
            "domain_name": user.rpartition("@")[2],
            "cloud_instance_name": "microsoftonline.com",
            "cloud_audience_urn": "urn:federation:MicrosoftOnline",
        }
        return json_answer(realm)
    if incoming.path == "/common/discovery/instance":
        host = incoming.origin.partition("://")[2]
        alias = {
            "preferred_network": host,
            "preferred_cache": host,
            "aliases": [host, host.partition(":")[0]],
        }
        endpoint = f"{incoming.origin}/{tokens.tenant_id}/v2.0/.well-known/openid-configuration"
        return json_answer(
            {"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": [alias]}
        )
    return _managed_identity(incoming, tokens, query)


def _check_tenant(tenant: str, tokens: TokenService) -> None:
    if tenant not in {tokens.tenant_id, *_NO_REAL_TENANT}:
        raise TokenRefused(90002, f"Tenant '{tenant}' not found.")


def _token(incoming: Incoming, tokens: TokenService, tenant: str) -> Answer:
    _check_tenant(tenant, tokens)
    if incoming.method != "POST":
        raise TokenRefused(900561, "The endpoint only accepts POST requests.")
    form = dict(parse_qsl(incoming.body.decode("utf-8", "replace"), keep_blank_values=True))
    if form.get("grant_type") == "client_credentials" and tenant in _NO_REAL_TENANT:
        raise TokenRefused(53003, "Client credentials need a tenant-specific endpoint.")
    return json_answer(tokens.grant(form, incoming.origin), headers={"Cache-Control": "no-store"})


def _managed_identity(
    incoming: Incoming, tokens: TokenService, query: dict[str, str]
) -> Answer | None:
    if incoming.path == "/metadata/identity/oauth2/token":
        allowed = incoming.headers.get("metadata", "").lower() == "true"
    elif incoming.path == "/msi/token":
        allowed = incoming.headers.get("x-identity-header") == tokens.identity_header
    else:
        return None
    if not allowed:
        raise TokenRefused(900144, "The required identity header is missing.")
    if query.get("client_id", tokens.client_id) != tokens.client_id:
        raise TokenRefused(700016, "Identity not found.")
    return json_answer(tokens.managed_identity_token(query.get("resource", ""), incoming.origin))
