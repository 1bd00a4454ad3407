"""Placing items, finding paths, finding what nobody needs."""

from hypothesis import given
from hypothesis import strategies as st

from rostra_history.domain import Item, Response, ResponseStatus
from rostra_history.thread import Link, path_to, place, shown_parents, unneeded, whole_path_to


def item(name: str, seq: int | None = None, parent: str | None = None, **more) -> Item:
    return Item(id=name, owner="u", thread_id="t", body=name, create_time_us=0, seq=seq, parent_id=parent, **more)


def member(name: str, seq: int, parent: str | None) -> Item:
    return item(name, seq, parent, conversation_id="t")


def response(name: str, leaf: str | None) -> Response:
    return Response(
        id=name,
        owner="u",
        thread_id="t",
        status=ResponseStatus.COMPLETED,
        body="",
        create_time_us=0,
        leaf_id=leaf,
    )


def names(items: list[Item]) -> str:
    return "".join(item.id for item in items)


def test_placed_items_are_one_path() -> None:
    placed = place([item("a"), item("b")], first_seq=7, parent_id="z", conversation_id="c")
    assert [(i.seq, i.parent_id, i.conversation_id) for i in placed] == [(7, "z", "c"), (8, "a", "c")]
    assert response("r", None).followed_by(placed).next_seq == 9
    assert response("r", "x").followed_by([]).leaf_id == "x"


def test_path_follows_parents_past_other_branches() -> None:
    items = [item("a", 0), item("b", 1, "a"), item("x", 1, "a"), item("c", 2, "b"), item("y", 2, "x")]
    assert names(path_to("c", items)) == "abc"
    assert names(path_to("y", items)) == "axy"
    assert path_to(None, items) == []


def test_whole_path_has_the_tombstones_too() -> None:
    items = [item("a", 0), item("b", 1, "a", deleted=True), item("c", 2, "b")]
    assert names(whole_path_to("c", items)) == "abc"


def test_parent_shown_is_the_nearest_that_is_not_deleted() -> None:
    items = [
        item("a", 0, deleted=True),
        item("b", 1, "a"),
        item("c", 2, "b", deleted=True),
        item("d", 3, "c", deleted=True),
        item("e", 4, "d"),
        item("f", 5, "a"),
    ]
    assert shown_parents(items) == {"a": None, "b": None, "c": "b", "d": "b", "e": "b", "f": None}


def test_path_leads_through_tombstones_without_showing_them() -> None:
    items = [item("a", 0), item("b", 1, "a", deleted=True), item("c", 2, "b")]
    assert names(path_to("c", items)) == "ac"


def test_empty_place_is_stepped_over() -> None:
    items = [member("a", 0, None), member("b", 1, "a"), member("d", 4, "lost")]
    assert names(path_to("d", items)) == "abd"
    assert names(path_to("lost too", items)) == "abd"


def test_missing_parent_outside_a_conversation_ends_the_path() -> None:
    assert names(path_to("b", [item("a", 0), item("b", 1, "lost")])) == "b"
    assert path_to("lost", [item("a", 0)]) == []


def test_parents_that_run_in_a_circle_end() -> None:
    items = [member("a", 0, "c"), member("b", 1, "a"), member("c", 2, "b")]
    assert names(path_to("c", items)) == "abc"
    assert names(path_to("a", [member("a", 0, "a")])) == "a"


@st.composite
def threads(draw: st.DrawFn) -> list[Item]:
    """Any thread at all, with lost, circular and double parents."""
    size = draw(st.integers(1, 12))
    parents = st.none() | st.integers(0, size + 2).map(str)
    conversations = st.sampled_from([None, "t"])
    seqs = sorted(draw(st.lists(st.integers(0, 15), min_size=size, max_size=size)))
    return [
        item(str(n), seq, draw(parents), conversation_id=draw(conversations), deleted=draw(st.booleans()))
        for n, seq in enumerate(seqs)
    ]


@given(threads(), st.integers(0, 14).map(str))
def test_path_of_any_thread_rises_and_shows_nothing_twice(items: list[Item], leaf_id: str) -> None:
    path = path_to(leaf_id, items)
    seqs = [item.seq for item in path]
    assert seqs == sorted(set(seqs))


@given(threads(), st.integers(0, 14).map(str))
def test_parents_shown_make_the_path(items: list[Item], leaf_id: str) -> None:
    parents = shown_parents(items)
    path = path_to(leaf_id, items)
    assert [parents[item.id] for item in path] == [None, *(item.id for item in path)][: len(path)]


@given(threads())
def test_what_is_needed_is_never_unneeded(items: list[Item]) -> None:
    links = [Link(i.id, i.parent_id, f"r{n % 3}", i.conversation_id) for n, i in enumerate(items)]
    kept_leaf = items[-1].id
    doomed = unneeded(
        links, deleted=response("r0", items[0].id), leaf_ids_by_response={"r1": kept_leaf}, keep_members=True
    )
    by_id = {link.id: link for link in links}
    current, seen = kept_leaf, set()
    while current in by_id and current not in seen:
        assert current not in doomed
        seen.add(current)
        current = by_id[current].parent_id
    assert not any(by_id[i].response_id == "r1" or by_id[i].conversation_id for i in doomed)


def test_newcomers_are_not_taken_for_leftovers() -> None:
    links = [Link("a", None, "r0", None), Link("new", "a", "about to come", None)]
    assert unneeded(links, deleted=response("r0", "a"), leaf_ids_by_response={}, keep_members=True) == {"a"}
