"""The built-in offline model `echo`: no key, no network, no chance, and it says what it is."""

from rostra_chat.providers.echo.provider import EchoProvider

__all__ = ["EchoProvider"]
