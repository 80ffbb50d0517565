"""Measures the compiled rounds: `python -m experiments.bench [--only=dcgan32] [--torch] [--out=FILE.json]`.

A case is timed in windows that alternate between the contenders, so that a machine's drift hits all of them: the rounds
inside one scan, one jitted call a round, a sweep of seeds as one program, and large matrix products, whose rate is what
the arithmetic of a round is held against. With --torch the same game plays in PyTorch too: eager, contiguous and
channels_last, and by torch.compile, after a check that one round from the same weights gives the same losses and
parameters. Speeds are in rounds per second, the median over windows with the range; only ratios within one run mean
anything. Where a GPU is, all of that runs there, with --dtype=bfloat16 in bfloat16 on both sides; that has not been
tried yet.
"""

import functools
import importlib.util
import json
from pathlib import Path

import jax
from absl import flags
from ml_collections import ConfigDict

from experiments import base, cyclegan, dcgan, infogan, vanilla, wgan_gp
from experiments.lab import cli, workdir
from experiments.lab.build import DTYPES, Experiment
from experiments.lab.timing import Case, Contender, measure, table
from gan_jax.errors import ConfigError, at_least_one, nearest
from gan_jax.game import TrainState

ONLY = flags.DEFINE_string("only", None, "one case; all if not given")
TORCH = flags.DEFINE_bool("torch", False, "whether PyTorch plays too")
DTYPE = flags.DEFINE_string("dtype", "float32", "of the networks' arithmetic, float32 or bfloat16")
WINDOWS = flags.DEFINE_integer("windows", 5, "timed windows of each contender")
SECONDS = flags.DEFINE_float("seconds", 3.0, "about how long a window is")
OUT = flags.DEFINE_string("out", None, "a JSON file for the figures")


def main() -> None:
  if ONLY.value is not None and ONLY.value not in CASES:
    raise ConfigError(f"--only is {ONLY.value!r}, which is not known.{nearest(ONLY.value, CASES)}")
  cases = CASES if ONLY.value is None else {ONLY.value: CASES[ONLY.value]}
  at_least_one("--windows", WINDOWS.value)
  if DTYPE.value not in DTYPES:
    raise ConfigError(f"--dtype is {DTYPE.value!r}, which is not known.{nearest(DTYPE.value, DTYPES)}")
  if TORCH.value and importlib.util.find_spec("torch") is None:
    raise ConfigError("--torch needs PyTorch, which is not installed: pip install 'gan_jax[bench]'")
  jax.config.update("jax_enable_compilation_cache", False)  # what is compiled is timed
  environment = workdir.environment(*["torch"] * TORCH.value)
  print("{processor}, {cores} cores, {devices[0]}; ".format(**environment), end="")
  print(", ".join(f"{package} {version}" for package, version in environment["packages"].items()))
  results = {}
  for name, case in cases.items():
    results[name] = measure(case, WINDOWS.value, SECONDS.value, DTYPE.value, in_torch if TORCH.value else None)
    print(f"\n{table(name, results[name])}", flush=True)
  if OUT.value:
    settings = {"dtype": DTYPE.value, "windows": WINDOWS.value, "seconds": SECONDS.value}
    Path(OUT.value).write_text(json.dumps({"environment": environment, **settings, "cases": results}, indent=2))


def in_torch(
  experiment: Experiment, config: ConfigDict, state: TrainState, dtype: str, notes: list[str]
) -> dict[str, Contender]:
  """The same game in PyTorch, checked against ours first; what torch.compile refuses is left out and noted."""
  from experiments.pytorch import games  # torch is an extra

  images = len(experiment.dataset.shape) == 3
  games.check(experiment, config, state, kinks=0.05 if images else 0.0)
  config.dtype = dtype
  layouts = {"contiguous": False, "channels_last": True} if images else {"": False}
  sides = {
    f"torch eager {layout}".strip(): games.player(games.Side(experiment, config, last))
    for layout, last in layouts.items()
  }
  mode = "default" if jax.default_backend() == "cpu" else "max-autotune"
  compiled = games.player(games.Side(experiment, config, images, mode))
  try:
    compiled(1)
    sides["torch.compile"] = compiled
  except Exception as error:  # of any of its many layers; eager played the same lines
    notes.append(f"torch.compile is left out: {type(error).__name__}: {str(error).splitlines()[0]}")
  return {name: Contender(play) for name, play in sides.items()}


