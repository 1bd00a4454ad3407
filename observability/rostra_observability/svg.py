"""The few elements that pictures are made of, as SVG's text. Whatever is written into them is escaped."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

Point = tuple[float, float]

# A letter's width by the height of its font, on the wide side.
LETTER = 0.56


class Box(NamedTuple):
    """A place, in pixels."""

    x: float
    y: float
    width: float
    height: float


def element(name: str, *inside: str, **attributes: object) -> str:
    """Return an element; `_` in an attribute's name stands for `-`, at its end for nothing."""
    written = "".join(f' {_name(key)}="{_value(value)}"' for key, value in attributes.items() if value != "")
    return f"<{name}{written}>{''.join(inside)}</{name}>" if inside else f"<{name}{written}/>"


def text(content: str, x: float, y: float, *, width: float, size: int = 11, fill: str = "", class_: str = "") -> str:
    """Return one line of text, cut where it would be wider than it may be."""
    room = max(1, int(width / (size * LETTER)))
    shown = content if len(content) <= room else content[: room - 1].rstrip() + "…"
    style = (f"font-size:{size}px;" if size != 11 else "") + (f"fill:{fill}" if fill else "")
    return element("text", escape(shown), x=x, y=y, class_=class_, style=style) if shown else ""


def line(points: Sequence[Point], **attributes: object) -> str:
    """Return a line through points."""
    return element("polyline", points=_points(points), fill="none", **attributes)


def area(points: Sequence[Point], **attributes: object) -> str:
    """Return what lies between points."""
    return element("polygon", points=_points(points), **attributes)


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{_value(x)},{_value(y)}" for x, y in points)


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: object) -> str:
    return f"{round(value, 1):g}" if isinstance(value, float) else escape(str(value))
