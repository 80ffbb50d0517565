"""Draws from a trained run: `python -m experiments.sample --workdir=runs/fgan_kl --n=64 --out=grid.png [--seed=0]`.

Of a game that makes images of classes, --label=3 asks for one of them.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments.lab import cli
from experiments.lab.build import check_seed
from experiments.lab.memory import check_fits
from experiments.lab.trained import load
from gan_jax import commands, report, train
from gan_jax.errors import ConfigError, at_least_one

WORKDIR = flags.DEFINE_string("workdir", None, "a run that experiments.run has left")
CHECKPOINT = flags.DEFINE_string("checkpoint", "newest", "newest, best (where the run has eval.best), or a round")
N = flags.DEFINE_integer("n", 64, "how many samples")
OUT = flags.DEFINE_string("out", "samples.png", "the picture to write")
OVERWRITE = flags.DEFINE_boolean("overwrite", False, "replace a file that this command has not written")
SEED = flags.DEFINE_integer("seed", 0, "of the latents; the run's own seed gives those of its pictures")
LABEL = flags.DEFINE_integer("label", None, "the class of all samples, from 0; drawn, where it is not given")


def main() -> None:
  if WORKDIR.value is None:
    raise ConfigError("which run? For example --workdir=runs/fgan_kl")
  at_least_one("--n", N.value)
  check_seed("--seed", SEED.value)
  out = Path(OUT.value)
  if out.suffix != ".png":
    raise ConfigError(f"--out is {out}; a picture is written as PNG, so its name has to end in .png")
  experiment, state = load(WORKDIR.value, CHECKPOINT.value)
  if experiment.game.sample is None:
    other = f": it translates, {commands.shown('translate')}" if experiment.game.translate else ""
    raise ConfigError(f"the game of the run in {WORKDIR.value} does not sample{other}")
  key = train.evaluation_key(jax.random.key(SEED.value))
  cli.check_out(out, OVERWRITE.value)
  draw = functools.partial(experiment.game.sample, *train.averaged(state), key, N.value)
  check_fits(f"--n={N.value}", jax.eval_shape(draw))
  samples = draw(**_asked(experiment.game.labels))
  report.save_samples(out, np.asarray(samples), experiment.dataset.held_out)
  print(f"{N.value} samples of round {int(state.step):,}: {out}")


def _asked(classes: int) -> dict[str, jax.Array]:
  """What the game is asked for, of so many classes."""
  if LABEL.value is None:
    return {}
  if not classes:
    raise ConfigError(
      f"--label is {LABEL.value}, but the game of the run in {WORKDIR.value} cannot be asked for a class"
    )
  if not 0 <= LABEL.value < classes:
    raise ConfigError(f"--label is {LABEL.value}; it has to be from 0 to {classes - 1}")
  return {"labels": jnp.full(N.value, LABEL.value)}


if __name__ == "__main__":
  cli.start(main)
