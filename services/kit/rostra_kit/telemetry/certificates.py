"""How long the certificates of mutual TLS last."""

from pathlib import Path

from cryptography import x509
from prometheus_client import CollectorRegistry, Gauge

from rostra_kit.settings import ServiceAddress, ServiceSettings


def watch_certificates(settings: ServiceSettings, registry: CollectorRegistry) -> None:
    """Have a gauge tell when the certificates that this process shows end; there is none without TLS.

    The files are read as they are asked for: what a rotation left there is what new connections meet.
    """
    addresses = [value for _, value in settings if isinstance(value, ServiceAddress)]
    clients = {address.tls.cert_file for address in addresses if address.tls}
    servers = {settings.listen.tls.cert_file} if settings.listen.tls else set()
    if not clients and not servers:
        return
    gauge = Gauge(
        "rostra_certificate_expiry_timestamp_seconds",
        "When the certificate of mutual TLS ends, in seconds since 1970; 0 when it cannot be read.",
        ["purpose"],
        registry=registry,
    )
    for purpose, files in (("server", servers), ("client", clients)):
        if files:
            gauge.labels(purpose).set_function(lambda files=files: min(map(_end_of, files)))  # type: ignore[misc]


def _end_of(file: Path) -> float:
    """Return when the first certificate of a file ends."""
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())[0].not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return 0.0
