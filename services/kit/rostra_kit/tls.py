"""Mutual TLS between services: certificates from files, read again when the files change."""

import logging
import time
from pathlib import Path

import grpc

from rostra_kit.settings import ClientTls, ServerTls

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


class WatchedFiles:
    """Files that are replaced while the process runs, as a rotated secret's are."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._seen = self._stamp()
        self._looked = time.monotonic()

    def have_changed(self) -> bool:
        """Tell whether a file was replaced since this was last asked; a second may pass until it is noticed."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return False
        self._looked = now
        before, self._seen = self._seen, self._stamp()
        return before != self._seen

    def read(self) -> list[bytes]:
        """Return what the files hold; files that cannot be read, but are there, soon count as changed once more.

        Raises:
            OSError: One is not there, or may not be read.
        """
        try:
            return [path.read_bytes() for path in self._paths]
        except OSError:
            self._seen = None
            raise

    def _stamp(self) -> list[tuple[int, int, int]] | None:
        try:
            stats = [path.stat() for path in self._paths]
        except OSError:
            return None
        return [(each.st_mtime_ns, each.st_ino, each.st_size) for each in stats]


def server_credentials(tls: ServerTls) -> grpc.ServerCredentials:
    """Return credentials that ask each client for a certificate; new connections meet the newest files."""
    files = WatchedFiles(tls.cert_file, tls.key_file, tls.client_ca_file)

    def read() -> grpc.ServerCertificateConfiguration:
        certificate, key, client_ca = files.read()
        return grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        try:
            return read() if files.have_changed() else None
        except OSError:
            logger.exception("certificates cannot be read; the ones before stay")
            return None

    return grpc.dynamic_ssl_server_credentials(read(), renewed, require_client_authentication=True)  # type: ignore[arg-type] # `None` keeps what is there


def channel_credentials(files: WatchedFiles) -> grpc.ChannelCredentials:
    """Return credentials from the files of `client_files`, as they are now."""
    ca, certificate, key = files.read()
    return grpc.ssl_channel_credentials(ca, key, certificate)


def client_files(tls: ClientTls) -> WatchedFiles:
    """Return the files that a client needs."""
    return WatchedFiles(tls.ca_file, tls.cert_file, tls.key_file)
