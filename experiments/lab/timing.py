"""Timing the compiled rounds, in windows that alternate between contenders, so that a machine's drift hits all of
them."""

import functools
import math
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.lab import configs, memory
from experiments.lab.build import DTYPES, Experiment, build
from experiments.lab.configs import Config
from experiments.lab.members import fastest_map
from gan_jax import train
from gan_jax.data.dataset import Dataset, from_domains
from gan_jax.game import TrainState

SIDES = (1024, 2048)  # of the square matrices whose product is timed


# (experiment, config, state, dtype, notes) -> further contenders, such as the same game in PyTorch.
Others = Callable[[Experiment, Config, TrainState, str, list[str]], dict[str, "Contender"]]


class Case(NamedTuple):
  """What is measured.

  Attributes:
    config: makes the config.
    chunk: rounds in one scan.
    members: seeds of a sweep that plays beside the single run; 0 for none.
  """

  config: Callable[[], Config]
  chunk: int = 20
  members: int = 0


class Contender(NamedTuple):
  """Someone who is timed.

  Attributes:
    play: `play(rounds)` returns when they are done.
    step: divides the rounds that can be asked for.
  """

  play: Callable[[int], None]
  step: int = 1


def without_evaluation(config: Config) -> Config:
  """The same game, complete, without the numbers and pictures of its evaluation."""
  config.eval.evaluators = ()
  configs.complete(config)
  return config


def measure(
  case: Case, windows: int, seconds: float, dtype: str = "float32", others: Others | None = None
) -> dict[str, Any]:
  """Everything about a case, as the JSON file has it.

  Rates are in floating-point operations per second; "images" are the examples that one round draws, of both domains
  where there are two. The contenders' figures are medians over windows, beside every window's rounds per second.
  """
  config = without_evaluation(case.config())
  experiment = build(config)
  notes = []
  state = start(experiment, jax.random.key(0))
  theirs = others(experiment, config, state, dtype, notes) if others else {}
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
  images = experiment.game.draws * config.data.batch_size * len(experiment.dataset.domains)
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
  """The state before the first round, or one for each of several keys; compiled without optimisation, since it runs
  once."""
  init = functools.partial(train.init, experiment.game)
  return jax.jit(jax.vmap(init) if key.ndim else init, compiler_options={"xla_backend_optimization_level": 0})(key)


def scanned(experiment: Experiment, state: TrainState, chunk: int) -> tuple[Contender, float, int]:
  """Rounds inside one compiled scan, `chunk` at a time; the seconds that compiling took, and the bytes at its peak."""
  run = jax.jit(lambda state, draw: train.make_scan(experiment.game, chunk, draw)(state), donate_argnums=0)
  began = time.perf_counter()
  compiled = run.lower(state, experiment.draw).compile()
  seconds = time.perf_counter() - began
  return _player(run, experiment, state, chunk), seconds, memory.of_program(compiled)


def called(experiment: Experiment, state: TrainState) -> Contender:
  """One jitted call a round."""
  step = train.make_step(experiment.game)
  run = jax.jit(lambda state, draw: step(state, train.draw_round(experiment.game, draw, state)), donate_argnums=0)
  return _player(run, experiment, state, 1)


def swept(experiment: Experiment, chunk: int, members: int) -> Contender:
  """Rounds of so many seeds in one program, as `experiments.sweep` plays them; each member's rounds count."""
  over = fastest_map(experiment)
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


def noise(resolution: int = 64, channels: int = 3) -> Dataset:
  """Two domains of 128 images each that show nothing; how fast a game is played does not depend on it."""
  random = np.random.default_rng(0)
  x, y, test = (random.integers(0, 256, (n, resolution, resolution, channels), np.uint8) for n in (128, 128, 1))
  return from_domains("noise", {"x": {"x": x}, "y": {"y": y}}, {"x": test, "y": test})


def flops(experiment: Experiment) -> float:
  """Floating-point operations of one round, as XLA counts them in the program that it is given, dead code left out.

  It counts the body of a loop once, so the repetitions of a move are added to that. What XLA shares as it optimises is
  counted as often as it stands there.
  """
  game, draw = experiment.game, experiment.draw
  assert draw is not None

  def count(function: Callable, *arguments: Any) -> float:
    analysis: Any = jax.jit(function).lower(*arguments).cost_analysis()
    return analysis["flops"]

  state = jax.eval_shape(functools.partial(train.init, game), jax.random.key(0))
  batches = jax.eval_shape(functools.partial(train.draw_round, game, draw), state)
  total = count(train.make_step(game), state, batches)
  batch = jax.tree.map(lambda b: jax.ShapeDtypeStruct(b.shape[1:], b.dtype), batches)
  for move in game.moves:
    if move.repeat > 1:
      turn = functools.partial(train.play, game, move.players)
      total += (move.repeat - 1) * count(turn, state, batch, state.key)
  return total


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


def _player(run: Callable, experiment: Experiment, state: TrainState, step: int) -> Contender:
  """Plays on from a copy of `state`, for `run` takes its memory; a call is `step` rounds."""
  state = jax.tree.map(jnp.copy, state)

  def play(rounds: int) -> None:
    nonlocal state
    for _ in range(rounds // step):
      state, metrics = run(state, experiment.draw)
    jax.block_until_ready((state, metrics))

  return Contender(play, step)
