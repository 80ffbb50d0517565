"""Runs of several stages: what is carried over, and that a run that is killed in the second resumes bit for bit."""

import jax
import numpy as np
import pytest
import tiny

from experiments.lab import configs, loop
from experiments.lab.trained import load
from gan_jax import report
from gan_jax.errors import ConfigError

pytestmark = pytest.mark.xdist_group("staged")  # which share what a fixture has trained
STAGES = (
  {"rounds": 20, "nets.generator.hidden": (8,), "data.resolution": 4},
  {"rounds": 30, "nets.generator.hidden": (8,), "optimizer.generator.learning_rate": 1e-3, "keep_optimizers": False},
  {"nets.generator.hidden": (8, 8)},
)


def staged(rounds=70, stages=STAGES):
  config = configs.load("fgan_kl", {"data.name": "digits", "train.stages": stages})
  config.data.batch_size = 8
  config.nets.discriminator.hidden = (16,)
  config.train.update({"rounds": rounds, "chunk": 10})
  config.log.every, config.eval.every, config.checkpoint.every, config.eval.samples.n = 5, 20, 20, 4
  config.eval.evaluators = ("samples",)
  return config


def leaves(state):
  return [np.asarray(leaf) for leaf in jax.tree.leaves(state.replace(key=0))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("stages") / "whole"
  return workdir, loop.run(staged(), workdir, "whole")


def test_a_run_of_stages_plays_all_of_them(whole):
  workdir, state = whole
  rows = report.read_metrics(workdir / "metrics.jsonl")
  assert [row["step"] for row in rows] == list(range(5, 71, 5)) and int(state.step) == 70
  assert [state.params["generator"][f"Dense_{i}"]["kernel"].shape for i in range(3)] == [(64, 8), (8, 8), (8, 64)]
  assert sorted(p.name for p in (workdir / "samples").iterdir()) == [f"00000{n}.png" for n in (20, 40, 50, 60, 70)] + [
    "real.png"
  ]


class Killed(BaseException):
  pass


@pytest.mark.parametrize("kill_at", [35, 20])
def test_a_run_killed_in_a_stage_resumes_bit_for_bit(whole, kill_at, tmp_path, monkeypatch):
  """As by a signal that nothing can catch: between the checkpoints of rounds 20, 40, 50 and 60, and right after one."""
  rows = loop._rows

  def rows_until(metrics, step, every):
    if step >= kill_at // 10 * 10:
      raise Killed
    return rows(metrics, step, every)

  monkeypatch.setattr(loop, "_rows", rows_until)
  with pytest.raises(Killed):
    loop.run(staged(), tmp_path, "whole")
  monkeypatch.undo()
  resumed = loop.run(staged(), tmp_path, "whole")
  for a, b in zip(leaves(resumed), leaves(whole[1]), strict=True):
    np.testing.assert_array_equal(a, b)
  rows, others = (tiny.timeless(report.read_metrics(folder / "metrics.jsonl")) for folder in (tmp_path, whole[0]))
  assert rows == others


def test_a_checkpoint_knows_its_stage_by_its_round(whole, tmp_path):
  experiment, state = load(whole[0])
  samples = experiment.game.sample(state.params, state.stats, jax.random.key(0), 2)
  assert samples.shape == (2, 8, 8, 1) and int(state.step) == 70
  with pytest.raises(KeyboardInterrupt, match="interrupted after round 20"):
    interrupted(staged(), tmp_path)
  experiment, state = load(tmp_path)
  assert int(state.step) == 20 and experiment.dataset.shape == (4, 4, 1)


def interrupted(config, workdir):
  """A run that is asked to stop after its twentieth round."""
  chunks = loop._chunks

  def one_stage(stage_run, step):
    for count, batches in chunks(stage_run, step):
      if step + count > 20:
        raise KeyboardInterrupt(f"interrupted after round {step}")
      step += count
      yield count, batches

  loop._chunks = one_stage
  try:
    loop.run(config, workdir, "whole")
  finally:
    loop._chunks = chunks


@pytest.mark.parametrize(
  ("stages", "message"),
  [
    (
      ({"rounds": 20, "checkpoint.every": 0}, {}),
      r"train.stages\[0\] changes checkpoint.every, which is the whole run's",
    ),
    (({"rounds": 20}, {"eval.every": 7}), r"train.stages\[1\] changes eval.every"),
    (({"rounds": 20, "mesh.data": 3}, {}), "changes mesh.data"),
    (5, "train.stages is 5; it is a tuple"),
    ((20, 50), "train.stages is"),
  ],
)
def test_a_stage_changes_what_is_played_and_not_the_run(stages, message):
  config = staged()
  with config.ignore_type():
    config.train.stages = stages
  with pytest.raises(ConfigError, match=message):
    configs.stages(config)


def test_a_mistake_in_a_later_stage_comes_up_before_anything_is_written(tmp_path):
  with pytest.raises(ConfigError, match="nets.generator has no setting 'hiden'. Did you mean 'hidden'"):
    loop.run(staged(stages=({"rounds": 20}, {"nets.generator.hiden": (3,)})), tmp_path / "run", "run")
  with pytest.raises(ConfigError, match="nets.generator: hidden is 0"):
    loop.run(staged(stages=({"rounds": 20}, {"nets.generator.hidden": (0,)})), tmp_path / "run", "run")
  assert not (tmp_path / "run").exists()
