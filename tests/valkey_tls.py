"""Servers that speak TLS, and their certificates. Debian's redis-server does; the one out of a wheel does not."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from valkey_cluster import free_port, launched

ADMIN_PASSWORD = "the tests' own"


class Authority:
    """An authority that signs certificates."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        signed = self._signed(
            self._name, self._key, x509.BasicConstraints(ca=True, path_length=None), timedelta(days=1)
        )
        self.file.write_bytes(signed.public_bytes(Encoding.PEM))

    def certify(self, host: str, valid_for: timedelta = timedelta(days=1)) -> Certificate:
        """A certificate for a host, from yesterday on."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        signed = self._signed(name, key, x509.SubjectAlternativeName([x509.DNSName(host)]), valid_for)
        found = Certificate(self._folder / f"{signed.serial_number}.pem", self._folder / f"{signed.serial_number}.key")
        found.file.write_bytes(signed.public_bytes(Encoding.PEM))
        found.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return found

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType, valid_for: timedelta
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + valid_for)
        return builder.add_extension(extension, critical=False).sign(self._key, hashes.SHA256())


class Certificate(NamedTuple):
    """Files in PEM."""

    file: Path
    key: Path


class TlsServer:
    """A server that speaks TLS alone. Its user `default` has `ADMIN_PASSWORD`."""

    def __init__(self, folder: Path, authority: Authority, certificate: Certificate, **settings: str) -> None:
        self.authority = authority
        self._folder = folder
        self._settings = {
            "port": "0",
            "tls-cert-file": str(certificate.file),
            "tls-key-file": str(certificate.key),
            "tls-ca-cert-file": str(authority.file),
            "tls-auth-clients": "no",
            "requirepass": ADMIN_PASSWORD,
            "bind": "127.0.0.1",
            "dir": str(folder),
            "logfile": str(folder / "log"),
            "save": "",
            **settings,
        }
        self._process = launched(self._launch, lambda: b"Ready to accept" in (folder / "log").read_bytes())

    def _launch(self) -> subprocess.Popen[bytes]:
        (self._folder / "log").write_bytes(b"")
        self.port = free_port()
        settings = {**self._settings, "tls-port": str(self.port), "cluster-port": str(free_port())}
        command = [str(binary()), *[word for name, value in settings.items() for word in (f"--{name}", value)]]
        return subprocess.Popen(command)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def binary() -> Path:
    """Debian's server. Skips the test where it is not installed."""
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("no redis-server is installed, which is what speaks TLS (Debian: apt-get install redis-server)")
    return Path(found)


@contextmanager
def running_tls_server(
    folder: Path, authority: Authority, certificate: Certificate, **settings: str
) -> Iterator[TlsServer]:
    """A server, until the end of the block."""
    folder.mkdir()
    server = TlsServer(folder, authority, certificate, **settings)
    try:
        yield server
    finally:
        server.stop()
