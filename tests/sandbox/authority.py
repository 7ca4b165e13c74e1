# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of the sandbox's own, and the server certificates, good and bad, that it issues."""
import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import List, NamedTuple, Sequence, Tuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "Identity"]

_DAY = datetime.timedelta(days=1)


class Identity(NamedTuple):
    """A server's certificate and its private key, as PEM files."""

    certificate: Path
    private_key: Path

    def context(self) -> ssl.SSLContext:
        """What a listener needs to present this identity."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(self.certificate), str(self.private_key))
        return context


class Authority:
    """Makes its own key pair at once (elliptic curves: a few milliseconds); nothing outlives `directory`."""

    def __init__(self, directory: Path, name: str = "Sandbox Certificate Authority") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _distinguished_name(name)
        self.certificate_file = directory / "ca.pem"
        directory.mkdir(parents=True, exist_ok=True)
        self.certificate_file.write_bytes(_pem(self._own_certificate()))

    def issue(self, label: str, names: Sequence[str], days: Tuple[int, int] = (-60, 30)) -> Identity:
        """A certificate for host names and addresses; `label` names its two files, `days` from now are its first and its last."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_distinguished_name(names[0]), key.public_key(), days)
        builder = builder.add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
        return self._write(label, builder.sign(self._key, hashes.SHA256()), key)

    def _own_certificate(self) -> x509.Certificate:
        builder = self._builder(self._name, self._key.public_key(), (-60, 3650))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
        return builder.sign(self._key, hashes.SHA256())

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: Tuple[int, int]) -> x509.CertificateBuilder:
        """What the authority's own certificate and a server's have in common."""
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        # Python 3.13 and newer check strictly: both key identifiers have to be there.
        own, issuer = x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier
        builder = builder.add_extension(own.from_public_key(key), critical=False)
        builder = builder.add_extension(issuer.from_issuer_public_key(self._key.public_key()), critical=False)
        return builder.not_valid_before(now + days[0] * _DAY).not_valid_after(now + days[1] * _DAY)

    def _write(self, label: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Identity:
        identity = Identity(self._directory / (label + ".pem"), self._directory / (label + ".key"))
        identity.certificate.write_bytes(_pem(certificate))
        identity.private_key.touch(mode=0o600)
        identity.private_key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return identity


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _distinguished_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative_names(names: Sequence[str]) -> List[x509.GeneralName]:
    return [_alternative_name(name) for name in names]


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
