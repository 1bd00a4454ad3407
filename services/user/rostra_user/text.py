"""What text may be stored: no NUL, no lone surrogates, no more than fits."""

from rostra_user.errors import UnacceptableError


def accept_text(value: str, *, param: str, max_length: int) -> str:
    """Return `value` as it is, or raise `UnacceptableError` naming `param`."""
    if len(value) > max_length:
        raise UnacceptableError(f"'{param}' is longer than {max_length} characters.", param=param)
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
        raise UnacceptableError(f"'{param}' has characters that cannot be stored.", param=param)
    return value
