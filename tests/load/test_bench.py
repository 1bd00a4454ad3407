"""What the benchmark makes of its figures: when it refuses to compare, its document, its pictures."""

import os
import threading
import time
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest
from bench_figures import TOO_NOISY, Figures, Memory, Results, added, largest, ratio
from bench_loads import LOADS, Load
from bench_plots import pictures
from bench_report import DIRECT, OURS, Run, document
from bench_systems import cpu_seconds

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = (
    *("rate", "cpu_per_1000", "token_rate", "cpu_per_100k_tokens", "stalls", "load_share"),
    *(f"{what}_{part}" for what in ("total", "first", "gap") for part in ("p50", "p90", "p99")),
)


def of(*values: float, foreign: float = 0.0) -> Figures:
    """Return figures that are all alike, and change by rounds."""
    return Figures([dict.fromkeys(FIGURES, value) | {"foreign": foreign, "load_share": 0.1} for value in values])


def run_of(ours: Figures, peer: Figures) -> Run:
    def asked(load: Load) -> dict[str, Figures]:
        if load.stored:
            return {OURS: ours, "Stores <Answers>": peer}
        return {DIRECT: of(1.0, 1.0), OURS: ours, "Peer": peer}

    names = (OURS, "Peer", "Stores <Answers>")
    resident = {name: {"one": 10.0, "two": 20.0} for name in names}
    about = dict.fromkeys(("date", "machine", "versions", "rounds"), "?") | {"rest": 10.0}
    results: Results = {load: asked(load) for load in LOADS}
    return Run(results, Memory(resident, resident, resident), dict.fromkeys(names, 2.5), about)


def row(text: str, heading: str, name: str) -> list[list[str]]:
    """Return the cells of a table's rows that begin with a name."""
    section = text.partition(f"## {heading}")[2].partition("\n## ")[0]
    lines = [line[2:-2].split(" | ") for line in section.splitlines() if line.startswith(f"| {name} |")]
    assert lines
    return [cells[1:] for cells in lines]


@pytest.mark.parametrize(
    ("of_rounds", "to_rounds", "shown"),
    [
        ((9.0, 10.0, 11.0), (1.0, 1.0, 1.0), "10.0"),
        ((12.0, 10.0, 8.0), (1.0, 1.0, 1.0), "10.0"),
        ((12.1, 10.0, 10.0), (1.0, 1.0, 1.0), TOO_NOISY),
        ((10.0, 10.0, 7.9), (1.0, 1.0, 1.0), TOO_NOISY),
        # The same disturbance at both leaves their ratio as it is.
        ((10.0, 20.0, 40.0), (1.0, 2.0, 4.0), "10.0"),
        ((10.0,), (1.0,), TOO_NOISY),
    ],
)
def test_ratio_is_given_only_where_rounds_agree(
    of_rounds: tuple[float, ...], to_rounds: tuple[float, ...], shown: str
) -> None:
    assert ratio(of(*of_rounds), of(*to_rounds), "cpu_per_1000") == shown


def test_times_are_compared_only_where_the_machine_was_quiet() -> None:
    quiet, busy = of(2.0, 2.0), of(2.0, 2.0, foreign=0.11)
    assert ratio(busy, quiet, "total_p50") == "1.0"
    assert ratio(busy, quiet, "total_p50", timed=True) == TOO_NOISY
    assert ratio(quiet, busy, "total_p50", timed=True) == TOO_NOISY
    assert added(of(1.5, 1.5), quiet, "total_p50", "total_p99") == "+0.5 / +0.5"
    assert added(of(1.5, 1.5), busy, "total_p50") == TOO_NOISY
    assert added(busy, quiet, "total_p50") == TOO_NOISY


def test_one_disturbed_round_leaves_a_difference_of_medians() -> None:
    figures = of(2.0, 2.0, 2.0)
    figures.rounds[0] |= {"foreign": 0.9, "total_p50": 50.0}
    assert added(of(1.0, 1.0, 1.0), figures, "total_p50") == "+1.0"
    assert ratio(figures, of(1.0, 1.0, 1.0), "total_p50", timed=True) == TOO_NOISY


