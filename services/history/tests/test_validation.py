"""What a request may hold."""

import pytest

from rostra_history.validation import check_metadata, check_new_items, check_title, json_text, page_request, parse_json
from rostra_kit.errors import InvalidArgumentError


def test_bounds_are_allowed() -> None:
    check_metadata({f"{n:064d}": "v" * 512 for n in range(16)})
    check_title("t" * 200)
    check_title(None)
    check_new_items([{}] * 20)


@pytest.mark.parametrize(
    ("check", "value", "param"),
    [
        (check_metadata, {str(n): "" for n in range(17)}, "metadata"),
        (check_metadata, {"k" * 65: ""}, "metadata"),
        (check_metadata, {"k": "v" * 513}, "metadata"),
        (check_title, "t" * 201, "title"),
        (check_new_items, [{}] * 21, "items"),
    ],
)
def test_one_more_is_refused(check, value, param) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check(value)
    assert caught.value.param == param


@pytest.mark.parametrize(("size", "limit"), [(0, 20), (1, 1), (100, 100), (101, 100), (2**31 - 1, 100)])
def test_page_size_is_bounded(size, limit) -> None:
    page = page_request(page_size=size, after_id="", descending=True)
    assert (page.limit, page.after_id) == (limit, None)


def test_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        page_request(page_size=-1, after_id="", descending=True)
    assert caught.value.param == "limit"


@pytest.mark.parametrize("text", ["", "{", "NaN", "[-Infinity]", "1" * 5000, "[" * 100_000, '{"a":1}x'])
def test_text_that_is_not_json_is_refused(text) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_json(text, param="items[0]")
    assert caught.value.param == "items[0]"


@pytest.mark.parametrize("text", ['"\\ud800"', "1e400"])
def test_json_that_cannot_be_kept_is_refused(text) -> None:
    with pytest.raises(InvalidArgumentError):
        json_text(parse_json(text, param="items[0]"), param="items[0]")


@pytest.mark.parametrize("text", ['{"a":[1,0.1,null,true]}', '"\\u0000é"', str(2**200)])
def test_json_survives(text) -> None:
    value = parse_json(text, param="x")
    assert parse_json(json_text(value, param="x"), param="x") == value
