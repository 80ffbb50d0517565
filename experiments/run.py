"""Trains an experiment: `python -m experiments.run --config=experiments/fgan_kl.py [--workdir=...] [--config.field=value]`.

The workdir gets config.json, environment.json, metrics.jsonl, metrics.png, samples/, checkpoints/ and report.html. The same
command again goes on where the last checkpoint left off; more rounds are asked for with --config.train.rounds.
"""

import contextlib
import functools
import itertools
import json
import signal
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict, config_flags
from tqdm import tqdm

from experiments import command
from experiments.build import Experiment, at_least_one, build
from gan_jax import cache, checkpoint, report, shard, train
from gan_jax.data.dataset import decode
from gan_jax.data.stream import ahead
from gan_jax.game import Batch, TrainState

CONFIG = config_flags.DEFINE_config_file("config", help_string="an experiment, experiments/NAME.py[:VARIANT]")
WORKDIR = flags.DEFINE_string(
  "workdir", None, "where it is kept; if not given runs/NAME[_VARIANT], of a sweep runs/sweep_..."
)
# The settings, and sections of settings, that a run may change when it goes on: not the game's course.
LENGTH = {"train.rounds", "train.chunk", "log", "eval", "checkpoint", "mesh", "distributed", "compilation_cache"}


def main() -> None:
  config, name = CONFIG.value, command.name_of(config_flags.get_config_filename(flags.FLAGS["config"]))
  workdir = Path(WORKDIR.value or Path("runs") / name)
  if config.compilation_cache:
    cache.keep_programs()
  run(config, workdir, name)


def run(config: ConfigDict, workdir: Path, name: str) -> TrainState:
  """Trains, or goes on training, until `config.train.rounds`; returns the last state.

  A run that has been there already is left as it is. Of many processes the first writes, in a workdir that all of them see.

  Raises:
    ValueError: if the config is wrong, or the workdir holds another experiment's run, a longer one or a damaged one;
      nothing is touched then.
    FloatingPointError: if a loss stops being finite; what was saved before stays.
  """
  _check_schedule(config)
  connect(config)
  mesh = _mesh(config)
  experiment = build(config)
  game = experiment.game  # for one device: what evaluates
  if mesh.size > 1:
    game = build(config, experiment.dataset, functools.partial(shard.over_data, mesh)).game
  _check_workdir(workdir, config)
  batch = _example(experiment, config.data.batch_size)
  key = jax.random.key(config.seed)
  fresh = jax.eval_shape(lambda key: train.init(game, key, batch), key)  # refuses before anything is written
  for look in (experiment.evaluate, *(picture.draw for picture in experiment.pictures)):
    jax.eval_shape(look, fresh)
  lies = shard.of_state(mesh, fresh, config.mesh.fsdp)
  workdir.mkdir(parents=True, exist_ok=True)
  with checkpoint.open_folder(workdir / "checkpoints") as checkpoints:
    state = checkpoint.restore(checkpoints, jax.tree.map(_lying, fresh, lies))
    if writes():
      _describe(experiment, config, workdir, name, fresh, state)
    if state is None:
      # It runs once, and to make it fast takes a CPU's compiler ten times as long.
      haste = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else {}
      state = jax.jit(lambda key: train.init(game, key), out_shardings=lies, compiler_options=haste)(key)
    if int(state.step) < config.train.rounds:
      if writes():
        rows = report.read_metrics(workdir / "metrics.jsonl", until=int(state.step))
        report.write_text(workdir / "config.json", _json(config))
        report.write_text(workdir / "environment.json", json.dumps(command.environment(), indent=2))
        report.write_metrics(workdir / "metrics.jsonl", rows)
      state = _play(experiment._replace(game=game), config, workdir, state, lies, mesh, checkpoints)
  if writes():
    report.save_page(workdir, name)
    print(f"done: {workdir}/report.html")
  return state


