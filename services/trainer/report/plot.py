"""The frame of a chart: where values lie in it, its axes and its accessible name. Charts are 360 units wide, so that on
a phone their writing keeps its size.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from secondlook.trainer.report.markup import Html, join, tag

WIDTH, HEIGHT = 360.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 14.0, 26.0, 40.0


@dataclass(frozen=True, slots=True)
class Plot:
    """An area from (x_low, y_low) to (x_high, y_high). `slot` is unique in the page and names the chart's parts."""

    slot: str
    title: str
    description: str
    x_high: float = 1.0
    y_low: float = 0.0
    y_high: float = 1.0
    x_low: float = 0.0

    def x(self, value: float) -> float:
        """Where a value lies from the left."""
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Where a value lies from the top."""
        return HEIGHT - BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Sequence[tuple[float, float]], style: str) -> Html:
        """A line through the points, cut off at the area."""
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return tag("polyline", points=path, class_=style, clip_path=f"url(#{self.slot}-area)")

    def segment(self, start: tuple[float, float], end: tuple[float, float], style: str) -> Html:
        """A straight line from value to value."""
        return tag("line", x1=self.x(start[0]), y1=self.y(start[1]), x2=self.x(end[0]), y2=self.y(end[1]), class_=style)

    def dot(self, x: float, y: float, style: str, radius: float = 3.5) -> Html:
        """A point."""
        return tag("circle", cx=self.x(x), cy=self.y(y), r=radius, class_=style)

    def draw(
        self,
        *parts: Html,
        x_label: str,
        y_label: str,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        x_text: Callable[[float], str],
        y_text: Callable[[float], str],
    ) -> Html:
        """The chart: grid and axes below, the parts above."""
        floor = HEIGHT - BOTTOM
        grid = [self.segment((self.x_low, tick), (self.x_high, tick), "grid") for tick in y_ticks]
        words = [
            *(tag("text", y_text(tick), x=LEFT - 6, y=self.y(tick) + 3.5, class_="tick end") for tick in y_ticks),
            *(tag("text", x_text(tick), x=self.x(tick), y=floor + 15, class_="tick middle") for tick in x_ticks),
            tag("text", x_label, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 5, class_="axis middle"),
            tag("text", y_label, x=0, y=10, class_="axis"),
        ]
        area = tag("rect", x=LEFT, y=TOP, width=WIDTH - LEFT - RIGHT, height=floor - TOP)
        return tag(
            "svg",
            tag("title", self.title, id=f"{self.slot}-title"),
            tag("desc", self.description, id=f"{self.slot}-desc"),
            tag("clipPath", area, id=f"{self.slot}-area"),
            join(grid),
            tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=floor, y2=floor, class_="base"),
            join(words),
            *parts,
            viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
            role="img",
            aria_labelledby=f"{self.slot}-title {self.slot}-desc",
        )


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values from `low` to `high`: 1, 2 or 5 times a power of ten apart."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
