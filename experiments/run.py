"""Trains an experiment: `python -m experiments.run --config=experiments/fgan_kl.py [--workdir=...] [--config.field=value]`.

The workdir gets config.json, environment.json, metrics.jsonl, metrics.png, samples/, checkpoints/ and report.html. The same
command again goes on where the last checkpoint left off; more rounds are asked for with --config.train.rounds.
"""

import contextlib
import importlib.metadata
import json
import platform
import signal
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict, config_flags
from tqdm import tqdm

from experiments import command
from experiments.build import Experiment, at_least_one, build
from gan_jax import checkpoint, report, train
from gan_jax.game import TrainState

CONFIG = config_flags.DEFINE_config_file("config", help_string="an experiment, experiments/NAME.py[:VARIANT]")
WORKDIR = flags.DEFINE_string("workdir", None, "where it is kept; runs/NAME[_VARIANT], or runs/sweep_... of a sweep, if not given")
# The settings, and sections of settings, that a run may change when it goes on: not the game's course.
LENGTH = {"train.rounds", "train.chunk", "log", "eval", "checkpoint"}


def main() -> None:
  config, name = CONFIG.value, command.name_of(config_flags.get_config_filename(flags.FLAGS["config"]))
  workdir = Path(WORKDIR.value or Path("runs") / name)
  run(config, workdir, name)


def run(config: ConfigDict, workdir: Path, name: str) -> TrainState:
  """Trains, or goes on training, until `config.train.rounds`; returns the last state.

  A run that has been there already is left as it is.

  Raises:
    ValueError: if the config is wrong, or the workdir holds another experiment's run, a longer one or a damaged one;
      nothing is touched then.
    FloatingPointError: if a metric stops being finite; what was saved before stays.
  """
  _check_schedule(config)
  experiment = build(config)
  _check_workdir(workdir, config)
  batch = jax.eval_shape(experiment.draw, jax.random.key(0))
  key = jax.random.key(config.seed)
  fresh = jax.eval_shape(lambda key: train.init(experiment.game, key, batch), key)  # refuses before anything is written
  workdir.mkdir(parents=True, exist_ok=True)
  with checkpoint.open_folder(workdir / "checkpoints") as checkpoints:
    state = checkpoint.restore(checkpoints, fresh)
    _describe(experiment, config, workdir, name, fresh, state)
    if state is None:
      state = jax.jit(lambda key: train.init(experiment.game, key))(key)
    if int(state.step) < config.train.rounds:
      rows = report.read_metrics(workdir / "metrics.jsonl", until=int(state.step))
      report.write_text(workdir / "config.json", _json(config))
      report.write_text(workdir / "environment.json", json.dumps(_environment(), indent=2))
      report.write_metrics(workdir / "metrics.jsonl", rows)
      state = _play(experiment, config, workdir, state, checkpoints)
  report.save_page(workdir, name)
  print(f"done: {workdir}/report.html")
  return state


def _play(experiment: Experiment, config: ConfigDict, workdir: Path, state: TrainState, checkpoints: Any) -> TrainState:
  """The rounds that are left, a chunk at a time, with what has to be written between chunks."""
  draw_samples, evaluate = _sampler(experiment, config), jax.jit(experiment.evaluate)
  compiled: dict[int, Callable] = {}
  rounds, step = config.train.rounds, int(state.step)
  saved = step
  with _interruptible() as asked, tqdm(total=rounds, initial=step, unit="round", dynamic_ncols=True) as bar:
    while step < rounds and not asked:
      count = min(config.train.chunk - step % config.train.chunk, rounds - step)
      if count not in compiled:
        compiled[count] = _compile(experiment, count)
      state, metrics = compiled[count](state, experiment.draw)
      new = _rows(metrics, step, config.log.every)
      step += count
      shown = step == rounds or step % config.eval.every == 0
      if shown:
        new[-1] |= {name: float(value) for name, value in evaluate(state).items()}
      _refuse_infinite(new, saved)
      report.append_metrics(workdir / "metrics.jsonl", new)
      bar.update(count)
      bar.set_postfix({k: f"{v:.3f}" for k, v in new[-1].items() if k.endswith("/loss")})
      if step == rounds or step % config.checkpoint.every == 0:
        checkpoint.save(checkpoints, state)
        saved = step
      if shown:
        report.save_samples(workdir / "samples" / f"{step:07d}.png", draw_samples(state), experiment.dataset.test["x"])
        report.save_plot(workdir / "metrics.png", report.read_metrics(workdir / "metrics.jsonl"))
  if step < rounds:
    if saved < step:
      checkpoint.save(checkpoints, state)
    checkpoints.wait_until_finished()
    raise KeyboardInterrupt(f"interrupted after round {step:,}; the same command goes on from there")
  return state


@contextlib.contextmanager
def _interruptible() -> Iterator[list[int]]:
  """Ctrl-C, or a scheduler's SIGTERM, asks for a stop after the chunk that is being played; a second one stops at once."""
  asked: list[int] = []

  def ask(number, frame):
    if asked:
      raise KeyboardInterrupt
    asked.append(number)

  if threading.current_thread() is not threading.main_thread():  # which alone may listen to signals
    yield asked
    return
  before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    yield asked
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


def _compile(experiment: Experiment, rounds: int) -> Callable:
  """`(state, draw) -> (state, metrics)`; the data is an argument, so that it is no constant of the program."""
  return jax.jit(lambda state, draw: train.make_scan(experiment.game, rounds, draw)(state), donate_argnums=0)


