"""What a run has left, brought back to life."""

from pathlib import Path

import jax
from ml_collections import ConfigDict

from experiments.build import Experiment, build
from gan_jax import cache, checkpoint, report, train
from gan_jax.game import TrainState


def load(workdir: Path) -> tuple[Experiment, TrainState]:
  """Returns the experiment that a workdir holds, without metrics and pictures, and its newest state.

  Raises:
    ValueError: if there is no run, it is damaged, or it has not saved a checkpoint yet.
  """
  config = report.read_config(workdir)
  if config is None:
    path = workdir / "config.json"
    raise ValueError(f"{workdir} holds no run (there is no {path}); train one with experiments.run --workdir={workdir}")
  config = ConfigDict(config)
  if config.get("compilation_cache", True):
    cache.keep_programs()
  config.eval.update({"metrics": (), "pictures": ()})  # nobody asks for them here, and some take time to prepare
  experiment = build(config)
  like = jax.eval_shape(lambda key: train.init(experiment.game, key), jax.random.key(0))
  with checkpoint.open_folder(workdir / "checkpoints", create=False) as checkpoints:
    state = checkpoint.restore(checkpoints, like)
  if state is None:
    raise ValueError(f"the run in {workdir} has no checkpoint yet; let it train further with experiments.run")
  return experiment, state
