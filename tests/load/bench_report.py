"""The document that `make bench` writes, from what it measured."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_figures import Figures, Memory, Results, added, ratio
from bench_loads import BURST, MANY, ONE, PACED, PACED_MANY, STORED, STORED_ONE, Load

_TEMPLATE = Path(__file__).with_name("performance.md")
DIRECT, OURS = "the provider itself", "Rostra"
# What is compared, with the load that shows it, and whether it is a time.
_COMPARED = (
    (MANY, "cpu_per_1000", False),
    (BURST, "cpu_per_100k_tokens", False),
    (PACED, "cpu_per_100k_tokens", False),
    (PACED_MANY, "cpu_per_100k_tokens", False),
    (ONE, "total_p50", True),
    (STORED, "cpu_per_1000", False),
    (STORED_ONE, "total_p50", True),
)


@dataclass(frozen=True)
class Run:
    """A run of the benchmark.

    Attributes:
        about: What the document says of it: date, machine, versions, rounds.
        starts: In how many seconds each system gave its first answer.
    """

    results: Results
    memory: Memory
    starts: Mapping[str, float]
    about: Mapping[str, object]


def document(run: Run) -> str:
    """Return the document."""
    results = run.results
    every = [figures for load in results.values() for figures in load.values()]
    foreign = [each["foreign"] for figures in every for each in figures.rounds]
    load_shares = [
        figures.middle("load_share") for load in results.values() for figures in without_direct(load).values()
    ]
    return _TEMPLATE.read_text().format(
        **run.about,
        foreign=f"{statistics.median(foreign):.0%}, at most {max(foreign):.0%}",
        load_share=f"{max(load_shares):.0%}",
        unpaced=_rows(results[MANY], lambda name: _unpaced(results, name)),
        paced="\n".join(_rows(results[load], _paced_cells(load, results[load])) for load in (PACED, PACED_MANY)),
        stored=_rows(results[STORED], lambda name: _stored(results, name)),
        compared="\n".join(_compared(results)),
        memory="\n".join(_memory(run)),
    )


def without_direct(systems: Mapping[str, Figures]) -> dict[str, Figures]:
    """Return the systems without the provider itself, whose cost is nobody's."""
    return {name: figures for name, figures in systems.items() if name != DIRECT}


def _unpaced(results: Results, name: str) -> list[str]:
    one, many, burst = (results[load][name] for load in (ONE, MANY, BURST))
    direct = name == DIRECT
    return [
        _plain(one, "total_p50", "total_p99") if direct else added(results[ONE][DIRECT], one, "total_p50", "total_p99"),
        _with_spread(many, "rate", 0),
        "" if direct else _with_spread(many, "cpu_per_1000", 2),
        _with_spread(burst, "token_rate", 0),
        "" if direct else _with_spread(burst, "cpu_per_100k_tokens", 2),
    ]


def _paced_cells(load: Load, systems: Mapping[str, Figures]) -> Callable[[str], list[str]]:
    def cells(name: str) -> list[str]:
        figures, direct = systems[name], systems[DIRECT]
        stalls = f"{sum(each['stalls'] for each in figures.rounds):.0f}"
        if name == DIRECT:
            times = [_plain(figures, "first_p50", "first_p99"), _plain(figures, "gap_p99")]
            return [str(load.callers), "", *times, stalls]
        times = [added(direct, figures, "first_p50", "first_p99"), added(direct, figures, "gap_p99")]
        return [str(load.callers), _with_spread(figures, "cpu_per_100k_tokens", 1), *times, stalls]

    return cells


def _stored(results: Results, name: str) -> list[str]:
    many = results[STORED][name]
    return [
        _plain(results[STORED_ONE][name], "total_p50", "total_p99"),
        _with_spread(many, "rate", 0),
        _with_spread(many, "cpu_per_1000", 2),
    ]


def _compared(results: Results) -> Iterable[str]:
    """Yield a row for each peer: how many times as much as Rostra it takes, of what it was measured at."""
    peers = {name: None for load in results.values() for name in load if name not in (DIRECT, OURS)}
    for peer in peers:
        cells = [
            ratio(results[load][peer], results[load][OURS], figure, timed=timed) if peer in results[load] else ""
            for load, figure, timed in _COMPARED
        ]
        yield _row(peer, cells)


def _memory(run: Run) -> Iterable[str]:
    """Yield a row for each system and one for each of Rostra's processes."""
    moments = (run.memory.idle, run.memory.loaded, run.memory.after)
    for system, seconds in run.starts.items():
        yield _row(system, [*(f"{sum(each[system].values()):.0f}" for each in moments), f"{seconds:.1f}"])
        if system == OURS:
            for process in moments[0][system]:
                yield _row(f"… its {process}", [*(f"{each[system][process]:.0f}" for each in moments), ""])


def _rows(systems: Mapping[str, Figures], cells: Callable[[str], list[str]]) -> str:
    return "\n".join(_row(name, cells(name)) for name in systems)


def _row(name: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join([name, *cells]) + " |"


def _plain(figures: Figures, *names: str) -> str:
    return " / ".join(f"{figures.middle(name):.1f}" for name in names)


def _with_spread(figures: Figures, name: str, digits: int) -> str:
    return f"{figures.middle(name):,.{digits}f} ± {figures.spread(name):,.{digits}f}"
