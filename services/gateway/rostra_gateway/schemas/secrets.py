"""How passwords and tokens are read: so that neither a repr nor an error repeats them."""

from pydantic import ConfigDict, SecretStr

# Pydantic's errors repeat the input unless told otherwise.
SECRETIVE = ConfigDict(extra="forbid", hide_input_in_errors=True)


def revealed(secret: SecretStr | None) -> str | None:
    """Return what `secret` hides, to be handed on; `None`, which a protobuf field takes for absent, without one."""
    return None if secret is None else secret.get_secret_value()
