"""Charts as inline SVG. Shapes are stretched to the width there is; all text stands beside them in HTML. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

from ragwatch.health.findings import Severity, Status
from ragwatch.health.incidents import Incident
from ragwatch.render.plain import page_text
from ragwatch.report import Audited, Day, Measured

WIDTH, HEIGHT = 1000.0, 100.0
GAP = 4
"""A line is broken where so many times the usual interval has no measurement: what was not measured is not drawn."""

LONGEST = 300
"""Characters of one name or sentence."""

Point = tuple[datetime, float, float, float]
"""Time, value, and the interval around it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The period from left to right, and a range of values from bottom to top."""

    start: datetime
    end: datetime
    low: float = 0.0
    high: float = 1.0

    def x(self, at: datetime) -> float:
        share = (at - self.start) / (self.end - self.start) if self.end > self.start else 1.0
        return WIDTH * min(max(share, 0.0), 1.0)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return HEIGHT * (1 - min(max(share, 0.0), 1.0))


def plain(text: str) -> str:
    """Escape a text for HTML: what is no character of HTML is shown as such, and what is endless is cut."""
    return page_text(text if len(text) <= LONGEST else text[:LONGEST] + "…")


def strip(days: Sequence[Day]) -> str:
    """Return a cell for every day: full and green, full and red, half and amber, or a line where nothing looked."""
    return _svg("strip", _summary(days), _cells(days))


def _cells(days: Sequence[Day]) -> Iterator[str]:
    shapes = {
        Status.HEALTHY: ("f-good", 100.0),
        Status.DEGRADED: ("f-bad", 100.0),
        Status.UNKNOWN: ("f-unsure", 55.0),
        None: ("f-none", 8.0),
    }
    for left, width, day in _columns(days):
        tone, height = shapes[day.status]
        word = str(day.status) if day.status else "no comparison"
        said = f"{day.day:%a %d %b %Y}: {word}; {day.healthy} of {day.comparisons} comparisons healthy"
        yield _rectangle(tone, left, HEIGHT - height, width, height, said)


def _summary(days: Sequence[Day]) -> str:
    tally = [day.status for day in days]
    return (
        f"{len(days)} days: {tally.count(Status.HEALTHY)} healthy, {tally.count(Status.DEGRADED)} degraded, "
        f"{tally.count(Status.UNKNOWN)} unknown, {tally.count(None)} without a comparison"
    )


def bars(days: Sequence[Day], most: int) -> str:
    """Return a bar for every day, as high as documents were behind at worst; `most` is the top."""
    parts = [_FLOOR]
    for left, width, day in _columns(days):
        if day.behind:
            height = max(HEIGHT * day.behind / max(most, 1), 2.0)
            said = f"{day.day:%a %d %b %Y}: {day.behind:,} documents behind"
            parts.append(_rectangle("f-bad", left, HEIGHT - height, width, height, said))
    return _svg("bars", f"at most {most:,} documents behind in one comparison", parts)


def _columns(days: Sequence[Day]) -> Iterator[tuple[float, float, Day]]:
    step = WIDTH / max(len(days), 1)
    for number, day in enumerate(days):
        yield number * step, step * 0.82, day


def trend(points: Sequence[Measured], frame: Frame, name: str) -> str:
    """Return a measure over time: its line, its 95 % interval, and each measurement, those judged worse larger."""
    shown: list[Point] = [(one.at, one.value, one.low, one.high) for one in points]
    worse = [one.worse for one in points]

    def said(number: int) -> str:
        one = points[number]
        word = "; judged worse" if one.worse else ""
        return f"{_when(one.at)}: {one.value:.3f} ({one.low:.2f} to {one.high:.2f}), n {one.n:,}{word}"

    return _svg("line", f"{name}: {len(points)} measurements", [_FRAME, *_lines(shown, worse, frame, said)])


def bound(points: Sequence[Audited], frame: Frame) -> str:
    """Return the share of vectors that can be wrong at most over time; audits that found any larger."""
    shown: list[Point] = [(one.at, one.upper, 0.0, one.upper) for one in points]
    wrong = [one.wrong > 0 for one in points]

    def said(number: int) -> str:
        one = points[number]
        return f"{_when(one.at)}: at most {one.upper:.2%} wrong; {one.wrong:,} of {one.n:,} audited"

    return _svg("line", f"{len(points)} audits", [_FRAME, *_lines(shown, wrong, frame, said)])


def _lines(points: Sequence[Point], marked: Sequence[bool], frame: Frame, said: Callable[[int], str]) -> Iterable[str]:
    for run in _unbroken(points):
        upper = [_at(frame, at, high) for at, _, _, high in run]
        lower = [_at(frame, at, low) for at, _, low, _ in reversed(run)]
        yield f'<path class="band" d="M{"L".join([*upper, *lower])}Z"/>'
        yield f'<path class="trend" d="M{"L".join(_at(frame, at, value) for at, value, _, _ in run)}"/>'
    for number, (at, value, _, _) in enumerate(points):
        worse = " worse" if marked[number] else ""
        title = f"<title>{plain(said(number))}</title>"
        yield f'<path class="dot{worse}" d="M{_at(frame, at, value)}h.01">{title}</path>'


def _unbroken(points: Sequence[Point]) -> Iterator[list[Point]]:
    gaps = [(after[0] - before[0]).total_seconds() for before, after in pairwise(points)]
    usual = median(gaps) if gaps else 0.0
    run: list[Point] = []
    for number, point in enumerate(points):
        if number and gaps[number - 1] > GAP * usual:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def lifetime(incident: Incident, frame: Frame) -> str:
    """Return when an incident was there, as a bar within the period."""
    left = frame.x(incident.first_seen)
    width = max(frame.x(incident.resolved or frame.end) - left, 6.0)
    left = min(left, WIDTH - width)
    tone = "f-bad" if incident.problem.severity is Severity.ERROR else "f-unsure"
    ended = f" to {_when(incident.resolved)}" if incident.resolved else " until now"
    track = f'<rect class="track" y="35" width="{WIDTH:.0f}" height="30"/>'
    said = f"{_when(incident.first_seen)}{ended}"
    return _svg("when", said, [track, _rectangle(tone, left, 0, width, HEIGHT, said)])


def meter(share: float, tone: str, said: str) -> str:
    """Return a share as a bar of that part of the width."""
    width = WIDTH * min(max(share, 0.0), 1.0)
    track = f'<rect class="track" y="25" width="{WIDTH:.0f}" height="50"/>'
    return _svg("when", said, [track, _rectangle(f"f-{tone}", 0, 25, width, 50, said)])


_FRAME = f'<path class="frame" d="M0 0H{WIDTH:.0f}M0 {HEIGHT:.0f}H{WIDTH:.0f}"/>'
_FLOOR = f'<path class="frame" d="M0 {HEIGHT:.0f}H{WIDTH:.0f}"/>'


def _svg(kind: str, said: str, parts: Iterable[str]) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" preserveAspectRatio="none" role="img" '
        f'aria-label="{plain(said)}">{"".join(parts)}</svg>'
    )


def _rectangle(tone: str, left: float, top: float, width: float, height: float, said: str) -> str:
    place = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{tone}" {place}><title>{plain(said)}</title></rect>'


def _at(frame: Frame, at: datetime, value: float) -> str:
    return f"{frame.x(at):.1f} {frame.y(value):.1f}"


def _when(moment: datetime) -> str:
    return f"{moment:%d %b %Y %H:%M}"
