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
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from experiments import base, command, cyclegan, dcgan, infogan, vanilla, wgan_gp
from experiments.build import DTYPES, Experiment, at_least_one, build, pick
from experiments.members import over_members
from gan_jax import train
from gan_jax.data.dataset import Dataset, from_domains
from gan_jax.game import TrainState

ONLY = flags.DEFINE_string("only", None, "one case; all if not given")
TORCH = flags.DEFINE_bool("torch", False, "whether PyTorch plays too")
DTYPE = flags.DEFINE_string("dtype", "float32", "of the networks' arithmetic, float32 or bfloat16")
WINDOWS = flags.DEFINE_integer("windows", 5, "timed windows of each contender")
SECONDS = flags.DEFINE_float("seconds", 3.0, "about how long a window is")
OUT = flags.DEFINE_string("out", None, "a JSON file for the figures")
SIDES = (1024, 2048)  # of the square matrices whose product is timed


class Case(NamedTuple):
  """What is measured.

  Attributes:
    config: makes the config.
    chunk: rounds in one scan.
    members: seeds of a sweep that plays beside the single run; 0 for none.
    dataset: makes the data where it is not what the config says.
  """

  config: Callable[[], ConfigDict]
  chunk: int = 20
  members: int = 0
  dataset: Callable[[], Dataset] | None = None


class Contender(NamedTuple):
  """Someone who is timed.

  Attributes:
    play: `play(rounds)` returns when they are done.
    step: divides the rounds that can be asked for.
  """

  play: Callable[[int], None]
  step: int = 1


def main() -> None:
  cases = CASES if ONLY.value is None else {ONLY.value: pick(CASES, ONLY.value, "--only")}
  at_least_one("--windows", WINDOWS.value)
  pick(DTYPES, DTYPE.value, "--dtype")
  if TORCH.value and importlib.util.find_spec("torch") is None:
    raise ValueError("--torch needs PyTorch, which is not installed: pip install -e '.[bench]'")
  jax.config.update("jax_enable_compilation_cache", False)  # what is compiled is timed
  environment = command.environment(*["torch"] * TORCH.value)
  print("{processor}, {cores} cores, {devices[0]}; ".format(**environment), end="")
  print(", ".join(f"{package} {version}" for package, version in environment["packages"].items()))
  results = {}
  for name, case in cases.items():
    results[name] = measure(case, WINDOWS.value, SECONDS.value, DTYPE.value, TORCH.value)
    print(f"\n{table(name, results[name])}", flush=True)
  if OUT.value:
    settings = {"dtype": DTYPE.value, "windows": WINDOWS.value, "seconds": SECONDS.value}
    Path(OUT.value).write_text(json.dumps({"environment": environment, **settings, "cases": results}, indent=2))


def measure(case: Case, windows: int, seconds: float, dtype: str = "float32", torch: bool = False) -> dict[str, Any]:
  """Everything about a case, as the JSON file has it.

  Rates are in floating-point operations per second; "images" are the examples that one round draws, of both domains
  where there are two. The contenders' figures are medians over windows, beside every window's rounds per second.
  """
  config = unwatched(case.config())
  experiment = build(config, case.dataset and case.dataset())
  notes = []
  state = start(experiment, jax.random.key(0))
  theirs = in_torch(experiment, config, state, dtype, notes) if torch else {}
  config.dtype = dtype
  experiment = build(config, experiment.dataset)
  ours, compile_seconds, peak = scanned(experiment, state, case.chunk)
  contenders = {"scan": ours, "one call a round": called(experiment, state)}
  if case.members:
    contenders[f"sweep of {case.members}, all"] = swept(experiment, case.chunk, case.members)
  products = {f"product {side}": product(side, DTYPES[dtype]) for side in SIDES}
  speeds = alternate(contenders | theirs | products, windows, seconds)
  rate = max(2 * side**3 * statistics.median(speeds.pop(name)) for side, name in zip(SIDES, products, strict=True))
  work = flops(experiment)
  images = experiment.game.draws * config.data.batch_size * sum(domain in experiment.dataset.test for domain in "xy")
  return {
    "flops_per_round": work,
    "images_per_round": images,
    "matrix_product_rate": rate,
    "compile_seconds": compile_seconds,
    "peak_memory_bytes": peak,
    "contenders": {name: _figures(values, speeds["scan"], work, images, rate) for name, values in speeds.items()},
    "notes": notes,
  }


