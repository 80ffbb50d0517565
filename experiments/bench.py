"""Measures the compiled rounds: `python -m experiments.bench [--only=dcgan32] [--windows=5] [--out=FILE.json]`.

A case is timed in windows that alternate between the contenders, so that a machine's drift hits all of them: the rounds
inside one scan, one jitted call a round, and, where torch is installed, the same game in PyTorch eager, contiguous and
channels_last, after a check that one round from the same weights gives the same losses and parameters. Speeds are in rounds
per second, the median over windows with the range; only ratios within one run mean anything.
"""

import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
from absl import flags
from ml_collections import ConfigDict

from experiments import command, dcgan
from experiments.build import Experiment, at_least_one, build, pick
from gan_jax import train

ONLY = flags.DEFINE_string("only", None, "one case; all if not given")
WINDOWS = flags.DEFINE_integer("windows", 5, "timed windows of each contender")
SECONDS = flags.DEFINE_float("seconds", 3.0, "about how long a window is")
OUT = flags.DEFINE_string("out", None, "a JSON file for the figures")

Contender = Callable[[int], None]  # plays so many rounds, and returns when they are done


def main() -> None:
  cases = CASES if ONLY.value is None else {ONLY.value: pick(CASES, ONLY.value, "--only")}
  at_least_one("--windows", WINDOWS.value)
  torch_here = importlib.util.find_spec("torch") is not None
  print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}" + ("" if torch_here else "; torch is not installed"))
  results = {}
  for name, make_config in cases.items():
    experiment = build(make_config())
    contenders = {"scan": scanned(experiment), "one call a round": called(experiment)}
    if torch_here:
      contenders |= in_torch(experiment, make_config())
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


def in_torch(experiment: Experiment, config: ConfigDict) -> dict[str, Contender]:
  """The same game in PyTorch eager, in both memory layouts, checked against ours first."""
  from experiments import torch_dcgan  # torch is an extra

  torch_dcgan.check(experiment, config)
  return {
    "torch eager, contiguous": torch_dcgan.contender(experiment, config, channels_last=False),
    "torch eager, channels_last": torch_dcgan.contender(experiment, config, channels_last=True),
  }


def alternate(contenders: dict[str, Contender], windows: int, seconds: float) -> dict[str, list[float]]:
  """Rounds per second of each contender in each window, in turn; each is warmed up first, and its window sized."""
  rounds = {}
  for name, play in contenders.items():
    play(20)
    start = time.perf_counter()
    play(20)
    rounds[name] = max(20, round(20 * seconds / (time.perf_counter() - start) / 20) * 20)
  speeds: dict[str, list[float]] = {name: [] for name in contenders}
  for _ in range(windows):
    for name, play in contenders.items():
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


def _player(run: Callable, experiment: Experiment, chunk: int) -> Contender:
  state = jax.jit(lambda key: train.init(experiment.game, key))(jax.random.key(0))

  def play(rounds: int) -> None:
    nonlocal state
    for _ in range(rounds // chunk):
      state, metrics = run(state, experiment.draw)
    jax.block_until_ready((state, metrics))

  return play


CASES = {"dcgan32": dcgan.get_config}

if __name__ == "__main__":
  command.start(main)
