"""What counts as an e-mail address, and when two of them are the same."""

import unicodedata

from email_validator import EmailNotValidError, validate_email

from rostra_user.domain import EmailAddress
from rostra_user.errors import UnacceptableError
from rostra_user.text import accept_text

_MAX_LENGTH = 254
_MAX_KEY_LENGTH = 320

# The validator refuses domains that no public mail reaches, but a team's own installation may well use them.
_PRIVATE_DOMAINS = ("local", "localhost", "test")
_PUBLIC_SUFFIX = ".example"


def parse_email(text: str) -> EmailAddress:
    """Return the address, normalised, or raise `UnacceptableError`. Nothing is looked up in the DNS."""
    text = accept_text(text.strip(), param="email", max_length=_MAX_LENGTH)
    suffix = _PUBLIC_SUFFIX if text.lower().rpartition("@")[2].rpartition(".")[2] in _PRIVATE_DOMAINS else ""
    try:
        valid = validate_email(text + suffix, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise UnacceptableError(f"This is not an e-mail address: {error}", param="email") from error
    normalized = valid.normalized.removesuffix(suffix)
    return EmailAddress(
        text=normalized, key=accept_text(comparable(normalized), param="email", max_length=_MAX_KEY_LENGTH)
    )


def comparable(text: str) -> str:
    """Return the form in which spellings that people take for the same are equal."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