def test_cpu_time_of_threads_that_have_ended_is_counted() -> None:
    def work() -> None:
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass

    before = cpu_seconds(os.getpid())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert cpu_seconds(os.getpid()) - before >= 0.05


def test_document_has_a_row_for_each_system_under_each_load() -> None:
    text = document(run_of(of(4.0, 5.0, 6.0), of(10.0, 12.5, 15.0)))
    assert row(text, "Completions", OURS) == [["+4.0 / +4.0", "5 ± 1", "5.00 ± 1.00", "5 ± 1", "5.00 ± 1.00"]]
    assert row(text, "Completions", DIRECT)[0][2] == ""
    assert row(text, "Streams", "Peer") == [
        [str(streams), "12.5 ± 2.5", "+11.5 / +11.5", "+11.5", "38"] for streams in (100, 400)
    ]
    assert row(text, "Responses", OURS) == [["5.0 / 5.0", "5 ± 1", "5.00 ± 1.00"]]
    assert row(text, "How many", "Peer") == [["2.5"] * 5 + ["", ""]]
    assert row(text, "How many", "Stores <Answers>") == [[""] * 5 + ["2.5", "2.5"]]
    assert row(text, "Memory", OURS) == [["30", "30", "30", "2.5"]]
    assert row(text, "Memory", "… its two") == [["20", "20", "20", ""]]
    assert "{" not in text


def test_document_of_a_noisy_run_has_no_ratio() -> None:
    text = document(run_of(of(5.0, 5.0, 5.0), of(5.0, 10.0, 15.0, foreign=0.5)))
    assert row(text, "How many", "Peer") == [[TOO_NOISY] * 5 + ["", ""]]
    assert row(text, "How many", "Stores <Answers>") == [[""] * 5 + [TOO_NOISY] * 2]
    assert row(text, "Streams", "Peer")[1][2:4] == [TOO_NOISY] * 2
    assert "50%" in text


def test_largest_has_every_process_that_was_ever_there() -> None:
    assert largest({"one": 1.0, "gone": 5.0}, {"one": 2.0, "new": 3.0}) == {"one": 2.0, "gone": 5.0, "new": 3.0}


def test_pictures_show_every_system_in_its_place() -> None:
    drawn = pictures(run_of(of(4.0, 5.0, 6.0), of(0.0, 0.0, 100_000.0)))
    assert set(drawn) == {"bench-cpu.svg", "bench-paced.svg"}
    for content in drawn.values():
        root = ET.fromstring(content)
        width, height = (float(root.get(side, "0")) for side in ("width", "height"))
        bars = [each for each in root.iter(f"{SVG}rect") if "bar" in (each.get("class") or "")]
        boxes = [[float(each.get(key, "0")) for key in ("x", "y", "width", "height")] for each in bars]
        assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)
        assert not [
            (one, other)
            for one, other in combinations(boxes, 2)
            if one[0] < other[0] + other[2] and other[0] < one[0] + one[2]
            and one[1] < other[1] + other[3] and other[1] < one[1] + one[3]
        ]  # fmt: skip
        assert "prefers-color-scheme:dark" in content
    assert "Stores &lt;Answers&gt;" in drawn["bench-cpu.svg"]
    assert DIRECT not in drawn["bench-cpu.svg"]
    assert DIRECT in drawn["bench-paced.svg"]


def test_picture_of_times_shows_none_that_was_disturbed() -> None:
    drawn = pictures(run_of(of(4.0, 5.0, 6.0), of(1.0, 1.0, 1.0, foreign=0.5)))
    assert drawn["bench-paced.svg"].count(TOO_NOISY) == 4
    assert TOO_NOISY not in drawn["bench-cpu.svg"]