def _figures(speeds: list[float], scan: list[float], work: float, images: int, rate: float) -> dict[str, Any]:
  speed = statistics.median(speeds)
  return {
    "rounds_per_second": speed,
    "windows": speeds,
    "scan_is_faster_by": statistics.median(s / v for s, v in zip(scan, speeds, strict=True)),
    "images_per_second": speed * images,
    "rate": speed * work,
    "share_of_matrix_product": speed * work / rate,
  }


def start(experiment: Experiment, key: jax.Array) -> TrainState:
  """The state before the first round, or one for each of several keys; compiled in haste, since it runs once."""
  init = functools.partial(train.init, experiment.game)
  return jax.jit(jax.vmap(init) if key.ndim else init, compiler_options={"xla_backend_optimization_level": 0})(key)


def scanned(experiment: Experiment, state: TrainState, chunk: int) -> tuple[Contender, float, int]:
  """Rounds inside one compiled scan, `chunk` at a time; the seconds that compiling took, and the bytes at its peak."""
  run = jax.jit(lambda state, draw: train.make_scan(experiment.game, chunk, draw)(state), donate_argnums=0)
  began = time.perf_counter()
  compiled = run.lower(state, experiment.draw).compile()
  seconds = time.perf_counter() - began
  return _player(run, experiment, state, chunk), seconds, peak_memory(compiled)


def called(experiment: Experiment, state: TrainState) -> Contender:
  """One jitted call a round."""
  step = train.make_step(experiment.game)
  run = jax.jit(lambda state, draw: step(state, train.draw_round(experiment.game, draw, state)), donate_argnums=0)
  return _player(run, experiment, state, 1)


def swept(experiment: Experiment, chunk: int, members: int) -> Contender:
  """Rounds of so many seeds in one program, as `experiments.sweep` plays them; each member's rounds count."""
  over = over_members(experiment)
  play = over(lambda state, _, draw: train.make_scan(experiment.game, chunk, draw)(state))
  run = jax.jit(lambda state, draw: play(state, jnp.arange(members), draw), donate_argnums=0)
  return _player(run, experiment, start(experiment, jax.random.split(jax.random.key(0), members)), chunk * members)


def product(side: int, dtype: jnp.dtype) -> Contender:
  """Products of square matrices."""
  matrix = jax.random.normal(jax.random.key(0), (side, side), dtype)
  multiply = jax.jit(jnp.matmul)

  def play(times: int) -> None:
    for _ in range(times):
      result = multiply(matrix, matrix)
    result.block_until_ready()

  return Contender(play)


def in_torch(
  experiment: Experiment, config: ConfigDict, state: TrainState, dtype: str, notes: list[str]
) -> dict[str, Contender]:
  """The same game in PyTorch, checked against ours first; what torch.compile refuses is left out and noted."""
  from experiments import torch_games  # torch is an extra

  images = len(experiment.dataset.shape) == 3
  torch_games.check(experiment, config, state, kinks=0.05 if images else 0.0)
  config.dtype = dtype
  layouts = {"contiguous": False, "channels_last": True} if images else {"": False}
  sides = {
    f"torch eager {layout}".strip(): torch_games.player(torch_games.Side(experiment, config, last))
    for layout, last in layouts.items()
  }
  mode = "default" if jax.default_backend() == "cpu" else "max-autotune"
  compiled = torch_games.player(torch_games.Side(experiment, config, images, mode))
  try:
    compiled(1)
    sides["torch.compile"] = compiled
  except Exception as error:  # of any of its many layers; eager played the same lines
    notes.append(f"torch.compile is left out: {type(error).__name__}: {str(error).splitlines()[0]}")
  return {name: Contender(play) for name, play in sides.items()}