def connect(config: ConfigDict) -> None:
  """Joins the other processes, where `config.distributed` says that there are some."""
  given = config.distributed
  if given.enabled:
    shard.connect(given.coordinator, given.processes, given.process)
  elif given.coordinator or given.processes or given.process >= 0:
    raise ValueError("the config describes processes, but distributed.enabled is False; each would be a run of its own")


def writes() -> bool:
  """Whether this process is the one that writes."""
  return jax.process_index() == 0


def _mesh(config: ConfigDict) -> jax.sharding.Mesh:
  if config.mesh.member != 1:
    raise ValueError(
      f"mesh.member is {config.mesh.member}; it splits the members of experiments.sweep, and a run is one"
    )
  if config.mesh.fsdp and config.mesh.data == 1:
    raise ValueError("mesh.fsdp splits the state over mesh.data devices, which is 1")
  mesh = shard.mesh(config.mesh.data)
  if config.data.batch_size % config.mesh.data:
    raise ValueError(
      f"data.batch_size is {config.data.batch_size}; it does not split evenly over mesh.data = {config.mesh.data} devices"
    )
  return mesh


def _example(experiment: Experiment, n: int) -> Batch:
  """Shapes of a batch of n."""
  if experiment.draw is not None:
    return jax.eval_shape(experiment.draw, jax.random.key(0))
  one = decode(next(experiment.dataset.stream(1, 0, 0, (0, 1))))
  return {name: jax.ShapeDtypeStruct((n, *value.shape[1:]), value.dtype) for name, value in one.items()}


def _lying(leaf: jax.ShapeDtypeStruct, sharding: jax.sharding.Sharding) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _play(
  experiment: Experiment, config: ConfigDict, workdir: Path, state: TrainState, lies: Any, mesh: Any, checkpoints: Any
) -> TrainState:
  """The rounds that are left, a chunk at a time, with what has to be written between chunks."""
  evaluate = jax.jit(experiment.evaluate)
  drawn = [(picture, jax.jit(picture.draw)) for picture in experiment.pictures]
  compiled: dict[int, Callable] = {}
  rounds, step = config.train.rounds, int(state.step)
  saved = step
  began = time.perf_counter()
  chunks = ahead(_chunks(experiment, config, step, mesh))
  bar = tqdm(total=rounds, initial=step, unit="round", dynamic_ncols=True, disable=not writes())
  with _interruptible() as asked, bar:
    while step < rounds and not shard.any_process(bool(asked)):  # a stop does not wait for what is still being read
      try:
        (count, fed), waited = next(chunks)
      except ValueError:  # a file that cannot be read
        if saved < step:
          checkpoint.save(checkpoints, state)
        raise
      if count not in compiled:
        compiled[count] = _compile(experiment, count, lies)
      state, metrics = compiled[count](state, fed)
      new = _rows(metrics, step, config.log.every)
      ended = time.perf_counter()
      if experiment.draw is None:
        new[-1]["data/waiting"] = waited / (ended - began)  # since the chunk before
      began = ended
      step += count
      _refuse_infinite(new, saved)
      shown = None
      if step == rounds or step % config.eval.every == 0:  # only what is looked at: all may be too large for one place
        shown = shard.here(mesh, state.replace(opt={}, memory=()))
      if writes():
        if shown is not None:
          new[-1] |= {name: _finite(value) for name, value in evaluate(shown).items()}
        report.append_metrics(workdir / "metrics.jsonl", new)
        bar.update(count)
        bar.set_postfix({k: f"{v:.3f}" for k, v in new[-1].items() if k.endswith("/loss")})
      if step == rounds or step % config.checkpoint.every == 0:
        checkpoint.save(checkpoints, state)
        saved = step
      if writes() and shown is not None:
        for picture, draw in drawn:
          path = workdir / "samples" / f"{'_'.join(filter(None, [f'{step:07d}', picture.name]))}.png"
          report.save_samples(path, np.asarray(draw(shown)), experiment.dataset.test["x"], picture.columns)
        report.save_plot(workdir / "metrics.png", report.read_metrics(workdir / "metrics.jsonl"))
  if step < rounds:
    if saved < step:
      checkpoint.save(checkpoints, state)
    checkpoints.wait_until_finished()
    raise KeyboardInterrupt(f"interrupted after round {step:,}; the same command goes on from there")
  return state


