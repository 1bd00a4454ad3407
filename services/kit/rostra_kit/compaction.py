"""The content of compaction items: a summary in an envelope that clients carry and only Rostra reads.

It holds nothing but the client's own conversation, so it is encoded, not encrypted: any replica reads what any other
wrote, years later, without a key. It is not compressed either, so that no envelope is more to read than it is to send.
What comes back is a client's input like any other text, and as little believed.
"""

import base64
import zlib

from rostra_kit.errors import InvalidArgumentError

_VERSION = "rostra1."
_CHECKSUM_BYTES = 4


def seal_summary(summary: str) -> str:
    """Return the envelope around `summary`."""
    data = summary.encode("utf-8", "replace")
    return _VERSION + base64.urlsafe_b64encode(_checksum(data) + data).decode()


def open_summary(envelope: str, *, param: str) -> str:
    """Return the summary in `envelope`.

    Args:
        envelope: The `encrypted_content` of a compaction item.
        param: What the client calls it, for example `input[3].encrypted_content`.

    Raises:
        InvalidArgumentError: It was not made here, or is damaged.
    """
    try:
        return _open(envelope)
    except ValueError as error:
        raise InvalidArgumentError(
            f"Invalid '{param}': this is not what `/v1/responses/compact` answered here, whole and unchanged.",
            param=param,
            metadata={"code": "invalid_encrypted_content"},
        ) from error


def _open(envelope: str) -> str:
    """Return the summary, or raise `ValueError`."""
    if not envelope.startswith(_VERSION):
        raise ValueError("another version")
    content = base64.b64decode(envelope.removeprefix(_VERSION), altchars=b"-_", validate=True)
    checksum, data = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
    if checksum != _checksum(data):
        raise ValueError("damaged")
    return data.decode()


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CHECKSUM_BYTES)
