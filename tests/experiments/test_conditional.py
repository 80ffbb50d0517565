"""What a trained conditional game is asked for on the command line: a class, or a condition's image."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from experiments.lab import configs, loop
from experiments.lab.trained import load
from gan_jax import report, train

pytestmark = pytest.mark.xdist_group("trained")  # which share what a fixture has trained
ROOT = Path(__file__).parent.parent.parent


def trained(name, folder, changes):
  """A run of two rounds with small nets."""
  config = configs.load(name, {"data.batch_size": 2} | changes)
  if name == "cgan":
    config.nets.generator = {"name": "mlp.generator", "hidden": (16,)}
  for net in config.nets.values():
    net.update({name: small for name, small in (("width", 4), ("layers", 1)) if name in net})
  config.train.update({"rounds": 2, "chunk": 2})
  config.log.every = config.eval.every = config.checkpoint.every = 2
  config.eval.evaluators = ("translation",) if name.startswith("pix2pix") else ()
  loop.run(config, folder, "run")
  return folder


def call(module, *arguments):
  command = [sys.executable, "-m", f"experiments.{module}", *map(str, arguments)]
  return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
  """By a dense net: a new convolutional one shows nearly the same of every class."""
  changes = {"data.name": "digits", "data.resolution": 8}
  return trained("cgan", tmp_path_factory.mktemp("digits") / "run", changes)


def test_samples_of_a_class(digits, tmp_path):
  out = tmp_path / "sevens.png"
  done = call("sample", f"--workdir={digits}", "--label=7", "--n=4", f"--out={out}")
  assert done.returncode == 0, done.stderr
  experiment, state = load(digits)
  key = train.evaluation_key(jax.random.key(0))
  expected = experiment.game.sample(*train.averaged(state), key, 4, labels=np.full(4, 7))
  report.save_samples(tmp_path / "expected.png", np.asarray(expected), experiment.dataset.test["x"])
  pictures = [np.asarray(Image.open(path), int) for path in (out, tmp_path / "expected.png")]
  np.testing.assert_allclose(*pictures, atol=1)
  other = experiment.game.sample(*train.averaged(state), key, 4, labels=np.full(4, 6))
  assert np.abs(expected - other).max() > 0.02


def test_a_class_that_is_not_there_is_told(digits):
  done = call("sample", f"--workdir={digits}", "--label=10")
  assert done.returncode == 1 and "--label is 10; it has to be from 0 to 9" in done.stderr, done.stderr


def test_a_condition_is_translated(tmp_path):
  random = np.random.default_rng(0)
  for i in range(4):
    path = tmp_path / "data" / ("train" if i < 3 else "val") / f"{i}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(random.integers(0, 256, (8, 16, 3), np.uint8)).save(path)
  place = f"folder:{tmp_path / 'data'}"
  run = trained("pix2pix:folder", tmp_path / "run", {"data.name": place, "data.resolution": 8, "data.resize": 9})
  assert [p.name for p in (run / "samples").glob("0*.png")] == ["0000002_condition_to_x.png"]
  source = tmp_path / "drawing.png"
  Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(source)
  done = call("translate", f"--workdir={run}", f"--out={tmp_path}/out", "--source=condition", "--target=x", source)
  assert done.returncode == 0, done.stderr
  experiment, state = load(run)
  x = (np.asarray(Image.open(source), np.float32)[None] - 127.5) / 127.5
  expected = experiment.game.translate(*train.averaged(state), jax.random.key(0), x, "condition", "x")[0]
  given = (np.asarray(Image.open(tmp_path / "out" / "drawing.png"), np.float32) - 127.5) / 127.5
  np.testing.assert_allclose(given, expected, atol=0.51 / 127.5 + 1e-6)
  done = call("translate", f"--workdir={run}", f"--out={tmp_path}/out", "--source=x", "--target=condition", source)
  assert done.returncode == 1 and "Traceback" not in done.stderr
  assert "this game translates condition to x" in done.stderr
