"""Translates images by a trained CycleGAN:

    python -m experiments.translate --workdir=runs/cyclegan --direction=XtoY --out=translated photo.png folder/*.jpg

Each file's translation is written under its own name, as PNG, to the folder that --out says. Images are brought to the
resolution that the run was trained on: cropped to their central square and resampled.
"""

from pathlib import Path

import jax
import numpy as np
from absl import flags

from experiments import command
from experiments.trained import load
from gan_jax import report, train
from gan_jax.data.dataset import decode
from gan_jax.data.folder import read_image

WORKDIR = flags.DEFINE_string("workdir", None, "a run that experiments.run has left")
DIRECTION = flags.DEFINE_enum("direction", "XtoY", ["XtoY", "YtoX"], "from which domain to which")
OUT = flags.DEFINE_string("out", "translated", "the folder to write to")


def main(*inputs: str) -> None:
  if WORKDIR.value is None:
    raise ValueError("which run? For example --workdir=runs/cyclegan")
  if not inputs:
    raise ValueError("which images? Give their files behind the flags")
  experiment, state = load(Path(WORKDIR.value))
  if not {"x", "y"} <= set(experiment.dataset.test):
    raise ValueError(f"the run in {WORKDIR.value} is of {experiment.dataset.name}, one domain: it does not translate")
  resolution, _, channels = experiment.dataset.shape
  paths = [Path(given) for given in inputs]
  out = Path(OUT.value)
  targets = _targets(paths, out)
  images = [read_image(path, channels, resolution) for path in paths]
  params, stats = train.averaged(state)
  domain = DIRECTION.value[0].lower()

  @jax.jit
  def translate(image):
    return experiment.game.sample(params, stats, jax.random.key(0), 1, **{domain: decode({"x": image[None]})["x"]})[0]

  out.mkdir(parents=True, exist_ok=True)
  for image, target in zip(images, targets, strict=True):
    report.save_image(target, np.asarray(translate(image)))
  print(f"{len(targets)} translations {DIRECTION.value}, by the run's round {int(state.step):,}: {out}")


def _targets(paths: list[Path], out: Path) -> list[Path]:
  """Where each translation goes; refuses what cannot be read, is there twice, or would be overwritten."""
  targets: dict[Path, Path] = {}
  for path in paths:
    target = out / f"{path.stem}.png"
    if not path.is_file():
      raise ValueError(f"there is no file {path}")
    if target in targets:
      raise ValueError(
        f"{targets[target]} and {path} would both become {target}; translate them into different folders"
      )
    if target.resolve() == path.resolve():
      raise ValueError(f"{target} would overwrite the image that it is made of; choose another --out")
    targets[target] = path
  return list(targets)


if __name__ == "__main__":
  command.start(main, takes_arguments=True)
