"""What `make bench` says of figures, and when it refuses to."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

sys.path.append(str(Path(__file__).parent))

from bench import MOST_DISAGREEMENT, Figures, ratio
from bench_picture import bars


def figures(*values: float, foreign: float = 0.0) -> Figures:
    return Figures([{"cpu": value, "foreign": foreign} for value in values])


def test_ratio_is_the_median_of_the_rounds() -> None:
    assert ratio(figures(3.0, 3.3, 2.8), figures(1.0, 1.0, 1.0), "cpu") == "3.0"


def test_ratio_on_which_the_rounds_disagree_is_not_told() -> None:
    far = 3.0 * (1 + MOST_DISAGREEMENT) + 0.1
    assert ratio(figures(3.0, 3.0, far), figures(1.0, 1.0, 1.0), "cpu") == "too noisy"


def test_times_are_not_compared_while_others_work_but_cpu_time_is() -> None:
    one, other = figures(3.0, 3.0, foreign=0.5), figures(1.0, 1.0)
    assert ratio(one, other, "cpu", timed=True) == "too noisy"
    assert ratio(one, other, "cpu") == "3.0"


def test_picture_has_a_bar_for_each_figure_as_long_as_it() -> None:
    picture = ET.fromstring(bars("Title", {"one": {"A & B": 1.0, "C": 2.0}, "two": {"C": 5.0}}))
    lengths = [float(bar.attrib["width"]) for bar in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert lengths[0] == lengths[1] / 2
    assert lengths[1] == lengths[2]
    assert "A & B" in "".join(picture.itertext())
