"""TLS by certificate files: what this node shows, and which others it believes."""

from __future__ import annotations

import ssl
from pathlib import Path

from zeus.config import Config, HttpConfig
from zeus.errors import ConfigError


def server_context(http: HttpConfig) -> ssl.SSLContext | None:
    """What the node shows its clients; None where it speaks plain HTTP. Raises ConfigError."""
    if not http.certificate:
        if http.key:
            raise ConfigError("http.certificate: it is missing, though there is http.key.")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _readable("http.certificate", http.certificate)
    if http.key:
        _readable("http.key", http.key)
    try:
        # Without a password, which would be asked for at the terminal of whoever started the node.
        context.load_cert_chain(http.certificate, http.key or None, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigError(f"http.certificate: {http.certificate} cannot be used: {_reason(error)}.") from error
    return context


def believed(ca: str) -> ssl.SSLContext:
    """What is believed of other nodes: the system's certificates, and those of the file `ca`. Raises ConfigError."""
    context = ssl.create_default_context()
    if ca:
        _readable("network.ca", ca)
        try:
            context.load_verify_locations(ca)
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(f"network.ca: {ca} cannot be used: {_reason(error)}.") from error
    return context


def believed_here(config: Config) -> ssl.SSLContext:
    """What is believed of this machine's own node: its certificate is known, whatever name it is for."""
    if not config.http.certificate:
        return believed(config.network.ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(config.http.certificate)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"http.certificate: it cannot be read: {_reason(error)}.") from error
    return context


def _readable(name: str, path: str) -> None:
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ConfigError(f"{name}: {path} cannot be read: {error.strerror}.") from error


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        known = {
            "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
            "NO_START_LINE": "it holds no certificate in PEM",
        }
        return known.get(error.reason or "", (error.reason or "it is none").lower().replace("_", " "))
    return str(error) or type(error).__name__
