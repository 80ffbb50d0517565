"""What a run leaves behind: grids pixel by pixel, metrics that survive an interruption."""

import json

import numpy as np
from gan_jax import report
from PIL import Image


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


def test_page_shows_pictures_metrics_and_config(tmp_path):
  rng = np.random.default_rng(0)
  for step in (100, 200):
    report.save_samples(tmp_path / "samples" / f"{step:07d}.png", rng.uniform(-1, 1, (4, 8, 8, 1)), np.zeros((1, 8, 8, 1)))
  rows = [{"step": s, "a/loss": 0.25, "a/real": 1.0} for s in (100, 200)]
  report.append_metrics(tmp_path / "metrics.jsonl", rows)
  report.save_plot(tmp_path / "metrics.png", rows)
  (tmp_path / "config.json").write_text('{"note": "<b>"}')
  report.save_page(tmp_path, "a title")
  page = (tmp_path / "report.html").read_text()
  for text in ("a title", "samples/0000100.png", "samples/0000200.png", "round 200", "a/loss", "0.25", "&lt;b&gt;"):
    assert text in page
  assert opened(tmp_path / "metrics.png").shape[0] > 300
