"""A run that experiments.run has left, loaded again."""

from pathlib import Path

import jax

from experiments.lab import configs
from experiments.lab.build import Experiment, build
from experiments.lab.configs import Config
from experiments.lab.observer import BEST
from experiments.lab.workdir import ENVIRONMENT
from gan_jax import cache, report, train
from gan_jax import checkpoint as opened
from gan_jax.errors import ConfigError
from gan_jax.game import TrainState


def load(workdir: str | Path, checkpoint: str = "newest") -> tuple[Experiment, TrainState]:
  """Returns the experiment that a workdir holds, without evaluators, and a state that it has saved.

  Args:
    workdir: of experiments.run, or the folder `best` of a sweep.
    checkpoint: "newest", "best" by `eval.best`, or a round.

  Raises:
    ConfigError: if there is no run, it is damaged, or it has not saved such a checkpoint.
  """
  config, folder, step = stage_of(workdir, checkpoint)
  config.eval.evaluators = ()  # some take time to prepare
  experiment = build(config)
  with opened.open_folder(folder, create=False) as checkpoints:
    like = jax.eval_shape(lambda key: train.init(experiment.game, key), jax.random.key(0))
    state = opened.restore(checkpoints, like, step)
  assert state is not None
  return experiment, state


def stage_of(workdir: str | Path, checkpoint: str) -> tuple[Config, Path, int]:
  """The config of the stage that a checkpoint belongs to, the folder that holds it, and its round. Raises as `load`."""
  workdir = Path(workdir)
  described = report.read_config(workdir)
  if described is None:
    path = workdir / "config.json"
    raise ConfigError(
      f"{workdir} holds no run (there is no {path}); train one with experiments.run --workdir={workdir}"
    )
  if "seeds" in described:
    raise ConfigError(
      f"{workdir} holds a sweep; the best of its members, where it was asked for, is in {workdir}/{BEST}"
    )
  config = configs.from_plain(described)
  if config.get("compilation_cache", True):
    cache.keep_programs()
  record = report.read_json(workdir / ENVIRONMENT) or {}
  file = Path(str(record.get("experiment", "")).partition(":")[0])
  if file.is_file():  # a game of one's own lies beside its config
    configs.reachable(file)
  folder = workdir / (BEST if checkpoint == BEST else "checkpoints")
  with opened.open_folder(folder, create=False) as checkpoints:
    newest, steps = checkpoints.latest_step(), [str(step) for step in checkpoints.all_steps()]
  if newest is None and checkpoint == BEST:
    raise ConfigError(f"the run in {workdir} has kept no best checkpoint; --config.eval.best=MEASURE has it kept")
  if newest is None:
    raise ConfigError(f"the run in {workdir} has no checkpoint yet; let it train further with experiments.run")
  if checkpoint not in ("newest", BEST, *steps):
    raise ConfigError(
      f"the run in {workdir} has no checkpoint {checkpoint}; it has {', '.join(sorted(steps, key=int))}"
    )
  step = int(checkpoint) if checkpoint in steps else newest
  stages = configs.stages(config)
  return next((stage for stage in stages if step <= stage.end), stages[-1]).config, folder, step
