"""Secrets that clients hold and the service does not: API keys and refresh tokens. Only digests are stored."""

import hashlib
import secrets
import string
from dataclasses import dataclass

API_KEY_PREFIX = "sk-rostra-"

_ALPHABET = string.ascii_letters + string.digits
_API_KEY_LENGTH = 43  # 43 of 62 characters hold 256 bits

_REFRESH_PREFIX = "rt-"
_SESSION_PREFIX = "sess_"
_NAME_LENGTH, _FAMILY_LENGTH, _TOKEN_LENGTH = 32, 32, 64  # hexadecimal digits


def sha256(secret: str) -> bytes:
    """Return the digest under which a secret is stored."""
    return hashlib.sha256(secret.encode()).digest()


def new_api_key() -> str:
    """Return a new API key, `sk-rostra-…`, that nobody can guess."""
    return API_KEY_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_API_KEY_LENGTH))


def redact(api_key: str) -> str:
    """Return what people tell keys apart by: `sk-rostra-AbC…xyz9`."""
    return f"{api_key[: len(API_KEY_PREFIX) + 3]}…{api_key[-4:]}"


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token, `rt-<session>-<family>-<token>`.

    Attributes:
        session_id: The session that it renews.
        family: Secret, and the same in all tokens of the session. It tells an old token, whose coming back ends the
            session, from a mere guess, which must not.
        token: Secret, and new with each renewal.
    """

    session_id: str
    family: str
    token: str

    @classmethod
    def first(cls, session_id: str) -> "RefreshToken":
        """Return the first token of a session."""
        return cls(session_id, secrets.token_hex(_FAMILY_LENGTH // 2), secrets.token_hex(_TOKEN_LENGTH // 2))

    def next(self) -> "RefreshToken":
        """Return the token that takes this one's place."""
        return RefreshToken(self.session_id, self.family, secrets.token_hex(_TOKEN_LENGTH // 2))

    def __str__(self) -> str:
        return f"{_REFRESH_PREFIX}{self.session_id.removeprefix(_SESSION_PREFIX)}-{self.family}-{self.token}"

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """Return the token that `text` spells, `None` when it spells none."""
        parts = text.removeprefix(_REFRESH_PREFIX).split("-")
        lengths = [len(part) for part in parts]
        is_hexadecimal = all(character in "0123456789abcdef" for part in parts for character in part)
        if not text.startswith(_REFRESH_PREFIX) or lengths != [_NAME_LENGTH, _FAMILY_LENGTH, _TOKEN_LENGTH]:
            return None
        return cls(_SESSION_PREFIX + parts[0], parts[1], parts[2]) if is_hexadecimal else None
