"""Until when the certificate of a connection is valid: no token tells, but the certificate does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from opportunity_sync.dynamics.signin.msal_flows import read_pem
from opportunity_sync.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from opportunity_sync.dynamics.signin.credentials import DynamicsConnection


def certificate_end(connection: DynamicsConnection) -> datetime:
    """The end (UTC) of the connection's certificate. Raises `ConfigError` where it is none."""
    pem = read_pem(connection.public_certificate or "")
    try:
        return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    except ValueError:
        raise ConfigError(
            "public_certificate is no certificate in PEM form.",
            next_step="paste the whole text, from BEGIN CERTIFICATE to END CERTIFICATE",
        ) from None