def _chunks(
  experiment: Experiment, config: ConfigDict, step: int, mesh: jax.sharding.Mesh
) -> Iterator[tuple[int, Any]]:
  """Of each chunk after round `step`, how many rounds it has, and what `_compile` feeds to them."""
  draws = experiment.game.draws
  if experiment.draw is not None:
    draw = shard.everywhere(mesh, experiment.draw)
  else:
    share = jax.process_index(), jax.process_count()
    stream = experiment.dataset.stream(config.data.batch_size // share[1], config.seed, step * draws, share)
  while step < config.train.rounds:
    count = min(config.train.chunk - step % config.train.chunk, config.train.rounds - step)
    step += count
    if experiment.draw is not None:
      yield count, draw
      continue
    yield count, shard.fed(mesh, _stacked(itertools.islice(stream, count * draws), count, draws))


def _stacked(batches: Iterable[Batch], rounds: int, draws: int) -> dict[str, np.ndarray]:
  """Batches [n, ...] as those of a chunk, [rounds, draws, n, ...]."""
  read = list(batches)
  return {k: np.stack([batch[k] for batch in read]).reshape(rounds, draws, *v.shape) for k, v in read[0].items()}


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


def _compile(experiment: Experiment, rounds: int, lies: Any) -> Callable:
  """`(state, fed) -> (state, metrics)`; `fed` is the draw, an argument lest its data be a constant, or streamed batches."""
  game = experiment.game

  def play(state, fed):
    if experiment.draw is not None:
      return train.make_scan(game, rounds, fed)(state)
    step = train.make_step(game)
    return jax.lax.scan(lambda state, batches: step(state, decode(batches)), state, fed)

  everywhere = jax.sharding.NamedSharding(lies.step.mesh, jax.sharding.PartitionSpec())
  return jax.jit(play, donate_argnums=0, out_shardings=(lies, everywhere))


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
      kept = f"the checkpoint of round {saved:,} is kept" if saved else "there is no checkpoint yet"
      raise FloatingPointError(
        f"{', '.join(bad)} stopped being finite in the rounds up to {row['step']:,}; {kept}. Lower the learning rate, or "
        "choose another loss"
      )


def _finite(value: jax.Array) -> float | None:
  """What an evaluation found, None if it is not finite: a bound by quadrature may be so, and the run goes on."""
  return float(value) if np.isfinite(value) else None


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
    raise ValueError(
      f"{workdir} holds a run with another config: {shown}. Choose another --workdir, or remove that one"
    )
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
  devices, used = jax.devices(), config.mesh.data
  idle = f" of {len(devices)}; --config.mesh.data={len(devices)} uses all" if used < len(devices) else ""
  print(f"  {'devices':<14} {used} x {devices[0].device_kind}{idle}, {config.dtype}")
  for player, optimizer in config.optimizer.items():
    if optimizer.get("schedule", {}).get("rounds", config.train.rounds) != config.train.rounds:
      print(
        f"  {'note':<14} the rate of {player} is scheduled over {optimizer.schedule.rounds:,} rounds, not train.rounds"
      )
  step, rounds = None if restored is None else int(restored.step), config.train.rounds
  plan = "a new run" if step is None else f"continuing after round {step:,}"
  plan = f"finished, all {rounds:,} rounds have been played" if step == rounds else f"{plan}, up to round {rounds:,}"
  print(f"  {'workdir':<14} {workdir}: {plan}", flush=True)


def _json(config: ConfigDict) -> str:
  return json.dumps(config.to_dict(), indent=2)


def _get(config: ConfigDict, field: str) -> Any:
  for part in field.split("."):
    config = config[part]
  return config


if __name__ == "__main__":
  command.start(main)