def flops(experiment: Experiment) -> float:
  """Floating-point operations of one round, as XLA counts them in the program that it is given, dead code left out.

  It counts the body of a loop once, so the repetitions of a move are added to that. What XLA shares as it optimises is
  counted as often as it stands there.
  """
  game, count = experiment.game, lambda f, *args: jax.jit(f).lower(*args).cost_analysis()["flops"]
  state = jax.eval_shape(functools.partial(train.init, game), jax.random.key(0))
  batches = jax.eval_shape(functools.partial(train.draw_round, game, experiment.draw), state)
  total = count(train.make_step(game), state, batches)
  batch = jax.tree.map(lambda b: jax.ShapeDtypeStruct(b.shape[1:], b.dtype), batches)
  for move in game.moves:
    if move.repeat > 1:
      turn = functools.partial(train.play, game, move.players)
      total += (move.repeat - 1) * count(turn, state, batch, state.key)
  return total


def peak_memory(compiled: jax.stages.Compiled) -> int:
  """Bytes: of an accelerator the most in use since the process began, else what a program and its arguments take."""
  if stats := jax.devices()[0].memory_stats():
    return stats["peak_bytes_in_use"]
  asked = compiled.memory_analysis()
  kept = asked.argument_size_in_bytes + asked.output_size_in_bytes - asked.alias_size_in_bytes
  return kept + asked.temp_size_in_bytes


def alternate(contenders: dict[str, Contender], windows: int, seconds: float) -> dict[str, list[float]]:
  """Rounds per second of each contender in each window, in turn; each is warmed up first, and its window sized."""
  rounds = {name: _fill(contender, seconds) for name, contender in contenders.items()}
  speeds: dict[str, list[float]] = {name: [] for name in contenders}
  for _ in range(windows):
    for name, contender in contenders.items():
      speeds[name].append(rounds[name] / _seconds(contender, rounds[name]))
  return speeds


def _fill(contender: Contender, seconds: float) -> int:
  """How many rounds fill a window."""
  contender.play(contender.step)
  rounds = contender.step
  while (taken := _seconds(contender, rounds)) < seconds / 8:
    rounds *= 2
  return math.ceil(rounds / contender.step * seconds / taken) * contender.step


def _seconds(contender: Contender, rounds: int) -> float:
  began = time.perf_counter()
  contender.play(rounds)
  return time.perf_counter() - began


def table(name: str, result: dict[str, Any]) -> str:
  """What a round is, and a line for each contender; the scan's advantage is the median of its windows'."""
  about = (
    f"{result['flops_per_round'] / 1e9:.3g} GFLOP and {result['images_per_round']} examples a round, "
    f"compiled in {result['compile_seconds']:.1f} s, {result['peak_memory_bytes'] / 2**20:.1f} MiB; "
    f"a matrix product: {result['matrix_product_rate'] / 1e9:.0f} GFLOP/s"
  )
  head = f"  {'':<26} {'rounds/s':>10} {'range':>18} {'the scan is':>12} {'examples/s':>11} {'GFLOP/s':>9} {'share':>6}"
  lines = [f"{name}: {about}", head]
  for contender, figures in result["contenders"].items():
    windows = figures["windows"]
    low, speed, high = map(_three_digits, (min(windows), figures["rounds_per_second"], max(windows)))
    lines.append(
      f"  {contender:<26} {speed:>10} {f'{low} to {high}':>18} {figures['scan_is_faster_by']:>11.2f}x "
      f"{figures['images_per_second']:>11,.0f} {figures['rate'] / 1e9:>9.1f} {figures['share_of_matrix_product']:>6.0%}"
    )
  return "\n".join([*lines, *(f"  {note}" for note in result["notes"])])


def _three_digits(value: float) -> str:
  return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def ring8(batch: int) -> ConfigDict:
  """Dense networks of 3x128 on eight Gaussians."""
  config = vanilla.get_config("nonsaturating")
  config.game.latent_dim = 16
  config.nets.generator = {"name": "mlp_generator", "hidden": (128, 128, 128)}
  config.nets.discriminator = {"name": "mlp_discriminator", "hidden": (128, 128, 128)}
  config.data.name, config.data.batch_size = "ring8", batch
  return config


