"""Translates image files with a trained game:

    python -m experiments.translate --workdir=runs/cyclegan --source=x --target=y --out=translated photo.png
    folder/*.jpg

Each file's translation is written under its own name, as PNG, to the folder --out. Images are brought to the resolution
that the run was trained on: cropped to their central square and resampled. --source and --target are two domains of the
run's data: x, y and z of a folder with trainA, trainB and trainC, and otherwise the NAMEs of its folders trainNAME. A
game on pairs translates --source=condition --target=x.
"""

from pathlib import Path

import jax
import numpy as np
from absl import flags

from experiments.lab import cli
from experiments.lab.trained import load
from gan_jax import report, train
from gan_jax.data.dataset import decode
from gan_jax.data.folder import read_image
from gan_jax.errors import ConfigError

WORKDIR = flags.DEFINE_string("workdir", None, "a run that experiments.run has left")
SOURCE = flags.DEFINE_string("source", "x", "the domain of the images")
TARGET = flags.DEFINE_string("target", "y", "the domain to translate them to")
CHECKPOINT = flags.DEFINE_string("checkpoint", "newest", "newest, best (where the run has eval.best), or a round")
OUT = flags.DEFINE_string("out", "translated", "the folder to write to")
OVERWRITE = flags.DEFINE_boolean("overwrite", False, "replace files that this command has not written")


def main(*inputs: str) -> None:
  if WORKDIR.value is None:
    raise ConfigError("which run? For example --workdir=runs/cyclegan")
  if not inputs:
    raise ConfigError("which images? Give their files behind the flags")
  paths, out = [Path(given) for given in inputs], Path(OUT.value)
  targets = _targets(paths, out)
  experiment, state = load(WORKDIR.value, CHECKPOINT.value)
  game, dataset = experiment.game, experiment.dataset
  if game.translate is None:
    raise ConfigError(f"the game of the run in {WORKDIR.value} does not translate")
  if (SOURCE.value, TARGET.value) not in game.directions:
    known = ", ".join(f"{source} to {target}" for source, target in game.directions)
    raise ConfigError(f"--source={SOURCE.value} --target={TARGET.value}: this game translates {known}")
  resolution, _, channels = dataset.condition or dataset.shape
  images = [read_image(path, channels, resolution) for path in paths]
  nets = train.averaged(state)

  @jax.jit
  def translate(image):
    x = decode({"x": image[None]})["x"]
    return game.translate(*nets, jax.random.key(0), x, SOURCE.value, TARGET.value)[0]

  for target in targets:
    cli.check_out(target, OVERWRITE.value)
  for image, target in zip(images, targets, strict=True):
    report.save_image(target, np.asarray(translate(image)))
  print(f"{len(targets)} translations {SOURCE.value} to {TARGET.value}, by the run's round {int(state.step):,}: {out}")


def _targets(paths: list[Path], out: Path) -> list[Path]:
  """Where each translation goes; refuses what cannot be read, is there twice, or would be overwritten."""
  targets: dict[Path, Path] = {}
  for path in paths:
    target = out / f"{path.stem}.png"
    if path.is_dir():
      raise ConfigError(f"{path} is a folder; give its images, as in {path}/*.jpg")
    if not path.is_file():
      raise ConfigError(f"there is no file {path}")
    if target in targets:
      raise ConfigError(
        f"{targets[target]} and {path} would both become {target}; translate them into different folders"
      )
    if target.resolve() == path.resolve():
      raise ConfigError(f"{target} would overwrite the image that it is made of; choose another --out")
    targets[target] = path
  return list(targets)


if __name__ == "__main__":
  cli.start(main, takes_arguments=True)
