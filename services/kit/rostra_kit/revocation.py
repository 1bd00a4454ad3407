"""How the user service tells every gateway what was revoked: a message on a Redis channel."""

from dataclasses import dataclass
from typing import Literal, cast, get_args

CHANNEL = "rostra:revoked"

RevokedKind = Literal["user", "session", "key", "plan"]


@dataclass(frozen=True, slots=True)
class Revocation:
    """Something whose credentials have ended, or stand for something else now.

    Attributes:
        kind: `key` for one API key, `session` for one session, `user` for all that a user has, `plan` for its limits.
        id: The key's, the session's, the user's or the plan's name.
    """

    kind: RevokedKind
    id: str

    def message(self) -> bytes:
        """Return the message as it is published."""
        return f"{self.kind}:{self.id}".encode()


def parse_revocation(message: bytes) -> Revocation | None:
    """Return what a message says was revoked, `None` when it is not such a message."""
    kind, separator, name = message.decode(errors="replace").partition(":")
    if not separator or not name or kind not in get_args(RevokedKind):
        return None
    return Revocation(cast(RevokedKind, kind), name)