def digits(resolution: int, width: int) -> ConfigDict:
  """DCGAN on handwritten digits, batch 64."""
  config = dcgan.get_config()
  config.nets.generator.width = config.nets.discriminator.width = width
  config.data.resolution = resolution
  return config


def penalised() -> ConfigDict:
  """WGAN-GP on eight Gaussians, batch 256, 5 critic moves; at rates above the paper's rounding grows too fast to check."""
  config = wgan_gp.get_config()
  for player in config.optimizer:
    config.optimizer[player].learning_rate = 1e-4
  return config


def penalised_digits() -> ConfigDict:
  """WGAN-GP with DCGAN's networks, the critic's without batch norm, batch 64, 5 critic moves. Gulrajani et al. 2017."""
  config, dense = digits(32, 32), penalised()
  config.game, config.optimizer = dense.game, dense.optimizer
  config.game.latent_dim = 100
  config.nets = {
    "generator": config.nets.generator,
    "critic": {"name": "dcgan_discriminator", "width": 32, "batch_norm": False},
  }
  return config


def translations(batch: int) -> ConfigDict:
  """CycleGAN at 64x64: residual generators of width 32 with 6 blocks, 3 layers of patches of width 32."""
  config = cyclegan.get_config()
  for role in ("x_to_y", "y_to_x"):
    config.nets[role] = {"name": "resnet_translator", "width": 32, "blocks": 6}
  for role in ("discriminator_x", "discriminator_y"):
    config.nets[role] = {"name": "patch_discriminator", "width": 32, "layers": 3}
  for player in ("generators", "discriminators"):
    config.optimizer[player] = base.adam(2e-4)
  config.data = {"name": "noise", "batch_size": batch}
  return config


def unwatched(config: ConfigDict) -> ConfigDict:
  """The same game, without the metrics and pictures of its evaluation."""
  config.eval.metrics = config.eval.pictures = ()
  return config


def noise(resolution: int = 64, channels: int = 3) -> Dataset:
  """Two domains of 128 images each that show nothing; how fast a game is played does not depend on it."""
  random = np.random.default_rng(0)
  x, y, test = (random.integers(0, 256, (n, resolution, resolution, channels), np.uint8) for n in (128, 128, 1))
  return from_domains("noise", {"x": x}, {"y": y}, {"x": test, "y": test})


CASES = {
  "ring8_64": Case(functools.partial(ring8, 64), chunk=100),
  "ring8_512": Case(functools.partial(ring8, 512), chunk=100),
  "wgan_gp": Case(penalised),
  "dcgan32": Case(functools.partial(digits, 32, 32)),
  "dcgan64": Case(functools.partial(digits, 64, 32), chunk=10),
  "dcgan64_wide": Case(functools.partial(digits, 64, 64), chunk=4),
  "wgan_gp_dcgan32": Case(penalised_digits, chunk=10),
  "infogan32": Case(infogan.get_config),
  "cyclegan64_1": Case(functools.partial(translations, 1), chunk=4, dataset=noise),
  "cyclegan64_4": Case(functools.partial(translations, 4), chunk=2, dataset=noise),
  "sweep_ring8": Case(functools.partial(ring8, 64), chunk=100, members=32),
  "sweep_dcgan32": Case(functools.partial(digits, 32, 32), members=4),
}


def _player(run: Callable, experiment: Experiment, state: TrainState, step: int) -> Contender:
  """Plays on from a copy of `state`, for `run` takes its memory; a call is `step` rounds."""
  state = jax.tree.map(jnp.copy, state)

  def play(rounds: int) -> None:
    nonlocal state
    for _ in range(rounds // step):
      state, metrics = run(state, experiment.draw)
    jax.block_until_ready((state, metrics))

  return Contender(play, step)


if __name__ == "__main__":
  command.start(main)
