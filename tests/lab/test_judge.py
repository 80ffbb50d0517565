"""experiments.evaluate: a run as it evaluates itself, and two folders of pictures."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jax.tree_util import Partial

from experiments.lab import configs, judge, loop
from gan_jax import report
from gan_jax.errors import ConfigError
from gan_jax.metrics.features import Extractor

ROOT = Path(__file__).parent.parent.parent
NONE = {"n": 0, "extractor": "", "weights": "", "tensorflow": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """A run of digits, judged by its own discriminator, and its last metrics."""
  config = configs.load("vanilla", {"data.name": "digits", "eval.images.extractor": "discriminator"})
  config.nets.generator.hidden = config.nets.discriminator.hidden = (16,)
  config.train.update({"rounds": 20, "chunk": 10})
  config.log.every, config.eval.every, config.checkpoint.every, config.eval.images.n = 10, 10, 10, 100
  workdir = tmp_path_factory.mktemp("runs") / "digits"
  loop.run(config, workdir, "vanilla")
  return workdir, report.read_metrics(workdir / "metrics.jsonl")


def test_a_run_is_judged_as_it_judged_itself(run):
  workdir, rows = run
  for checkpoint, row in (("newest", rows[1]), ("10", rows[0])):
    found = judge.of_run(workdir, checkpoint, False, NONE | {"n": 100})
    assert found["round"] == row["step"] and found["weights"] == "averaged"
    for name, value in found["measures"].items():
      assert (value is None and row[name] is None) or value == pytest.approx(row[name], rel=1e-4), name
  said = json.loads((workdir / "evaluation.json").read_text())
  assert said["measures"]["frechet"] == rows[1]["frechet"] and said["protocol"]["images"]["samples"] == 100
  raw = judge.of_run(workdir, "newest", True, NONE | {"n": 100})
  assert raw["weights"] == "raw" and abs(raw["measures"]["frechet"] - rows[1]["frechet"]) > 1e-3 * rows[1]["frechet"]
  assert judge.of_run(workdir, "newest", False, NONE)["protocol"]["images"]["samples"] == 364  # all that are held out


def test_the_table_has_each_measure_with_what_real_data_gets(run):
  found = judge.of_run(run[0], "newest", False, NONE | {"n": 100})
  lines = judge.table(found).splitlines()
  measures = found["measures"]
  (line,) = (line for line in lines if line.startswith("Fréchet distance "))
  assert f"{measures['frechet']:.4g}" in line and f"{measures['frechet_floor']:.4g}" in line
  assert not any("floor" in line.split("  ")[0] for line in lines) and "samples: 100" in lines


def pictures(folder, images):
  folder.mkdir(parents=True)
  for i, image in enumerate(images):
    report.save_image(folder / f"{i:03d}.png", image)
  return str(folder)


def test_folders_are_compared_grey_or_in_colour(tmp_path, monkeypatch):
  look = Extractor("its corners", Partial(lambda x: x[:, :2, :2].mean(3).reshape(len(x), -1)))
  monkeypatch.setattr(judge.images.features, "efficientnet", lambda: look)
  monkeypatch.setattr(judge.features, "default", lambda labels, discriminator: ("efficientnet", ""))
  random = np.random.RandomState(0)
  grey, colour = random.uniform(-1, 1, (30, 5, 5, 1)), random.uniform(-1, 1, (30, 5, 5, 3))
  same = [pictures(tmp_path / name, grey) for name in ("a", "b")]
  found = judge.of_folders(*same, None, None, NONE)
  assert found["measures"]["frechet"] == pytest.approx(0.0, abs=1e-6) and found["measures"]["precision"] == 1.0
  other = judge.of_folders(same[0], pictures(tmp_path / "c", colour), same[1], None, NONE | {"n": 20})
  assert other["measures"]["frechet"] > 0.1 and other["measures"]["memorisation"] == 0.0
  assert other["protocol"]["images"]["samples"] == 20
  small = pictures(tmp_path / "small", grey[:, :4, :4])
  with pytest.raises(ConfigError, match="--resolution=SIDE brings them to one size"):
    judge.of_folders(same[0], small, None, None, NONE)
  assert judge.of_folders(same[0], small, None, 4, NONE)["measures"]["frechet"] >= 0.0


@pytest.mark.parametrize(
  ("made", "reference", "message"),
  [(None, None, "which run?"), ("there", None, "--images=DIR --reference=DIR"), ("there", "there", "holds no images")],
)
def test_folders_that_are_missing_are_told(made, reference, message, tmp_path):
  place = lambda given: given and str(tmp_path)
  with pytest.raises(ConfigError, match=message):
    judge.of_folders(place(made), place(reference), None, None, NONE)


def test_the_command_prints_a_table_and_writes_the_protocol(run, tmp_path):
  out = tmp_path / "found.json"
  command = [sys.executable, "-m", "experiments.evaluate", f"--workdir={run[0]}", "--n=50", f"--out={out}"]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
  assert done.returncode == 0, done.stderr
  assert "Fréchet distance" in done.stdout and f"with the protocol: {out}" in done.stdout
  assert json.loads(out.read_text())["protocol"]["images"]["samples"] == 50


def test_an_extractor_that_is_not_there_is_told(run):
  with pytest.raises(ConfigError, match="eval.images: extractor is 'efficient'.*Did you mean 'efficientnet'"):
    judge.of_run(run[0], "newest", False, NONE | {"extractor": "efficient"})
