"""Draws from a trained run: `python -m experiments.sample --workdir=runs/fgan_kl --n=64 --out=grid.png [--seed=0]`."""

from pathlib import Path

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from experiments import command
from experiments.build import Experiment, at_least_one, build
from gan_jax import checkpoint, report, train
from gan_jax.game import TrainState

WORKDIR = flags.DEFINE_string("workdir", None, "a run that experiments.run has left")
N = flags.DEFINE_integer("n", 64, "how many samples")
OUT = flags.DEFINE_string("out", "samples.png", "the picture to write")
SEED = flags.DEFINE_integer("seed", 0, "of the latents")


def main() -> None:
  if WORKDIR.value is None:
    raise ValueError("which run? For example --workdir=runs/fgan_kl")
  at_least_one("n", N.value)
  out = Path(OUT.value)
  if out.suffix != ".png":
    raise ValueError(f"--out is {out}; a picture is written as PNG, so its name has to end in .png")
  experiment, state = load(Path(WORKDIR.value))
  samples = experiment.game.sample(*train.averaged(state), jax.random.key(SEED.value), N.value)
  report.save_samples(out, np.asarray(samples), experiment.dataset.test["x"])
  print(f"{N.value} samples of round {int(state.step):,}: {out}")


def load(workdir: Path) -> tuple[Experiment, TrainState]:
  """Returns the experiment that a workdir holds, and its newest state.

  Raises:
    ValueError: if there is no run, it is damaged, or it has not saved a checkpoint yet.
  """
  config = report.read_config(workdir)
  if config is None:
    path = workdir / "config.json"
    raise ValueError(f"{workdir} holds no run (there is no {path}); train one with experiments.run --workdir={workdir}")
  experiment = build(ConfigDict(config))
  like = jax.eval_shape(lambda key: train.init(experiment.game, key), jax.random.key(0))
  with checkpoint.open_folder(workdir / "checkpoints", create=False) as checkpoints:
    state = checkpoint.restore(checkpoints, like)
  if state is None:
    raise ValueError(f"the run in {workdir} has no checkpoint yet; let it train further with experiments.run")
  return experiment, state


if __name__ == "__main__":
  command.start(main)
