"""`experiments.translate` and the mistakes around it, on a CycleGAN of a few rounds."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from experiments.lab import configs, loop
from experiments.lab.trained import load
from gan_jax import train
from gan_jax.errors import ConfigError

pytestmark = pytest.mark.xdist_group("trained")  # which share what a fixture has trained
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  """A run on two folders of six coloured 8x8 images."""
  root = tmp_path_factory.mktemp("translate")
  random = np.random.default_rng(0)
  for part in ("trainA", "trainB", "testA", "testB"):
    (root / "data" / part).mkdir(parents=True)
    for i in range(6):
      Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(root / "data" / part / f"{i}.png")
  config = configs.load("cyclegan:folder", {"data.name": f"folder:{root / 'data'}", "data.resolution": 8})
  config.data.update({"resize": 9, "batch_size": 2})
  for net in config.nets.values():
    net.update({"width": 4} | ({"blocks": 1} if "blocks" in net else {"layers": 1}))
  config.train.update({"rounds": 4, "chunk": 4})
  config.log.every = config.eval.every = config.checkpoint.every = 4
  loop.run(config, root / "run", "run")
  return root


def translate(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "experiments.translate", *map(str, arguments)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=300,
  )


def test_files_are_translated_as_the_averaged_generators_do(trained, tmp_path):
  source = trained / "data" / "testB" / "3.png"
  done = translate(f"--workdir={trained / 'run'}", "--source=y", "--target=x", f"--out={tmp_path / 'out'}", source)
  assert done.returncode == 0, done.stderr
  assert "1 translations y to x, by the run's round 4" in done.stdout
  experiment, state = load(trained / "run")
  x = (np.asarray(Image.open(source), np.float32)[None] - 127.5) / 127.5
  expected = experiment.game.translate(*train.averaged(state), jax.random.key(0), x, "y", "x")[0]
  given = (np.asarray(Image.open(tmp_path / "out" / "3.png"), np.float32) - 127.5) / 127.5
  np.testing.assert_allclose(given, expected, atol=0.51 / 127.5 + 1e-6)
  other = experiment.game.translate(*train.averaged(state), jax.random.key(0), x, "x", "y")[0]
  assert np.abs(given - other).max() > 0.02  # the other generator would have given something else


def test_pictures_of_both_directions_are_left(trained):
  shown = sorted(p.name for p in (trained / "run" / "samples").glob("0*.png"))
  assert shown == ["0000004_x_to_y.png", "0000004_y_to_x.png"]
  page = (trained / "run" / "report.html").read_text()
  assert all(f'alt="{kind} after round 4"' in page for kind in ("X to y", "Y to x"))


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--workdir={run}"], "which images"),
    (["--workdir={run}", "nothing.png"], "there is no file nothing.png"),
    (["--workdir={run}", "{image}", "{twin}"], "would both become"),
    (["--workdir={run}", "{text}"], "cannot be read as an image"),
    (["--workdir={run}", "--out={folder}", "{image}"], "would overwrite"),
    (["{image}"], "which run"),
    (["--workdir={run}", "--source=x", "--target=z", "{image}"], "two of x, y"),
    (["--workdir={run}", "--target=x", "{image}"], "two of x, y"),
  ],
)
def test_mistakes_are_told(trained, tmp_path, arguments, message):
  text = tmp_path / "text.png"
  text.write_text("no image")
  image = trained / "data" / "testA" / "1.png"
  names = {
    "run": trained / "run",
    "image": image,
    "twin": trained / "data" / "testB" / "1.png",
    "text": text,
    "folder": image.parent,
  }
  before = image.read_bytes()
  done = translate(f"--out={tmp_path / 'out'}", *(argument.format(**names) for argument in arguments))
  assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr, done.stderr
  assert image.read_bytes() == before and not (tmp_path / "out").exists()


def test_sample_points_to_translate(trained):
  done = subprocess.run(
    [sys.executable, "-m", "experiments.sample", f"--workdir={trained / 'run'}"],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 1 and "experiments.translate" in done.stderr


def test_one_domain_is_refused():
  config = configs.load("cyclegan", {"data.name": "digits", "data.resolution": 8})
  with pytest.raises(ConfigError, match="translates between two domains, x and y, and the data has x"):
    loop.run(config, Path("never"), "never")