def _sampler(experiment: Experiment, config: ConfigDict) -> Callable[[TrainState], np.ndarray]:
  """Draws from the averaged generator, with the same latents each time."""
  images = len(experiment.dataset.shape) == 3
  n = config.eval.samples * (1 if images else 32)

  @jax.jit
  def draw_samples(state):
    return experiment.game.sample(*train.averaged(state), jax.random.key(config.seed), n)

  return lambda state: np.asarray(draw_samples(state))


def _rows(metrics: dict[str, jax.Array], step: int, every: int) -> list[dict[str, float]]:
  """The metrics of rounds that began after round `step`, a row at each multiple of `every` and at the end: means since."""
  columns = {name: np.asarray(values, np.float64) for name, values in metrics.items()}
  end = step + len(next(iter(columns.values())))
  edges = [step, *range(step - step % every + every, end, every), end]
  return [
    {"step": last} | {name: float(values[first - step : last - step].mean()) for name, values in columns.items()}
    for first, last in zip(edges, edges[1:])
  ]


def _refuse_infinite(rows: list[dict[str, float]], saved: int) -> None:
  for row in rows:
    bad = [name for name, value in row.items() if not np.isfinite(value)]
    if bad:
      raise FloatingPointError(
        f"{', '.join(bad)} stopped being finite in the rounds up to {row['step']:,}; the checkpoint of round {saved:,} "
        "is kept. Lower the learning rate, or choose another loss"
      )


def _check_schedule(config: ConfigDict) -> None:
  for field in ("train.rounds", "train.chunk", "log.every", "eval.every", "eval.samples", "checkpoint.every"):
    at_least_one(field, _get(config, field))
  chunk = config.train.chunk
  if chunk % config.log.every:
    raise ValueError(f"train.chunk is {chunk}, which is not a multiple of log.every = {config.log.every}")
  for field in ("eval.every", "checkpoint.every"):
    if _get(config, field) % chunk:
      raise ValueError(f"{field} is {_get(config, field)}, which is not a multiple of train.chunk = {chunk}")


def _check_workdir(workdir: Path, config: ConfigDict) -> None:
  """Raises ValueError if the workdir holds a run that cannot go on, or whose config differs in more than `LENGTH`."""
  if workdir.exists() and not workdir.is_dir():
    raise ValueError(f"the workdir {workdir} is a file; choose another with --workdir")
  there = report.read_config(workdir)
  played = max((int(p.name) for p in workdir.glob("checkpoints/*") if p.name.isdecimal()), default=0)
  if there is None and played:
    raise ValueError(f"{workdir} has checkpoints but no config.json; put it back, or choose another --workdir")
  if there is None:
    return
  old, new = command.flatten(there), command.flatten(json.loads(_json(config)))
  differ = [k for k in sorted(old | new) if old.get(k) != new.get(k) and not {k, k.partition(".")[0]} & LENGTH]
  if differ:
    shown = "; ".join(f"{k} is {old.get(k)!r} there and {new.get(k)!r} here" for k in differ)
    raise ValueError(f"{workdir} holds a run with another config: {shown}. Choose another --workdir, or remove that one")
  if played > config.train.rounds:
    raise ValueError(
      f"train.rounds is {config.train.rounds:,}, but the run in {workdir} has played {played:,} rounds already; "
      "ask for at least as many, or choose another --workdir"
    )


def _describe(experiment, config, workdir, name, fresh, restored) -> None:
  """Prints what is about to be done."""
  data, game = experiment.dataset, config.game
  settings = ", ".join(f"{k}\xa0{v}" for k, v in command.flatten(game).items() if k != "name")  # no line ends at \xa0
  line = textwrap.fill(f"{name}: game {game.name} ({settings})", 100, subsequent_indent=" " * 4, break_on_hyphens=False)
  print(line.replace("\xa0", " "))
  for role, params in fresh.params.items():
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f"  {role:<14} {config.nets[role].name}, {count:,} parameters")
  size = "sampled without end" if data.size is None else f"{data.size:,} training examples"
  print(f"  {'data':<14} {data.name}, {size} of shape {list(data.shape)}, batch {config.data.batch_size}")
  devices = jax.devices()
  print(f"  {'devices':<14} {len(devices)} x {devices[0].device_kind}, {config.dtype}")
  step, rounds = None if restored is None else int(restored.step), config.train.rounds
  plan = "a new run" if step is None else f"continuing after round {step:,}"
  plan = f"finished, all {rounds:,} rounds have been played" if step == rounds else f"{plan}, up to round {rounds:,}"
  print(f"  {'workdir':<14} {workdir}: {plan}", flush=True)


def _environment() -> dict[str, Any]:
  packages = ("jax", "jaxlib", "flax", "optax", "chex", "numpy", "orbax-checkpoint", "gan_jax")
  devices = jax.devices()
  return {
    "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    "python": platform.python_version(),
    "platform": platform.platform(),
    "packages": {package: _version(package) for package in packages},
    "devices": [f"{d.platform}:{d.id} {d.device_kind}" for d in devices],
  }


def _version(package: str) -> str:
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:  # gan_jax itself, run from a checkout
    return "not installed"


def _json(config: ConfigDict) -> str:
  return json.dumps(config.to_dict(), indent=2)


def _get(config: ConfigDict, field: str) -> Any:
  for part in field.split("."):
    config = config[part]
  return config


if __name__ == "__main__":
  command.start(main)
