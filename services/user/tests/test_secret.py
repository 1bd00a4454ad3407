import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra_kit.ids import new_id
from rostra_user.secret import RefreshToken, new_api_key, redact


def test_api_keys_are_long_and_never_the_same() -> None:
    secrets = {new_api_key() for _ in range(100)}
    assert len(secrets) == 100
    assert all(secret.startswith("sk-rostra-") and len(secret) == 53 for secret in secrets)


def test_redacted_key_shows_the_ends_only() -> None:
    assert redact("sk-rostra-AbCdefghijklmnopqrstuvwxyz9") == "sk-rostra-AbC\u2026xyz9"


def test_refresh_token_reads_back() -> None:
    token = RefreshToken.first(new_id("sess"))
    assert RefreshToken.parse(str(token)) == token


def test_next_refresh_token_shares_only_session_and_family() -> None:
    token = RefreshToken.first(new_id("sess"))
    renewed = token.next()
    assert (renewed.session_id, renewed.family) == (token.session_id, token.family)
    assert renewed.token != token.token


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert RefreshToken.parse(text) is None


@pytest.mark.parametrize("change", [lambda s: s.upper(), lambda s: s[:-1], lambda s: s + "0", lambda s: s[3:]])
def test_changed_refresh_token_is_none(change) -> None:
    assert RefreshToken.parse(change("rt-" + "a" * 32 + "-" + "b" * 32 + "-" + "c" * 64)) is None
