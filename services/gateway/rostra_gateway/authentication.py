"""Who is calling: an API key or an access token becomes a `Caller`.

Access tokens are verified here, with keys that the user service publishes; whom a credential stands for is asked of the
user service once and then remembered, see `caller_cache`.
"""

import hashlib

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.timestamp_pb2 import Timestamp

from rostra.common.v1.caller_pb2 import Caller, Role
from rostra.user.v1 import user_service_pb2 as pb
from rostra_gateway.caller_cache import CachedCaller, CallerCache
from rostra_gateway.clients import Clients
from rostra_gateway.metrics import GatewayMetrics
from rostra_gateway.revocation_listener import RevocationListener
from rostra_gateway.settings import CacheSettings
from rostra_gateway.signing_keys import SigningKeys
from rostra_kit.errors import UnauthenticatedError

API_KEY_PREFIX = "sk-rostra-"
ISSUER = AUDIENCE = "rostra"
_LONGEST_CREDENTIAL = 4096


class Authenticator:
    """Finds out whom credentials stand for.

    Attributes:
        signing_keys: The public keys of access tokens.
    """

    def __init__(
        self,
        clients: Clients,
        cache: CallerCache,
        revocations: RevocationListener,
        settings: CacheSettings,
        metrics: GatewayMetrics,
    ) -> None:
        self._clients = clients
        self._cache = cache
        self._revocations = revocations
        self._settings = settings
        self._metrics = metrics
        self.signing_keys = SigningKeys(clients.user)

    async def authenticate(self, authorization: str | None) -> CachedCaller:
        """Return whom the `Authorization` header stands for.

        Raises:
            UnauthenticatedError: The credential is missing, malformed, unknown, expired or revoked.
            UnavailableError: It is not remembered, and the user service cannot be asked.
        """
        credential = _bearer(authorization)
        digest = hashlib.sha256(credential.encode()).digest()
        settings = self._settings
        max_age = settings.caller_seconds if self._revocations.listening else settings.blind_caller_seconds
        if cached := self._cache.get(digest, max_age_seconds=max_age):
            self._metrics.caller_lookups.labels("cache").inc()
            return cached
        self._metrics.caller_lookups.labels("user").inc()
        revocations = self._cache.revocations
        caller, expires = await self._look_up(credential, digest)
        cached = CachedCaller(caller, caller.SerializeToString())
        self._cache.put(digest, cached, expires=expires, revocations=revocations)
        return cached

    async def identify_session(self, authorization: str | None) -> Caller:
        """Return the session that an access token names, which may have been revoked: enough to end it, no more.

        Raises:
            UnauthenticatedError: The token is missing, malformed or expired, or somebody else signed it.
        """
        claims = await self._verify(_bearer(authorization))
        return Caller(user_id=claims["sub"], session_id=claims["sid"], role=Role.ROLE_USER)

    async def _look_up(self, credential: str, digest: bytes) -> tuple[Caller, float]:
        user = self._clients.user
        if credential.startswith(API_KEY_PREFIX):
            answer = await user.call(user.stub.GetApiKeyCaller, pb.GetApiKeyCallerRequest(secret_sha256=digest))
            return answer.caller, min(_moment(answer, "expire_time"), _moment(answer, "limits_end_time"))
        claims = await self._verify(credential)
        session = await user.call(user.stub.GetSessionCaller, pb.GetSessionCallerRequest(session_id=claims["sid"]))
        return session.caller, min(float(claims["exp"]), _moment(session, "limits_end_time"))

    async def _verify(self, token: str) -> dict[str, str]:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            claims: dict[str, str] = jwt.decode(
                token,
                await self._key(kid),
                algorithms=["EdDSA"],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["exp", "iat", "sub", "sid"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise UnauthenticatedError("The access token has expired. Refresh it or sign in again.") from error
        except jwt.PyJWTError as error:
            raise incorrect_credential() from error
        return claims

    async def _key(self, kid: object) -> Ed25519PublicKey:
        key = await self.signing_keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise incorrect_credential()
        return key


def _moment(answer: pb.GetApiKeyCallerResponse | pb.GetSessionCallerResponse, field: str) -> float:
    """Return a moment of the answer in Unix time; one that is absent never comes."""
    moment: Timestamp = getattr(answer, field)
    return moment.ToMicroseconds() / 1_000_000 if answer.HasField(field) else float("inf")


def incorrect_credential() -> UnauthenticatedError:
    """Return the error for a credential that stands for nobody. The credential itself is never repeated."""
    return UnauthenticatedError("Incorrect API key or access token provided.")


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise UnauthenticatedError(
            "You did not provide an API key. Send it in an Authorization header: `Authorization: Bearer sk-rostra-…`."
        )
    scheme, _, credential = authorization.partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential or len(credential) > _LONGEST_CREDENTIAL:
        raise incorrect_credential()
    return credential
