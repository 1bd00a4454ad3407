"""What can go wrong between a client and its server."""


class HttpError(Exception):
    """The call failed below HTTP."""


class CannotConnect(HttpError):
    """There was not even a connection."""


class BrokenAnswer(HttpError):
    """The answer was not HTTP, or the connection was closed before its end."""
