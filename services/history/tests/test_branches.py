"""Where branches part, of any tree at all."""

from hypothesis import given
from hypothesis import strategies as st

from rostra_history.branches import Branch, Fork, forks
from rostra_history.thread import Link, path_to, shown_parents


def link(name: str, seq: int, parent: str | None, *, deleted: bool = False) -> Link:
    return Link(name, parent, None, "t", seq=seq, deleted=deleted)


@st.composite
def trees(draw: st.DrawFn) -> list[Link]:
    size = draw(st.integers(1, 12))
    parents = [draw(st.none() | st.integers(0, n - 1).map(str)) if n else None for n in range(size)]
    return [link(str(n), n, parent, deleted=draw(st.booleans())) for n, parent in enumerate(parents)]


def test_newest_leaf_of_a_branch_may_follow_an_older_way() -> None:
    links = [link("a", 0, None), link("b", 1, "a"), link("c", 2, "a"), link("d", 3, "b"), link("e", 4, None)]
    assert forks(links, leaf_id="c") == [
        Fork(None, [Branch("a", "d", active=True), Branch("e", "e", active=False)]),
        Fork("a", [Branch("b", "d", active=False), Branch("c", "c", active=True)]),
    ]


@given(trees())
def test_leaf_of_each_branch_shows_it(links: list[Link]) -> None:
    parents = shown_parents(links)
    for fork in forks(links, leaf_id=None):
        assert len(fork.branches) > 1
        for branch in fork.branches:
            assert parents[branch.item_id] == fork.parent_id
            assert branch.item_id in {link.id for link in path_to(branch.leaf_id, links)}
            assert branch.leaf_id not in {parents[link.id] for link in links if not link.deleted}
            assert not branch.active


@given(trees(), st.integers(0, 11).map(str))
def test_each_fork_has_one_active_branch_at_most_and_the_path_goes_there(links: list[Link], leaf_id: str) -> None:
    shown = {link.id for link in path_to(leaf_id, links)} if leaf_id in {link.id for link in links} else set()
    for fork in forks(links, leaf_id=leaf_id if shown else None):
        active = [branch.item_id for branch in fork.branches if branch.active]
        assert active == [branch.item_id for branch in fork.branches if branch.item_id in shown]
        assert len(active) <= 1
