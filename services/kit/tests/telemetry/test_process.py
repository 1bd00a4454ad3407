"""What every process tells of itself."""

import asyncio
import time
from pathlib import Path

import httpx
from cryptography import x509
from prometheus_client import CollectorRegistry

from rostra_kit.settings import ClientTls, ListenSettings, ServerTls, ServiceAddress, ServiceSettings
from rostra_kit.telemetry.certificates import watch_certificates
from rostra_kit.telemetry.process import metrics_served, new_registry
from support.certificates import CertificateAuthority

EXPIRY = "rostra_certificate_expiry_timestamp_seconds"


class Settings(ServiceSettings):
    """Settings of a service that calls another."""

    other: ServiceAddress | None = None


async def test_process_build_and_loop_are_told() -> None:
    registry = new_registry()
    async with metrics_served(Settings(), registry) as port, httpx.AsyncClient() as http:
        await asyncio.sleep(0.3)
        text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    for name in ("process_cpu_seconds_total", "process_open_fds", "python_gc_collections_total", "rostra_build_info{"):
        assert f"\n{name}" in text, name
    assert "_created" not in text, "each counter would have two series"
    assert (registry.get_sample_value("rostra_event_loop_lag_seconds_count") or 0) >= 1


async def test_loop_that_is_held_up_is_seen() -> None:
    registry = CollectorRegistry()
    async with metrics_served(Settings(), registry):
        await asyncio.sleep(0)
        time.sleep(0.6)  # noqa: ASYNC251 - what holds the loop up
        await asyncio.sleep(0.3)
    assert (registry.get_sample_value("rostra_event_loop_lag_seconds_sum") or 0) >= 0.3


def test_ends_of_certificates_are_told_as_they_are_on_disk(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "authority")
    one = authority.issue("one.example")
    tls = {"cert_file": one.certificate_file, "key_file": one.key_file}
    settings = Settings(
        listen=ListenSettings(tls=ServerTls(**tls, client_ca_file=authority.ca_file)),
        other=ServiceAddress(target="other:1", tls=ClientTls(**tls, ca_file=authority.ca_file)),
    )
    registry = CollectorRegistry()
    watch_certificates(settings, registry)
    ends = x509.load_pem_x509_certificate(one.certificate_file.read_bytes()).not_valid_after_utc.timestamp()
    for purpose in ("server", "client"):
        assert registry.get_sample_value(EXPIRY, {"purpose": purpose}) == ends
    one.certificate_file.unlink()
    assert registry.get_sample_value(EXPIRY, {"purpose": "server"}) == 0, "of what cannot be read, an alert must tell"


def test_without_tls_nothing_is_told_of_certificates() -> None:
    registry = CollectorRegistry()
    watch_certificates(Settings(other=ServiceAddress(target="other:1")), registry)
    assert registry.get_sample_value(EXPIRY, {"purpose": "client"}) is None
