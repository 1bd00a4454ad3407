"""The keys that access tokens are signed with: files in a folder, so that they can be rotated without a restart."""

import asyncio
import fcntl
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class SigningKeyError(Exception):
    """The folder of signing keys is not usable."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys by their name, and the name of the one that signs."""

    keys: Mapping[str, Ed25519PrivateKey]
    signing_kid: str

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """Return the key that signs."""
        return self.keys[self.signing_kid]


class SigningKeys:
    """The present keyring, which `reload` brings up to date with the folder.

    Raises:
        SigningKeyError: The folder has no key, or a file that is none.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        keys = read_keys(directory)
        self._ring = Keyring(keys, max(keys))

    @property
    def ring(self) -> Keyring:
        """Return the present keyring."""
        return self._ring

    async def reload(self) -> None:
        """Read the folder again.

        A key seen for the first time is published, but signs only after the next reload: by then every replica has
        published it, and no token names a key that a gateway cannot find.

        Raises:
            SigningKeyError: The folder is not usable; the present keyring stays.
        """
        keys = await asyncio.to_thread(read_keys, self._directory)
        seen_before = self._ring.keys.keys() & keys.keys()
        ring = Keyring(keys, max(seen_before or keys))
        if ring.signing_kid != self._ring.signing_kid:
            logger.info("another key signs from now on", extra={"kid": ring.signing_kid})
        self._ring = ring


def read_keys(directory: Path) -> Mapping[str, Ed25519PrivateKey]:
    """Return the keys in the `<kid>.pem` files of `directory`.

    Raises:
        SigningKeyError: There is none, or a file holds something else.
    """
    keys = {path.stem: _read_key(path) for path in sorted(directory.glob("*.pem"))}
    if not keys:
        message = f"no <kid>.pem with an Ed25519 private key in {directory}"
        raise SigningKeyError(message)
    return keys


def create_first_key(directory: Path, now: datetime) -> None:
    """Put a new key, named after the moment, into `directory` if it has none; of several processes one does."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(directory):
        if any(directory.glob("*.pem")):
            return
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = directory / f"{now:%Y-%m-%dT%H-%M-%SZ}.pem"
        unfinished = path.with_suffix(".new")
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(pem)
        unfinished.rename(path)
    logger.warning("made a first signing key, for development", extra={"kid": path.stem})


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep other processes out until the context closes or this process dies."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read_key(path: Path) -> Ed25519PrivateKey:
    if not _NAME.fullmatch(path.stem):
        message = f"{path.name}: a key's name has up to 64 letters, digits, dots, dashes and underscores"
        raise SigningKeyError(message)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        message = f"{path.name}: not a PEM private key"
        raise SigningKeyError(message) from error
    if not isinstance(key, Ed25519PrivateKey):
        message = f"{path.name}: not an Ed25519 key"
        raise SigningKeyError(message)
    return key
