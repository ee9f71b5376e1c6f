"""One notion of "same address", whoever asks for it."""

from __future__ import annotations

import pytest

from opportunity_sync.http.addresses import origin_of, same_origin

HOME = "https://contoso.crm.dynamics.com"


@pytest.mark.parametrize(
    "other",
    [
        "https://contoso.crm.dynamics.com/api/data/v9.2/contacts?$deltatoken=1",
        "HTTPS://Contoso.CRM.dynamics.com/",
        "https://contoso.crm.dynamics.com:443/api/data/",
        "https://contoso.crm.dynamics.com./api/data/",
        "https://contoso.crm.dynamics.com.:443",
        "https://contoso.crm.dynamics.com?x=https://evil.example",
        "https://contoso.crm.dynamics.com/a b",
    ],
)
def test_one_server_is_one_address_however_it_is_spelled(other: str) -> None:
    """Case, the scheme's own port and the dot of the root zone tell no servers apart."""
    assert same_origin(HOME, other)
    assert same_origin(other, HOME)


@pytest.mark.parametrize(
    "other",
    [
        "http://contoso.crm.dynamics.com",
        "https://contoso.crm.dynamics.com:444",
        "https://contoso.crm.dynamics.com.evil.example",
        "https://contoso.crm4.dynamics.com",
        "https://evil.example\\@contoso.crm.dynamics.com/api/data/",
        "https://contoso.crm.dynamics.com@evil.example",
        "https://user@contoso.crm.dynamics.com",
        "https://contoso.crm.dynamics.com\t.evil.example",
        "https://contoso.crm.dynamics.com /api/data",
        "https://contoso.crm.dynamics.com:x",
        "https://contoso.crm.dynamics.com:99999",
        "https://[::1",
        "//contoso.crm.dynamics.com",
        "contoso.crm.dynamics.com",
        "javascript:alert(1)",
        "",
    ],
)
def test_another_server_or_none_is_never_the_same_address(other: str) -> None:
    """What programs read in different ways is nobody's address, not even its own."""
    assert not same_origin(HOME, other)


def test_nothing_is_the_address_of_nothing() -> None:
    """Two URLs without an address are not of one server."""
    assert origin_of("x") is None
    assert not same_origin("x", "x")


def test_a_name_in_other_letters_is_its_plain_form() -> None:
    """An international host name is the one that goes over the wire."""
    assert same_origin("https://b\u00fccher.example", "https://xn--bcher-kva.example")
