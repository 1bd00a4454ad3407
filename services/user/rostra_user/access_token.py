"""Access tokens: JWTs that the gateway verifies on its own, with the keys that ListSigningKeys publishes."""

from datetime import datetime, timedelta

import jwt

from rostra_user.signing_keys import Keyring

ISSUER = "rostra"
AUDIENCE = "rostra"
ALGORITHM = "EdDSA"


def sign_access_token(ring: Keyring, *, user_id: str, session_id: str, now: datetime, lifetime: timedelta) -> str:
    """Return a token that says: `user_id` is signed in, by `session_id`, until `now + lifetime`."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user_id,
        "sid": session_id,
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
    }
    return jwt.encode(claims, ring.signing_key, algorithm=ALGORITHM, headers={"kid": ring.signing_kid})
