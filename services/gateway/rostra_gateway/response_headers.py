"""The headers by which browsers are told to make nothing of an answer but what it says that it is."""

from rostra_gateway.settings import Settings

Headers = list[tuple[bytes, bytes]]

_ALWAYS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
# For answers that do not say it better themselves.
_DEFAULTS: Headers = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]


def security_headers(settings: Settings) -> Headers:
    """Return what every answer has, also that to what was no request; with HTTPS in public, browsers keep to it."""
    if settings.hsts_seconds and (settings.public_url or "").startswith("https:"):
        return [*_ALWAYS, (b"strict-transport-security", b"max-age=%d" % settings.hsts_seconds)]
    return _ALWAYS


def default_headers(headers: Headers) -> Headers:
    """Return what an answer with `headers` has beside them. A page for people needs a policy of its own."""
    given = {name.lower(): value for name, value in headers}
    is_page = given.get(b"content-type", b"").startswith(b"text/html")
    return [
        (name, value)
        for name, value in _DEFAULTS
        if name not in given and not (is_page and name == b"content-security-policy")
    ]
