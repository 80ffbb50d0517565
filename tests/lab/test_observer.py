"""The best of a run is kept, and a run that does not improve ends."""

import json

import numpy as np
import pytest

from experiments.lab import configs, loop, observer, trained
from gan_jax import report
from gan_jax.errors import ConfigError


def rows(*values):
  return [{"step": 10 * (i + 1), "a": value} for i, value in enumerate(values)] + [{"step": 99, "loss": 1.0}]


def settings(**changes):
  return configs.load("dirac:r1", {f"eval.{k}": v for k, v in {"best": "a", **changes}.items()}).eval


def test_the_best_is_the_lowest_or_the_highest_and_the_first_of_equal_ones():
  assert observer.best(rows(3.0, 1.0, 2.0, 1.0), settings()) == (20, 1.0, 2)
  assert observer.best(rows(3.0, 1.0, 3.0), settings(highest=True)) == (10, 3.0, 2)
  assert observer.best(rows(None, 2.0), settings()) == (20, 2.0, 0) and observer.best(rows(None), settings()) is None


def test_a_run_ends_after_so_many_evaluations_without_a_better_one():
  assert observer.ended(rows(1.0, 2.0, 3.0), settings(patience=3)) == ""
  found = observer.ended(rows(1.0, 2.0, 3.0), settings(patience=2))
  assert found == "a has not improved in 2 evaluations since round 10"
  assert observer.ended(rows(1.0, 2.0, 3.0), settings()) == ""


def cycling(**changes):
  """From 1 towards 0 and past it: the radius has its first minimum somewhere on the way."""
  config = configs.load("dirac:nonsaturating", {"eval.best": "raw_radius", "eval.highest": True, **changes})
  config.train.update({"rounds": 60, "chunk": 5})
  config.log.every, config.eval.every, config.checkpoint.every = 5, 10, 30
  config.eval.evaluators = ("numbers",)
  return config


def test_a_run_keeps_its_best_checkpoint_and_ends_early_and_stays_ended(tmp_path, capsys):
  state = loop.run(cycling(**{"eval.patience": 2}), tmp_path, "dirac")
  found = report.read_metrics(tmp_path / "metrics.jsonl")
  best = max((row for row in found if "raw_radius" in row), key=lambda row: row["raw_radius"])
  assert int(state.step) == found[-1]["step"] == best["step"] + 20 < 60
  _, kept = trained.load(tmp_path, "best")
  assert int(kept.step) == best["step"]
  radius = np.hypot(*(np.ravel(leaf)[0] for net in kept.params.values() for leaf in net.values()))
  np.testing.assert_allclose(radius, best["raw_radius"], rtol=1e-5)
  said = json.loads((tmp_path / "evaluation.json").read_text())
  assert said["ended"] == f"raw_radius has not improved in 2 evaluations since round {best['step']}"
  assert said["round"] == found[-1]["step"] and said["rounds"] == 60
  capsys.readouterr()
  again = loop.run(cycling(**{"eval.patience": 2}), tmp_path, "dirac")
  said = capsys.readouterr().out
  assert f"ended after round {int(state.step)}, for raw_radius has not improved" in said and "continuing" not in said
  assert int(again.step) == int(state.step) and len(report.read_metrics(tmp_path / "metrics.jsonl")) == len(found)
  longer = loop.run(cycling(**{"eval.patience": 0}), tmp_path, "dirac")
  assert int(longer.step) == 60


def test_a_measure_that_nothing_finds_is_told_before_anything_is_written(tmp_path):
  for changes, message in (
    ({"eval.best": "raw_radios"}, "'raw_radios', which no evaluator measures. Did you mean 'raw_radius'"),
    ({"eval.best": "", "eval.patience": 2}, "eval.best names no measure to wait for"),
  ):
    with pytest.raises(ConfigError, match=message):
      loop.run(cycling(**changes), tmp_path / "run", "dirac")
    assert not (tmp_path / "run").exists()


def test_a_run_that_keeps_its_best_goes_on_by_the_same_measure(tmp_path):
  loop.run(cycling(**{"eval.patience": 2}), tmp_path, "dirac")
  with pytest.raises(ConfigError, match="keeps the best checkpoint by raw_radius, so eval.highest cannot change"):
    loop.run(cycling(**{"eval.highest": False}), tmp_path, "dirac")


def test_checkpoints_that_are_not_there_are_told(tmp_path):
  loop.run(cycling(**{"eval.best": ""}), tmp_path, "dirac")
  with pytest.raises(ConfigError, match="has kept no best checkpoint"):
    trained.load(tmp_path, "best")
  with pytest.raises(ConfigError, match="has no checkpoint 7; it has 30, 60"):
    trained.load(tmp_path, "7")
  assert int(trained.load(tmp_path, "30")[1].step) == 30
