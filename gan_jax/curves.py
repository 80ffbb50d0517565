"""Curves over rounds as SVG text: drawn without a plotting library, coloured by CSS variables of the page."""

import html
import math
from collections.abc import Mapping, Sequence

import numpy as np

Points = Sequence[tuple[float, float]]  # (round, value), rounds rising, all finite

WIDTH, HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 10, 14, 22
_POINTS = 300  # that a line is thinned to
_SMOOTH = 25  # the smooth line is a mean over this part of the points
_FEW = 40  # points, of which each is drawn and none is smoothed
_RANGE = 100.0  # from the least to the largest, beyond which the axis is logarithmic


def thinned(points: Points, most: int = _POINTS) -> Points:
  """At most `most` of the points: the first, the last, and of each stretch between the least and the largest value."""
  if len(points) <= most:
    return points
  kept = {0, len(points) - 1}
  edges = np.linspace(1, len(points) - 1, (most - 2) // 2 + 1).astype(int)
  for first, last in zip(edges, edges[1:]):
    stretch = range(first, last)
    if stretch:
      kept |= {min(stretch, key=lambda i: points[i][1]), max(stretch, key=lambda i: points[i][1])}
  return [points[i] for i in sorted(kept)]


def smoothed(points: Points, window: int) -> Points:
  """Each value's mean with those of the (window - 1) / 2 points on each side, as far as there are such."""
  values = np.array([value for _, value in points])
  total = np.concatenate([[0.0], np.cumsum(values)])
  places, half = np.arange(len(values)), (window - 1) // 2
  first, last = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
  means = (total[last] - total[first]) / (last - first)
  return [(step, float(mean)) for (step, _), mean in zip(points, means, strict=True)]


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
  """Round numbers from low to high, about as many as wanted: multiples of 1, 2 or 5 times a power of ten."""
  rough = (high - low) / wanted
  power = 10.0 ** math.floor(math.log10(rough))
  step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= 0.999 * rough)
  return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def panel(
  lines: Mapping[str, Points],
  end: float,
  levels: Mapping[str, float] | None = None,
  marks: Sequence[tuple[int, float]] = (),
  name: str = "",
) -> str:
  """One panel as an `<svg>`, WIDTH by HEIGHT, that grows with its box.

  A line of few points has a dot at each; of more it is faint, and its moving average is drawn over it. Where all values
  are positive and the largest is more than a hundred times the least, the axis is logarithmic.

  Args:
    lines: by name; those without points are left out.
    end: the round at the right edge.
    levels: values that are drawn as dashed lines, by name.
    marks: number and round of what happened; each number links to #warning-NUMBER.
    name: of the panel, for those who cannot see it.
  """
  lines, levels = {key: points for key, points in lines.items() if points}, levels or {}
  values = [value for points in lines.values() for _, value in points] + [*levels.values()]
  if not values:
    return ""
  logarithmic = min(values) > 0 and max(values) > _RANGE * min(values)
  scale = math.log10 if logarithmic else float
  low, high = _limits([scale(value) for value in (min(values), max(values))])
  x = lambda step: round(_LEFT + (WIDTH - _LEFT - _RIGHT) * step / (end or 1.0), 1)
  y = lambda value: round(_TOP + (HEIGHT - _TOP - _BOTTOM) * (high - scale(value)) / (high - low), 1)
  parts = [_axes(x, y, end, low, high, logarithmic)]
  for label, value in levels.items():
    parts.append(
      f'<line class="level" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(value)}" y2="{y(value)}">'
      f"<title>{html.escape(label)} {value:.4g}</title></line>"
    )
  for i, (label, points) in enumerate(lines.items()):
    parts.append(f'<g class="line c{i % 6}">{_line(label, points, x, y)}</g>')
  for number, step in marks:
    place = min(max(x(step), _LEFT), WIDTH - _RIGHT)
    parts.append(
      f'<a class="mark" href="#warning-{number}"><line x1="{place}" x2="{place}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
      f'<text x="{place}" y="{_TOP - 3}" text-anchor="middle">{number}</text></a>'
    )
  described = html.escape(f"{name or ', '.join(lines)} over rounds{', logarithmic axis' * logarithmic}")
  return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{described}">{"".join(parts)}</svg>'


def _limits(ends: Sequence[float]) -> tuple[float, float]:
  low, high = ends
  margin = 0.04 * (high - low) or 0.1 * abs(low) or 0.5
  return low - margin, high + margin


def _axes(x, y, end: float, low: float, high: float, logarithmic: bool) -> str:
  if logarithmic:
    powers = range(math.ceil(low), math.floor(high) + 1)
    levels = [10.0**power for power in powers[:: math.ceil(len(powers) / 5)]]
    label = lambda value: f"{value:,.0f}" if 1 <= value < 1e6 else f"{value:g}"
  else:
    levels = ticks(low, high)
    decimals = max(0, -math.floor(math.log10(levels[1] - levels[0]) + 1e-9)) if len(levels) > 1 else 2
    short = decimals <= 4 and max(map(abs, levels), default=0.0) < 1e6
    label = lambda value: f"{value:,.{decimals}f}" if short else f"{value:.4g}"
  parts = []
  for value in levels:
    parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(value)}" y2="{y(value)}"/>')
    parts.append(f'<text x="{_LEFT - 6}" y="{y(value) + 3.5}" text-anchor="end">{label(value)}</text>')
  for value in ticks(0.0, end or 1.0, 4):
    anchor = "end" if x(value) > WIDTH - 30 else "middle"
    place = x(value) + (_RIGHT if anchor == "end" else 0)
    parts.append(f'<text x="{place}" y="{HEIGHT - 6}" text-anchor="{anchor}">{value:,g}</text>')
  return f'<g class="axes">{"".join(parts)}</g>'


def _line(label: str, points: Points, x, y) -> str:
  path = lambda points: " ".join(f"{x(step)},{y(value)}" for step, value in points)
  if len(points) > _FEW:
    smooth = smoothed(points, len(points) // _SMOOTH | 1)
    even = [smooth[i] for i in np.unique(np.linspace(0, len(smooth) - 1, _POINTS).astype(int))]
    return f'<polyline class="raw" points="{path(thinned(points))}"/><polyline points="{path(even)}"/>'
  dots = "".join(
    f'<circle cx="{x(step)}" cy="{y(value)}" r="2.2"><title>{html.escape(label)} {value:.4g}, round {step:,}</title>'
    "</circle>"
    for step, value in points
  )
  return f'<polyline points="{path(points)}"/>{dots}'
