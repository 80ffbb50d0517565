"""Measures the compiled rounds: `python -m experiments.bench [--only=dcgan32] [--windows=5] [--out=FILE.json]`.

A case is timed in windows that alternate between the contenders, so that a machine's drift hits all of them: the rounds
inside one scan, one jitted call a round, and, where torch is installed, the same game in PyTorch eager, contiguous and
channels_last, after a check that one round from the same weights gives the same losses and parameters. Speeds are in rounds
per second, the median over windows with the range; only ratios within one run mean anything. The case "ring8" also plays a
sweep of 32 seeds as one program, and counts the rounds of all its members.
"""

import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from absl import flags
from ml_collections import ConfigDict

from experiments import command, dcgan, vanilla
from experiments.build import Experiment, at_least_one, build, pick
from experiments.members import over_members
from gan_jax import train
from gan_jax.game import TrainState

ONLY = flags.DEFINE_string("only", None, "one case; all if not given")
WINDOWS = flags.DEFINE_integer("windows", 5, "timed windows of each contender")
SECONDS = flags.DEFINE_float("seconds", 3.0, "about how long a window is")
OUT = flags.DEFINE_string("out", None, "a JSON file for the figures")


class Contender(NamedTuple):
  """Someone who plays rounds: `play(rounds)` returns when they are done; `step` divides what can be asked for."""

  play: Callable[[int], None]
  step: int = 20



def main() -> None:
  cases = CASES if ONLY.value is None else {ONLY.value: pick(CASES, ONLY.value, "--only")}
  at_least_one("--windows", WINDOWS.value)
  torch_here = importlib.util.find_spec("torch") is not None
  print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}" + ("" if torch_here else "; torch is not installed"))
  results = {}
  for name, make_config in cases.items():
    config = make_config()
    experiment = build(config)
    contenders = {"scan": scanned(experiment), "one call a round": called(experiment)}
    if name == "ring8":
      contenders[f"sweep of {MEMBERS}, all"] = swept(experiment)
    if torch_here:
      contenders |= in_torch(experiment, config)
    results[name] = alternate(contenders, WINDOWS.value, SECONDS.value)
    print(table(name, results[name]), flush=True)
  if OUT.value:
    Path(OUT.value).write_text(json.dumps(results, indent=2))


def scanned(experiment: Experiment, chunk: int = 20) -> Contender:
  """Rounds inside one compiled scan, `chunk` at a time."""
  run = jax.jit(lambda state, draw: train.make_scan(experiment.game, chunk, draw)(state), donate_argnums=0)
  return _player(run, experiment, chunk)


def called(experiment: Experiment) -> Contender:
  """One jitted call a round."""
  step = train.make_step(experiment.game)
  run = jax.jit(lambda state, draw: step(state, train.draw_round(experiment.game, draw, state)), donate_argnums=0)
  return _player(run, experiment, 1)


def swept(experiment: Experiment, chunk: int = 100) -> Contender:
  """Rounds of `MEMBERS` seeds in one program, as `experiments.sweep` plays them; each member's rounds count."""
  over = over_members(experiment)
  play = over(lambda state, _, draw: train.make_scan(experiment.game, chunk, draw)(state))
  run = jax.jit(lambda state, draw: play(state, jnp.arange(MEMBERS), draw), donate_argnums=0)
  start = jax.jit(jax.vmap(lambda key: train.init(experiment.game, key)))
  return _player(run, experiment, chunk * MEMBERS, start(jax.random.split(jax.random.key(0), MEMBERS)))


def in_torch(experiment: Experiment, config: ConfigDict) -> dict[str, Contender]:
  """The same game in PyTorch eager, images in both memory layouts, checked against ours first."""
  from experiments import torch_games  # torch is an extra

  torch_games.check(experiment, config)
  if len(experiment.dataset.shape) != 3:
    return {"torch eager": Contender(torch_games.contender(experiment, config))}
  return {
    "torch eager, contiguous": Contender(torch_games.contender(experiment, config)),
    "torch eager, channels_last": Contender(torch_games.contender(experiment, config, channels_last=True)),
  }


def alternate(contenders: dict[str, Contender], windows: int, seconds: float) -> dict[str, list[float]]:
  """Rounds per second of each contender in each window, in turn; each is warmed up first, and its window sized."""
  rounds = {}
  for name, (play, step) in contenders.items():
    play(step)
    start = time.perf_counter()
    play(step)
    rounds[name] = max(1, round(seconds / (time.perf_counter() - start))) * step
  speeds: dict[str, list[float]] = {name: [] for name in contenders}
  for _ in range(windows):
    for name, (play, _) in contenders.items():
      start = time.perf_counter()
      play(rounds[name])
      speeds[name].append(rounds[name] / (time.perf_counter() - start))
  return speeds


def table(name: str, speeds: dict[str, list[float]]) -> str:
  """A line for each contender: rounds/s, the range over windows, and how much faster the scan is, window by window."""
  lines = [f"{name:<28} {'rounds/s':>9}   {'range':<15} scan is faster by"]
  for contender, values in speeds.items():
    ratio = statistics.median(s / v for s, v in zip(speeds["scan"], values, strict=True))
    span = f"{min(values):.1f} to {max(values):.1f}"
    lines.append(f"  {contender:<26} {statistics.median(values):>9.1f}   {span:<15} {ratio:.2f}x")
  return "\n".join(lines)


def ring8() -> ConfigDict:
  """The small game: dense networks of 3x128 on eight Gaussians, batch 64."""
  config = vanilla.get_config("nonsaturating")
  config.game.latent_dim = 16
  config.nets.generator = {"name": "mlp_generator", "hidden": (128, 128, 128)}
  config.nets.discriminator = {"name": "mlp_discriminator", "hidden": (128, 128, 128)}
  config.data.name = "ring8"
  return config


def _player(run: Callable, experiment: Experiment, chunk: int, state: TrainState | None = None) -> Contender:
  if state is None:
    state = jax.jit(lambda key: train.init(experiment.game, key))(jax.random.key(0))

  def play(rounds: int) -> None:
    nonlocal state
    for _ in range(rounds // chunk):
      state, metrics = run(state, experiment.draw)
    jax.block_until_ready((state, metrics))

  return Contender(play, max(chunk, 20))


CASES = {"ring8": ring8, "dcgan32": dcgan.get_config}
MEMBERS = 32

if __name__ == "__main__":
  command.start(main)
