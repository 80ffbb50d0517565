"""A run that experiments.run has left, loaded again."""

import json
from pathlib import Path

import jax

from experiments.lab import configs
from experiments.lab.build import Experiment, build
from gan_jax import cache, checkpoint, report, train
from gan_jax.errors import ConfigError
from gan_jax.game import TrainState


def load(workdir: str | Path) -> tuple[Experiment, TrainState]:
  """Returns the experiment that a workdir holds, without evaluators, and its newest state.

  Raises:
    ConfigError: if there is no run, it is damaged, or it has not saved a checkpoint yet.
  """
  workdir = Path(workdir)
  described = report.read_config(workdir)
  if described is None:
    path = workdir / "config.json"
    raise ConfigError(
      f"{workdir} holds no run (there is no {path}); train one with experiments.run --workdir={workdir}"
    )
  config = configs.from_plain(described)
  if config.get("compilation_cache", True):
    cache.keep_programs()
  environment = workdir / "environment.json"
  if environment.exists():  # a game of one's own lies beside its config
    configs.reachable(Path(json.loads(environment.read_text()).get("experiment", "").partition(":")[0]))
  config.eval.evaluators = ()  # some take time to prepare
  with checkpoint.open_folder(workdir / "checkpoints", create=False) as checkpoints:
    step = checkpoints.latest_step()
    if step is None:
      raise ConfigError(f"the run in {workdir} has no checkpoint yet; let it train further with experiments.run")
    stage = next((stage for stage in configs.stages(config) if step <= stage.end), None)
    experiment = build((stage or configs.stages(config)[-1]).config)
    like = jax.eval_shape(lambda key: train.init(experiment.game, key), jax.random.key(0))
    state = checkpoint.restore(checkpoints, like)
  assert state is not None
  return experiment, state
