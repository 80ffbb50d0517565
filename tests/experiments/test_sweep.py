"""A sweep is its single runs: members against experiments.run, the table, the files, and what cannot be swept."""

import csv
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments import command, members, run, sweep
from gan_jax import report, shard

ROOT = Path(__file__).parent.parent.parent


def tiny(path="ring8.py"):
  config = command.load_config(str(ROOT / "experiments" / path))
  config.data.batch_size = 16
  config.nets.generator.hidden = config.nets.discriminator.hidden = (16,)
  config.train.update({"rounds": 40, "chunk": 20})
  config.log.every, config.eval.every, config.checkpoint.every = 10, 40, 40
  return config


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("sweep") / "s"
  grid = {"optimizer.generator.learning_rate": [1e-3, 1e-2], "train.ema_decay": [0.9, 0.99]}
  return sweep.sweep(tiny(), grid, 2, workdir), workdir


def test_the_product_of_settings_and_seeds(swept):
  rows, _ = swept
  settings = [(r["optimizer.generator.learning_rate"], r["train.ema_decay"], r["seed"]) for r in rows]
  assert settings == [(a, b, s) for a in (1e-3, 1e-2) for b in (0.9, 0.99) for s in (0, 1)]


@pytest.mark.parametrize("index", [0, 3, 6])
def test_each_member_is_the_single_run(swept, index, tmp_path):
  row = swept[0][index]
  config = tiny()
  config.seed = row["seed"]
  config.optimizer.generator.learning_rate = row["optimizer.generator.learning_rate"]
  config.train.ema_decay = row["train.ema_decay"]
  run.run(config, tmp_path / "run", "single")
  last = report.read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]
  for name, value in last.items():
    if name != "step" and not name.endswith(
      ("modes", "high_quality", "mode_kl", "spread")
    ):  # which jump at a threshold
      np.testing.assert_allclose(row[name], value, rtol=2e-3, atol=2e-4, err_msg=name)


def test_all_ways_over_members_agree():
  config = tiny()
  keys = jax.vmap(jax.random.key)(np.arange(9))  # eight, and one more
  dataset = sweep.build(config).dataset
  ways = (members.at_once, members.by_eights, members.in_turn)
  histories = [sweep.play(config, dataset, keys, {}, way, shard.mesh())[1] for way in ways]
  for name in histories[0]:
    for other in histories[1:]:
      np.testing.assert_allclose(other[name], histories[0][name], rtol=1e-3, atol=1e-4)


def test_the_way_follows_the_nets():
  on_cpu = jax.default_backend() == "cpu"
  assert members.over_members(sweep.build(tiny())) is (members.by_eights if on_cpu else members.at_once)
  config = command.load_config(str(ROOT / "experiments/dcgan.py"))
  config.data.batch_size = 2
  assert members.over_members(sweep.build(config)) is (members.in_turn if on_cpu else members.at_once)


def test_files_and_table(swept):
  rows, workdir = swept
  with (workdir / "members.csv").open() as file:
    members = list(csv.DictReader(file))
  assert [float(m["modes"]) for m in members] == [r["modes"] for r in rows]
  with (workdir / "sweep.csv").open() as file:
    summary = [r for r in csv.DictReader(file) if r["metric"] == "generator/loss"]
  first = [r["generator/loss"] for r in rows[:2]]
  assert float(summary[0]["median"]) == pytest.approx(np.median(first))
  assert (float(summary[0]["min"]), float(summary[0]["max"])) == (min(first), max(first))
  assert (workdir / "sweep.png").stat().st_size > 10_000 and (workdir / "config.json").exists()


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("game.gama=1", "names 'game.gama', which is no setting"),
    ("data.batch_size=1,2", "data.batch_size, which cannot differ within one program"),
    ("data.std=0.1,0.2", "data.std, a setting of the data, which all members share"),
    ("train.ema_decay=a,b", "the values 'a,b'; numbers are wanted"),
  ],
)
def test_grids_that_make_no_sense(text, message):
  config = tiny()
  config.data.std = 0.02
  with pytest.raises(ValueError, match=message):
    sweep.parse_grid([text], config)


def test_another_sweep_is_not_overwritten(swept, monkeypatch):
  _, workdir = swept
  before = {path.name: path.read_bytes() for path in workdir.iterdir()}
  monkeypatch.setattr(sweep, "build", lambda *_: pytest.fail("something was computed"))
  with pytest.raises(ValueError, match="holds another sweep.*seeds is 2 there and 3 here"):
    sweep.sweep(tiny(), {"optimizer.generator.learning_rate": [1e-3, 1e-2], "train.ema_decay": [0.9, 0.99]}, 3, workdir)
  assert before == {path.name: path.read_bytes() for path in workdir.iterdir()}
