"""What a run leaves behind: grids pixel by pixel, metrics that survive an interruption."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from gan_jax import report


def opened(path):
  with Image.open(path) as image:
    return np.asarray(image)


def test_grid_places_every_pixel():
  images = np.stack([np.full((2, 3, 1), v, np.float32) for v in (-1.0, 0.0, 1.0)])
  sheet = report.grid(images, columns=2, gap=1)
  assert sheet.shape == (1 + 2 * 3, 1 + 2 * 4, 1) and sheet.dtype == np.uint8
  expected = np.full((7, 9), 255, np.uint8)
  expected[1:3, 1:4], expected[1:3, 5:8], expected[4:6, 1:4] = 0, 128, 255
  np.testing.assert_array_equal(sheet[:, :, 0], expected)


def test_grid_clips_and_is_square_by_default():
  sheet = report.grid(np.full((9, 1, 1, 3), 7.0), gap=0)
  assert sheet.shape == (3, 3, 3) and np.all(sheet == 255)


def test_pictures_of_every_kind(tmp_path):
  rng = np.random.default_rng(0)
  for name, shape in (("grey", (4, 8, 8, 1)), ("colour", (4, 8, 8, 3)), ("plane", (50, 2)), ("line", (50, 1))):
    path = tmp_path / "new" / f"{name}.png"
    report.save_samples(path, rng.uniform(-1, 1, shape), rng.uniform(-1, 1, shape))
    pixels = opened(path)
    assert len(np.unique(pixels)) > 10 and pixels.shape[0] >= 200
  assert opened(tmp_path / "new" / "colour.png").ndim == 3


def test_points_of_no_width_are_seen(tmp_path):
  """Two lines that met, one point, and samples that are not finite beside it."""
  line = np.stack([np.zeros(50), np.linspace(0.0, 1.0, 50)], 1)
  for i, (samples, data) in enumerate([(line + [1e-6, 0.0], line), (line[:1], line[:1]), (line * np.nan, line)]):
    report.save_samples(tmp_path / f"{i}.png", samples, data)
    picture = np.asarray(Image.open(tmp_path / f"{i}.png").convert("RGB")).astype(int)
    below = picture[120:]  # the legend, which has both colours too
    colour = (191, 191, 191) if i == 2 else (31, 119, 180)
    assert (np.abs(below - colour).sum(2) < 10).sum() > 5, i
    dark = np.argwhere(picture.sum(2) < 100)
    assert np.ptp(dark[:, 1]) > 100  # the axes


def test_metrics_survive_a_cut(tmp_path):
  path = tmp_path / "metrics.jsonl"
  rows = [{"step": s, "a/loss": 0.5 * s, "b/loss": 1.0, "a/real": 2.0} for s in (10, 20, 30)]
  report.append_metrics(path, rows[:2])
  report.append_metrics(path, rows[2:])
  assert report.read_metrics(path) == rows and report.read_metrics(path, until=20) == rows[:2]
  path.write_text(path.read_text() + '{"step": 40, "a/lo')
  assert report.read_metrics(path) == rows
  report.write_metrics(path, rows[:1])
  assert [json.loads(line) for line in path.read_text().splitlines()] == rows[:1]
  assert list(tmp_path.iterdir()) == [path]
  assert report.read_metrics(tmp_path / "none.jsonl") == []


def test_only_the_last_line_may_be_cut(tmp_path):
  path = tmp_path / "metrics.jsonl"
  for bad in ('{"step": 20, "a/lo', "[1]", '{"a/loss": 0.5}', '{"step": "ten"}', ""):
    path.write_text(f'{{"step": 10}}\n{bad}\n{{"step": 30}}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 2 is damaged"):
      report.read_metrics(path)
  path.write_text('{"step": 10}\n[1]\n')
  with pytest.raises(ValueError, match="line 2"):
    report.read_metrics(path)
  path.write_bytes(b'{"step": 10}\n{"step": 20, "\xff')
  assert report.read_metrics(path) == [{"step": 10}]


def test_texts_are_replaced_at_once(tmp_path, monkeypatch):
  path = tmp_path / "config.json"
  report.write_text(path, "old")
  before = path.stat()
  report.write_text(path, "old")
  assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
  monkeypatch.setattr(Path, "replace", interrupt)
  with pytest.raises(KeyboardInterrupt):
    report.write_text(path, "new")
  assert path.read_text() == "old"
  monkeypatch.undo()
  report.write_text(path, "new")
  assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def interrupt(*_):
  raise KeyboardInterrupt


@pytest.mark.parametrize("text", ["", "[1]", "{bad", '"\ud800'])
def test_a_damaged_config_is_named(tmp_path, text):
  assert report.read_config(tmp_path) is None
  (tmp_path / "config.json").write_text(text, errors="replace")
  with pytest.raises(ValueError, match=r"config\.json is damaged .*; put it right, or choose another --workdir"):
    report.read_config(tmp_path)


def test_a_picture_has_the_columns_that_it_is_given(tmp_path):
  """Six images of 8x8 with gaps of 2: three in a row are 32 wide and 22 high, before the picture is enlarged."""
  images = np.linspace(-1.0, 1.0, 6)[:, None, None, None] * np.ones((6, 8, 8, 1))
  for columns, (height, width) in ((3, (22, 32)), (6, (12, 62)), (None, (22, 32))):
    path = tmp_path / f"{columns}.png"
    report.save_samples(path, images, np.zeros((1, 8, 8, 1)), columns)
    zoom = round(600 / width)
    pixels = opened(path)
    assert pixels.shape == (zoom * height, zoom * width)
    np.testing.assert_array_equal(pixels[::zoom, ::zoom], report.grid(images, columns)[:, :, 0])


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_plot_has_a_line_of_a_colour_of_its_own_for_each_name(tmp_path, logarithmic):
  """The second line lies far above the first, so that their colours tell where they are."""
  lines = {"low": [(1.0, 0.1), (2.0, 0.1), (16.0, 0.1)], "high": [(1.0, 0.9), (16.0, 0.9)]}
  path = tmp_path / "new" / "plot.png"
  report.save_plot(path, report.Plot(lines, "steps", "error", logarithmic))
  pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
  assert pixels.shape == (400, 600, 3)
  blue, orange = (np.argwhere(np.abs(pixels - colour).sum(2) < 10) for colour in ((31, 119, 180), (255, 127, 14)))
  low, high = (np.median(found[:, 0]) for found in (blue, orange))
  assert low - high > 200 and min(np.ptp(found[:, 1]) for found in (blue, orange)) > 400


def test_an_image_is_saved_pixel_by_pixel(tmp_path):
  values = np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 3.0], np.float32)
  for shape in ((2, 3, 1), (1, 2, 3)):
    report.save_image(tmp_path / "image.png", values.reshape(shape))
    expected = np.array([0, 64, 128, 191, 255, 255]).reshape(shape)
    np.testing.assert_array_equal(opened(tmp_path / "image.png").reshape(shape), expected)


def test_metrics_that_were_not_finite_are_read_as_none(tmp_path):
  losses = {10: 0.5, 20: None, 30: 2.0, 40: None}
  rows = [{"step": step, "a/loss": loss, "b/never": None} for step, loss in losses.items()]
  path = tmp_path / "metrics.jsonl"
  report.append_metrics(path, rows)
  assert report.read_metrics(path) == rows


def test_of_points_in_space_the_first_two_coordinates_are_shown(tmp_path, monkeypatch):
  drawn = []
  monkeypatch.setattr(Axes, "scatter", lambda self, *xy, **rest: drawn.append(np.stack(xy)))
  monkeypatch.setattr(Axes, "legend", lambda self, **rest: drawn.append((self.get_xlabel(), self.get_ylabel())))
  data, samples = np.arange(12.0).reshape(4, 3), np.arange(6.0).reshape(2, 3)
  report.save_samples(tmp_path / "a.png", samples, data)
  np.testing.assert_array_equal(drawn[0], data.T[:2])
  np.testing.assert_array_equal(drawn[1], samples.T[:2])
  assert drawn[2] == ("coordinate 1 of 3", "coordinate 2 of 3")
