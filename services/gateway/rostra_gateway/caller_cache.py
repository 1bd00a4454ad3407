"""Whom credentials stand for, remembered for a while and forgotten at once when they are revoked."""

import time
from collections import OrderedDict
from dataclasses import dataclass

from rostra.common.v1.caller_pb2 import Caller
from rostra_kit.revocation import Revocation, RevokedKind


@dataclass(frozen=True, slots=True)
class CachedCaller:
    """A caller, and the same serialized for the metadata of outgoing calls."""

    caller: Caller
    serialized: bytes


class CallerCache:
    """Remembers callers by the digest of their credential, at most `max_callers` of them, the oldest going first."""

    def __init__(self, *, max_callers: int) -> None:
        self._max_callers = max_callers
        self._entries: OrderedDict[bytes, tuple[float, float, CachedCaller]] = OrderedDict()
        self.revocations = 0

    def get(self, digest: bytes, *, max_age_seconds: float) -> CachedCaller | None:
        """Return the caller if it was looked up at most `max_age_seconds` ago and the credential has not expired."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        stored, expires, cached = entry
        now = time.time()
        if now - stored > max_age_seconds or now >= expires:
            del self._entries[digest]
            return None
        return cached

    def put(self, digest: bytes, cached: CachedCaller, *, expires: float, revocations: int) -> None:
        """Remember a caller until `expires` (Unix time).

        `revocations` is what the counter said before the look-up began: when something was revoked meanwhile, the
        answer may be older than that revocation and is not remembered.
        """
        if revocations != self.revocations:
            return
        self._entries[digest] = (time.time(), expires, cached)
        if len(self._entries) > self._max_callers:
            self._entries.popitem(last=False)

    def revoke(self, revocation: Revocation) -> None:
        """Forget the callers that `revocation` is about. Rare, so it walks through all."""
        if revocation.kind == "plan":
            # Callers carry the limits of their plan, but not its name.
            self.clear()
            return
        self.revocations += 1
        for digest, (_, _, cached) in list(self._entries.items()):
            if _names(cached.caller)[revocation.kind] == revocation.id:
                del self._entries[digest]

    def clear(self) -> None:
        """Forget everything."""
        self.revocations += 1
        self._entries.clear()


def _names(caller: Caller) -> dict[RevokedKind, str]:
    return {"user": caller.user_id, "session": caller.session_id, "key": caller.api_key_id}
