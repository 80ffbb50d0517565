"""What a run leaves to be read: its config, metrics, sample pictures and plots."""

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, PngImagePlugin

from gan_jax import pixels
from gan_jax.errors import ConfigError

_SOFTWARE = "gan_jax"  # says in a PNG file who wrote it


def write_text(path: Path, text: str) -> None:
  """Replaces a file at once, so that an interruption leaves the old or the new one; the same text leaves it alone."""
  write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
  """As `write_text`; a link is replaced, not followed."""
  if path.exists() and not path.is_symlink() and path.read_bytes() == content:
    return
  temporary = path.with_name(f"{path.name}.partial")
  temporary.write_bytes(content)
  temporary.replace(path)


def read_config(workdir: Path) -> dict[str, Any] | None:
  """The config of the run in a workdir, or None where there is none.

  Raises:
    ConfigError: if config.json is damaged.
  """
  return read_json(workdir / "config.json")


def read_json(path: Path) -> dict[str, Any] | None:
  """The object in a JSON file, or None where there is no file.

  Raises:
    ConfigError: if the file is damaged.
  """
  if not path.exists():
    return None
  try:
    found = json.loads(path.read_bytes())
  except ValueError as error:
    raise ConfigError(f"{path} is damaged ({error}); put it right, or choose another --workdir") from error
  if not isinstance(found, dict):
    raise ConfigError(f"{path} is damaged (it is no JSON object); put it right, or choose another --workdir")
  return found


def append_metrics(path: Path, rows: Iterable[Mapping[str, float | None]]) -> None:
  """Appends one JSON object a line; each has the key "step"."""
  with path.open("a") as file:
    file.writelines(json.dumps(row) + "\n" for row in rows)


def read_metrics(path: Path, until: int | None = None) -> list[dict[str, float]]:
  """The rows of a metrics file up to and including round `until`; a last line cut off by an interruption is left out.

  Raises:
    ConfigError: if another line is not a row; the message names it.
  """
  rows = []
  lines = path.read_text(errors="replace").splitlines() if path.exists() else []
  for number, line in enumerate(lines, 1):
    try:
      row = json.loads(line)
    except json.JSONDecodeError:
      if number == len(lines):
        break
      row = None
    if not isinstance(row, dict) or not isinstance(row.get("step"), int):
      raise ConfigError(
        f"{path}, line {number} is damaged: {line[:60]!r} is no JSON object with a step; repair or remove it"
      )
    if until is None or row["step"] <= until:
      rows.append(row)
  return rows


def write_metrics(path: Path, rows: Iterable[Mapping[str, float]]) -> None:
  """Replaces the rows of the metrics file."""
  write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def grid(images: np.ndarray, columns: int | None = None, gap: int = 2) -> np.ndarray:
  """Lays images [N, H, W, C] in [-1, 1], C 1 or 3, out in rows, uint8 [height, width, C], on white.

  Args:
    images: N of them; the last row is filled up with white.
    columns: images in a row; the square root of N, rounded up, if None.
    gap: pixels between images.
  """
  n, height, width, channels = images.shape
  columns = columns or math.ceil(math.sqrt(n))
  rows = math.ceil(n / columns)
  sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8)
  for i, image in enumerate(pixels.encode(images)):
    top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
    sheet[top : top + height, left : left + width] = image
  return sheet