def ring8(batch: int) -> ConfigDict:
  """Dense networks of 3x128 on eight Gaussians."""
  config = vanilla.get_config("nonsaturating")
  config.game.latent_dim = 16
  config.nets.generator = {"name": "mlp.generator", "hidden": (128, 128, 128)}
  config.nets.discriminator = {"name": "mlp.discriminator", "hidden": (128, 128, 128)}
  config.data.name, config.data.batch_size = "ring8", batch
  return config


def digits(resolution: int, width: int) -> ConfigDict:
  """DCGAN on handwritten digits, batch 64."""
  config = dcgan.get_config()
  config.nets.generator.width = config.nets.discriminator.width = width
  config.data.resolution = resolution
  return config


def penalised() -> ConfigDict:
  """WGAN-GP on eight Gaussians, batch 256, 5 critic moves; at rates above the paper's rounding grows too fast to
  check."""
  config = wgan_gp.get_config()
  for player in config.optimizer:
    config.optimizer[player].learning_rate = 1e-4
  return config


def penalised_digits() -> ConfigDict:
  """WGAN-GP with DCGAN's networks, the critic's without batch norm, batch 64, 5 critic moves. Gulrajani et al. 2017."""
  config = wgan_gp.get_config("dcgan")
  config.data.batch_size = 64
  return config


def coded_digits() -> ConfigDict:
  """InfoGAN with DCGAN's networks of width 32, batch 64, Q the generator's; no augmentation, as on PyTorch's side."""
  config = infogan.get_config()
  config.game.update({"recognition_owner": "generator", "categorical_weight": 1.0})
  config.game.augment = None
  config.game.paired_weight = None
  config.nets.generator.width = config.nets.trunk.width = 32
  config.nets.trunk.features = 256
  return config


def translations(batch: int) -> ConfigDict:
  """CycleGAN at 64x64: residual generators of width 32 with 6 blocks, 3 layers of patches of width 32."""
  config = cyclegan.get_config()
  del config.game["cycle_weight"], config.game["augment_y"]  # schedule and augmentation, which PyTorch's side lacks
  config.game.cycle_weight = 10.0
  for role in ("x_to_y", "y_to_x"):
    config.nets[role] = {"name": "translation.resnet", "width": 32, "blocks": 6}
  for role in ("discriminator_x", "discriminator_y"):
    config.nets[role] = {"name": "translation.patches", "width": 32, "layers": 3}
  for player in ("generators", "discriminators"):
    config.optimizer[player] = base.adam(2e-4)
  config.data = {"name": "experiments.lab.timing:noise", "batch_size": batch}
  return config


CASES = {
  "ring8_64": Case(functools.partial(ring8, 64), chunk=100),
  "ring8_512": Case(functools.partial(ring8, 512), chunk=100),
  "wgan_gp": Case(penalised),
  "dcgan32": Case(functools.partial(digits, 32, 32)),
  "dcgan64": Case(functools.partial(digits, 64, 32), chunk=10),
  "dcgan64_wide": Case(functools.partial(digits, 64, 64), chunk=4),
  "wgan_gp_dcgan32": Case(penalised_digits, chunk=10),
  "infogan32": Case(coded_digits),
  "cyclegan64_1": Case(functools.partial(translations, 1), chunk=4),
  "cyclegan64_4": Case(functools.partial(translations, 4), chunk=2),
  "sweep_ring8": Case(functools.partial(ring8, 64), chunk=100, members=32),
  "sweep_dcgan32": Case(functools.partial(digits, 32, 32), members=4),
}


if __name__ == "__main__":
  cli.start(main)
