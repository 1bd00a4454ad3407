import pytest

from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra_user.email_address import parse_email
from rostra_user.errors import UnacceptableError


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice@example.com", "Alice@EXAMPLE.com"),
        ("alice@example.com", "  alice@example.com "),
        ("stra\u00dfe@example.com", "STRASSE@example.com"),
        ("\ufb01ne@example.com", "fine@example.com"),
        ("e\u0301@example.com", "\u00e9@example.com"),
        ("me@b\u00fccher.example", "me@xn--bcher-kva.example"),
    ],
)
def test_two_spellings_of_one_address_have_one_key(one: str, other: str) -> None:
    assert parse_email(one).key == parse_email(other).key


@pytest.mark.parametrize("other", ["alicia@example.com", "alice@example.org", "alic\u00e9@example.com"])
def test_other_addresses_have_other_keys(other: str) -> None:
    assert parse_email("alice@example.com").key != parse_email(other).key


def test_address_keeps_the_spelling_of_its_owner() -> None:
    assert parse_email("Alice.Smith@Example.COM").text == "Alice.Smith@example.com"


@pytest.mark.parametrize("text", ["root@localhost", "a@rostra.local", "a@corp.test", "a@intranet", "a@corp.internal"])
def test_address_of_a_private_network_is_accepted(text: str) -> None:
    assert parse_email(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "alice@",
        "@example.com",
        "a b@example.com",
        "a@b@c.com",
        "a\0@example.com",
        "\ud800@example.com",
        "a" * 300 + "@example.com",
        "a@.local",
        "a@local..local",
        "\ufdfa" * 60 + "@example.com",
    ],
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(UnacceptableError) as refused:
        parse_email(text)
    assert refused.value.param == "email"
    assert refused.value.reason == ErrorReason.ERROR_REASON_UNPROCESSABLE