def save_samples(path: Path, samples: np.ndarray, data: np.ndarray, columns: int | None = None) -> None:
  """Saves a picture of samples: a grid of images, a scatter plot of points in the plane, or a histogram on the line.

  Args:
    path: of the PNG file; its folder is made.
    samples: [N, H, W, C] in [-1, 1], or points [N, D], of which the first two coordinates are shown.
    data: real examples of the same kind, drawn behind the points; images are shown alone.
    columns: images in a row, as in `grid`.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  samples, data = np.asarray(samples), np.asarray(data)
  if samples.ndim == 4:
    sheet = grid(samples, columns)
    zoom = max(1, round(600 / sheet.shape[1]))
    picture = _picture(sheet)
    _save(path, picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST))
    return
  from matplotlib.figure import Figure  # here, so that training does not wait for it

  dimensions = samples.shape[1]
  figure = Figure(figsize=(5, 5) if dimensions > 1 else (6, 4), layout="constrained")
  axes = figure.add_subplot()
  if dimensions > 1:
    axes.scatter(*data.T[:2], s=4, c="0.75", label="data")
    axes.scatter(*samples.T[:2], s=4, c="C0", label="generator")
    if dimensions > 2:
      axes.set(xlabel=f"coordinate 1 of {dimensions}", ylabel=f"coordinate 2 of {dimensions}")
    points = np.concatenate([data[:, :2], samples[:, :2]])
    points = points[np.isfinite(points).all(1)]
    low, high = points.min(0), points.max(0)
    half = 0.55 * np.maximum(high - low, 0.6 * np.max(high - low) or 1.0)  # lines that met have no width
    (left, bottom), (right, top) = (low + high) / 2 - half, (low + high) / 2 + half
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
  else:
    low, high = np.quantile(data, [0.001, 0.999])
    margin = 0.1 * (high - low) or 1.0  # around data that is one point
    bins = np.linspace(low - margin, high + margin, 80)
    axes.hist(data[:, 0], bins, density=True, color="0.75", label="data")
    seen = np.clip(samples[:, 0], bins[0], bins[-1])  # what lies beyond, at the edge
    axes.hist(seen, bins, density=True, histtype="step", color="C0", label="generator")
  axes.legend(loc="upper right")
  _save_figure(path, figure)


class Plot(NamedTuple):
  """Lines in a plane.

  Attributes:
    lines: points (x, y) of each by name, x rising.
    x: what the horizontal axis is, with its unit.
    y: likewise the vertical one, which starts at 0.
    logarithmic: whether the horizontal axis has equal factors, of 2; all x are above 0 then.
  """

  lines: Mapping[str, Sequence[tuple[float, float]]]
  x: str
  y: str
  logarithmic: bool = False


def save_plot(path: Path, plot: Plot) -> None:
  """Saves a plot as a PNG file, with a dot at each point; the folder is made."""
  from matplotlib.figure import Figure  # here, so that training does not wait for it

  path.parent.mkdir(parents=True, exist_ok=True)
  figure = Figure(figsize=(6, 4), layout="constrained")
  axes = figure.add_subplot()
  for name, points in plot.lines.items():
    axes.plot(*np.transpose(points), marker=".", label=name)
  axes.set(xlabel=plot.x, ylabel=plot.y)
  axes.set_ylim(bottom=0.0)
  if plot.logarithmic:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
  axes.legend()
  _save_figure(path, figure)


def pictures(workdir: Path) -> dict[str, list[tuple[int, Path]]]:
  """The pictures of a run by kind, "" being samples: the round and the file of each, oldest first.

  They are samples/ROUND.png and samples/ROUND_KIND.png; others that people keep there are left out.
  """
  kinds: dict[str, list[tuple[int, Path]]] = {}
  for path in (workdir / "samples").glob("*.png"):
    step, _, kind = path.stem.partition("_")
    if step.isdecimal():
      kinds.setdefault(kind, []).append((int(step), path))
  return {kind: sorted(kinds[kind]) for kind in sorted(kinds)}


def save_image(path: Path, image: np.ndarray) -> None:
  """Writes one image [H, W, C] in [-1, 1], C 1 or 3, as it is."""
  _save(path, _picture(pixels.encode(image)))


def _picture(image: np.ndarray) -> Image.Image:
  return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def made_here(path: Path) -> bool:
  """Whether a file is a picture that this module wrote, and no link to one."""
  if path.is_symlink() or not path.is_file():
    return False
  try:
    with Image.open(path) as picture:
      return picture.info.get("Software") == _SOFTWARE
  except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises for files of others
    return False


def _save(path: Path, picture: Image.Image) -> None:
  written, info = io.BytesIO(), PngImagePlugin.PngInfo()
  info.add_text("Software", _SOFTWARE)
  picture.save(written, "PNG", pnginfo=info)
  write_bytes(path, written.getvalue())


def _save_figure(path: Path, figure: Any) -> None:
  written = io.BytesIO()
  figure.savefig(written, dpi=100, format="png", metadata={"Software": _SOFTWARE})
  write_bytes(path, written.getvalue())
