"""The certificates of an embedded control plane: one authority, a server, a client per identity."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = datetime.timedelta(days=3650)
# A machine whose clock was set back a little still accepts what it made.
_BACKDATED = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes

    def write(self, directory: Path, name: str) -> None:
        """Write <name>.crt and <name>.key, the key for its owner only."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (directory / f"{name}.crt").write_bytes(self.certificate)
        private = directory / f"{name}.key"
        private.touch(mode=0o600)
        private.write_bytes(self.key)


@dataclass(frozen=True)
class Authority:
    """A certificate authority that signs server and client certificates."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    now: datetime.datetime

    @classmethod
    def create(cls, now: datetime.datetime) -> Authority:
        """A new self-signed authority, valid for ten years."""
        key = _new_key()
        subject = _subject("penstock-dev")
        signed = (
            _builder(subject, subject, key, now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(signed, key, now)

    @classmethod
    def of(cls, pair: KeyPair, now: datetime.datetime) -> Authority:
        """An authority that was made earlier. Raises TypeError for another kind of key."""
        key = serialization.load_pem_private_key(pair.key, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("the authority's key is not of an elliptic curve")
        return cls(x509.load_pem_x509_certificate(pair.certificate), key, now)

    @property
    def pair(self) -> KeyPair:
        """The authority itself."""
        return KeyPair(self.certificate.public_bytes(serialization.Encoding.PEM), _pem(self.key))

    def server(self, names: list[str], addresses: list[str]) -> KeyPair:
        """A serving certificate for DNS names and IP addresses."""
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        return self._sign(
            _subject("kube-apiserver"),
            ExtendedKeyUsageOID.SERVER_AUTH,
            x509.SubjectAlternativeName(alternatives),
        )

    def client(self, user: str, *groups: str) -> KeyPair:
        """A client certificate that the API server reads as this user in these groups."""
        return self._sign(_subject(user, *groups), ExtendedKeyUsageOID.CLIENT_AUTH)

    def _sign(
        self, subject: x509.Name, usage: x509.ObjectIdentifier, *extensions: x509.ExtensionType
    ) -> KeyPair:
        key = _new_key()
        builder = _builder(subject, self.certificate.subject, key, self.now)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
            critical=False,
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        signed = builder.sign(self.key, hashes.SHA256())
        return KeyPair(signed.public_bytes(serialization.Encoding.PEM), _pem(key))


def service_account_keys() -> tuple[bytes, bytes]:
    """(private, public) PEM with which service account tokens are signed and checked."""
    key = _new_key()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return _pem(key), public


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _subject(user: str, *groups: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
