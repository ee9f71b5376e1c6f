"""A certificate authority made on the spot, so that the sandbox can be asked over TLS.

msal refuses http authorities, and the whole path should be the production path: clients verify
the sandbox's certificate against `ca.pem`. Keys never leave the state folder.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LIFETIME = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """Where the authority, the certificate and its key are."""

    ca_path: Path
    certificate_path: Path
    key_path: Path


def make_server_certificate(folder: Path, names: Iterable[str]) -> ServerCertificate:
    """Make an authority and a certificate for these host names and addresses."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("Dynamics sandbox authority")
    ca_builder = _builder(ca_name, ca_name, ca_key.public_key())
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca_builder = ca_builder.add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    ca_builder = ca_builder.add_extension(_usage(signs_certificates=True), critical=True)
    ca_builder = ca_builder.add_extension(identifier, critical=False)
    authority = ca_builder.sign(ca_key, hashes.SHA256())
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = _builder(_name("localhost"), ca_name, key.public_key())
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
    )
    builder = builder.add_extension(
        x509.SubjectAlternativeName([_alternative_name(name) for name in names]), critical=False
    )
    builder = builder.add_extension(issuer, critical=False)
    certificate = builder.sign(ca_key, hashes.SHA256())
    made = ServerCertificate(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    made.ca_path.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    made.certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key_path.touch(mode=0o600)
    made.key_path.write_text(_pem(key))
    return made


def make_client_certificate() -> tuple[str, str]:
    """A private key and its self-signed certificate, as PEM, for the certificate flow."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = _name("Dynamics sandbox client")
    certificate = _builder(name, name, key.public_key()).sign(key, hashes.SHA256())
    return _pem(key), certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
    ).decode()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - timedelta(minutes=5)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _LIFETIME)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
