"""The rounds of a run, stage by stage and a chunk at a time, with what has to be written between chunks."""

import contextlib
import itertools
import os
import signal
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from experiments.lab import configs, health, memory, trackers, workdir
from experiments.lab.build import Experiment, build, check_lengths
from experiments.lab.configs import Config
from experiments.lab.observer import BEST, Observer, check_best, check_same_best, ended, finite, missing
from experiments.lab.processes import connect, writes
from gan_jax import checkpoint, page, report, shard, train
from gan_jax.data.dataset import decode
from gan_jax.data.stream import ahead
from gan_jax.errors import ConfigError
from gan_jax.game import Batch, TrainState


class StageRun(NamedTuple):
  """A stage made ready to be played.

  Attributes:
    stage: its rounds and its config.
    experiment: what is played, on one device: what evaluates.
    played: the same, its game splitting batches over the mesh.
    fresh: the state before its first round, as shapes.
    shardings: of a state.
    mesh: the devices.
  """

  stage: configs.Stage
  experiment: Experiment
  played: Experiment
  fresh: TrainState
  shardings: TrainState
  mesh: jax.sharding.Mesh


def run(config: Config, folder: Path, given: str, source: str | None = None) -> TrainState:
  """Trains, or resumes, until `config.train.rounds`; returns the last state.

  A run that is finished, or that `eval.patience` has ended, is left as it is. Of many processes the first writes, in a
  folder that all of them see.

  Args:
    config: complete, as `configs.load` gives it.
    folder: the workdir.
    given: the experiment, as --config names it.
    source: WORKDIR or WORKDIR@ROUND: another run, with whose state after that round, or newest state, a new one begins.

  Raises:
    ConfigError: if the config is wrong, or the workdir holds another experiment's run, a longer one or a damaged one,
      or another process has it; what is there is not touched then.
    FloatingPointError: if a loss stops being finite; what was saved before stays.
  """
  check_lengths(config)
  trackers.check(config)
  connect(config)
  mesh = _mesh(config)
  described, name = configs.plain(config), configs.name_of(given)
  workdir.check(folder, described, workdir.LENGTH, config.train.rounds)
  check_same_best(folder, described)
  stage_runs = _stage_runs(config, mesh)
  with workdir.held(folder), checkpoint.open_folder(folder / "checkpoints") as checkpoints:
    workdir.check(folder, described, workdir.LENGTH, config.train.rounds)  # again: another may have begun and ended
    left, state, rows, source = _found(folder, source, config, checkpoints, stage_runs)
    _mention(rows[health.METRICS], 0 if state is None else int(state.step), config.log.every)
    why = ended(rows[health.METRICS], config.eval)
    over = shard.any_process(bool(why))
    if writes():
      _describe(left[0], folder, name, config.train.rounds, state, why)
    if state is None:
      state = _init(left[0])
    else:
      checkpoint.prune(checkpoints)
      _redraw(left[0], folder, name, config.train.rounds, state)
    if int(state.step) < config.train.rounds and not over:
      if writes():
        changed = workdir.write(folder, described, configs.recorded(given), int(state.step), source)
        if changed:
          print(f"  {'':<14} the run goes on under other code: {changed}")
        for file, kept in rows.items():
          report.write_metrics(folder / file, kept)
      if source:
        checkpoint.save(checkpoints, state)
      with _page_after(folder, name), trackers.opened(config, folder, described, int(state.step), writes()) as tracked:
        for stage_run, after in itertools.zip_longest(left, left[1:]):
          seen = stage_run.stage, stage_run.experiment
          observer = Observer(*seen, folder, name, config.train.rounds, tracked) if writes() else None
          state, over = _play(stage_run, observer, folder, state, checkpoints)
          if over or after is None:
            break
          state = _carry(after, state)
  if writes():
    page.save(folder, name)
    print(page.verdict(folder))
    print(f"done: {folder}/report.html")
  return state


def limit_threads(config: Config) -> None:
  """Has XLA start `config.threads` threads on a CPU, for small games gain nothing by a second; to be called before jax
  starts. Where PJRT_NPROC, XLA's own variable, is set, it decides."""
  if config.threads < 0:
    raise ConfigError(f"threads is {config.threads}; it is 0, one for each core, or more")
  if config.threads:
    os.environ.setdefault("PJRT_NPROC", str(config.threads))


@contextlib.contextmanager
def _page_after(folder: Path, name: str) -> Iterator[None]:
  """Rewrites the page when a run is stopped, or stops of itself."""
  try:
    yield
  except (KeyboardInterrupt, FloatingPointError):
    if writes():
      page.save(folder, name)
    raise


def _stage_runs(config: Config, mesh: jax.sharding.Mesh) -> list[StageRun]:
  """Every stage made ready; what is wrong with any of them comes up here."""
  stage_runs, datasets = [], {}
  for stage in configs.stages(config):
    data = str(stage.config.data.to_dict())
    experiment = build(stage.config, datasets.get(data))
    datasets[data] = experiment.dataset
    played = experiment
    if mesh.size > 1:
      wrap = lambda net: shard.split_batches(mesh, net)
      played = experiment._replace(game=build(stage.config, experiment.dataset, wrap).game)
    batch = _example(experiment, stage.config.data.batch_size)
    init = lambda key, game=played.game, batch=batch: train.init(game, key, batch)
    fresh = jax.eval_shape(init, jax.random.key(config.seed))
    jax.eval_shape(experiment.evaluation.measure, fresh)
    for picture in experiment.evaluation.pictures:
      memory.check_fits(f"the picture of {picture.name or 'samples'}", jax.eval_shape(picture.draw, fresh))
    check_best(stage.config, experiment, fresh)
    shardings = shard.state_shardings(mesh, fresh, stage.config.mesh.fsdp)
    memory.check_fits("the train state, nets and optimizers,", fresh, shardings, mesh.size)
    stage_runs.append(StageRun(stage, experiment, played, fresh, shardings, mesh))
  return stage_runs


def _found(
  folder: Path, source: str | None, config: Config, checkpoints: Any, stage_runs: list[StageRun]
) -> tuple[list[StageRun], TrainState | None, dict[str, list[dict[str, float]]], str | None]:
  """The stages that are left, the state that they go on from, what was written until then, by file, and `source` where
  that state is its."""
  left, state = _restored(checkpoints, stage_runs)
  if state is not None or not source:
    source = None
  else:
    folder, left, state = _taken(source, stage_runs)
  files, step = (health.METRICS, health.WARNINGS), 0 if state is None else int(state.step)
  read = lambda: {file: report.read_metrics(folder / file, until=step) for file in files}
  rows = shard.in_first(read, {file: [] for file in files})
  if source:  # the best checkpoint stays with the other run, and so does what it was judged by
    rows[health.METRICS] = [{k: v for k, v in row.items() if k != config.eval.best} for row in rows[health.METRICS]]
  return left, state, rows, source


def _mention(rows: list[dict[str, float]], played: int, every: int) -> None:
  """Says of which of the rounds that are played there are no metrics.

  A line is of as many rounds as log.every has, now or then: lines are lost where one is further from the line before it
  than that, and than both lines beside the two are.
  """
  steps = [0, *(int(row["step"]) for row in rows)]
  apart = [after - before for before, after in itertools.pairwise(steps)]
  beside = lambda i: max(apart[max(i - 1, 0) : i] + apart[i + 1 : i + 2], default=every)
  lost = [(steps[i] + 1, steps[i + 1] - every) for i, length in enumerate(apart) if length > max(every, beside(i))]
  lost += [(steps[-1] + 1, played)] if steps[-1] < played else []
  if lost and writes():
    rounds = " and ".join(f"{first:,} to {last:,}" for first, last in lost)
    print(f"{health.METRICS} has no lines of rounds {rounds}, already played; curves have a gap there")


def _restored(checkpoints: Any, stage_runs: list[StageRun]) -> tuple[list[StageRun], TrainState | None]:
  """The newest checkpoint that can be read, with the stages from its own on; damaged ones after it are put aside.

  Raises:
    ConfigError: if none of them can be read.
  """
  damaged: dict[int, str] = {}
  for step in sorted(checkpoints.all_steps(), reverse=True):
    left = [stage_run for stage_run in stage_runs if step <= stage_run.stage.end]
    state, wrong = None, ""
    try:
      state = checkpoint.restore(checkpoints, jax.tree.map(_placed, left[0].fresh, left[0].shardings), step)
    except ConfigError as error:  # of nets of other shapes too: the config is the run's own
      wrong = str(error)
    if not shard.any_process(bool(wrong)):
      for each, message in damaged.items():
        place = checkpoint.put_aside(checkpoints, each)
        if writes():
          print(f"{message}; it is kept as {place}, and the run goes on from round {step:,}")
      return left, state
    damaged[step] = wrong or "another process found a checkpoint damaged"
  if damaged:
    raise ConfigError(
      f"{next(iter(damaged.values()))}, and there is no other; remove {checkpoints.directory} to begin anew"
    )
  return stage_runs, None


def _taken(source: str, stage_runs: list[StageRun]) -> tuple[Path, list[StageRun], TrainState]:
  """The workdir of another run, the stages from the round on that is asked for, and the state after it."""
  path, _, asked = source.rpartition("@")
  path, asked = (path, asked) if path and asked.isdecimal() else (source, "")
  origin = Path(path)
  with checkpoint.open_folder(origin / "checkpoints", create=False) as others:
    steps = sorted(others.all_steps())
    if not steps or asked and asked not in map(str, steps):
      there = f"it has {', '.join(map(str, steps))}" if steps else "it has none"
      raise ConfigError(f"--from is {source}; there is no such checkpoint in {origin}: {there}")
    step = int(asked or steps[-1])
    left = [stage_run for stage_run in stage_runs if step <= stage_run.stage.end]
    if step >= stage_runs[-1].stage.end:
      raise ConfigError(
        f"--from is {source}, but train.rounds is {stage_runs[-1].stage.end:,}; ask for more than {step:,}"
      )
    state = checkpoint.restore(others, jax.tree.map(_placed, left[0].fresh, left[0].shardings), step)
  assert state is not None
  return origin, left, state


def _redraw(stage_run: StageRun, folder: Path, name: str, rounds: int, state: TrainState) -> None:
  """Draws the pictures of a state that was restored, where one of them is missing."""
  if not shard.any_process(shard.in_first(lambda: missing(folder, int(state.step)), False)):
    return
  seen = shard.fetch(stage_run.mesh, state.replace(opt={}, memory=()))
  if writes():
    untracked = trackers.Trackers(folder, {}, {})
    Observer(stage_run.stage, stage_run.experiment, folder, name, rounds, untracked).redraw(seen)


def _init(stage_run: StageRun) -> TrainState:
  # It runs once, and to optimise it takes a CPU's compiler ten times as long.
  options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else {}
  init = lambda key: train.init(stage_run.played.game, key)
  jitted = jax.jit(init, out_shardings=stage_run.shardings, compiler_options=options)
  return jitted(jax.random.key(stage_run.stage.config.seed))


def _carry(stage_run: StageRun, state: TrainState) -> TrainState:
  """The state that a stage starts from, after the one before it."""
  keep = stage_run.stage.keep_optimizers
  carry = jax.jit(lambda old, fresh: train.carry(old, fresh, keep), out_shardings=stage_run.shardings)
  return carry(state, _init(stage_run))


def _mesh(config: Config) -> jax.sharding.Mesh:
  if config.mesh.member not in (0, 1):
    raise ConfigError(
      f"mesh.member is {config.mesh.member}; it splits the members of experiments.sweep, and a run is one"
    )
  if config.mesh.fsdp and config.mesh.data == 1:
    raise ConfigError("mesh.fsdp splits the state over mesh.data devices, which is 1")
  mesh = shard.mesh(config.mesh.data)
  if config.data.batch_size % config.mesh.data:
    raise ConfigError(
      f"data.batch_size is {config.data.batch_size}; it does not split evenly over mesh.data = {config.mesh.data}"
    )
  return mesh


def _example(experiment: Experiment, n: int) -> Any:
  """Shapes of a batch of n."""
  if experiment.draw is not None:
    return jax.eval_shape(experiment.draw, jax.random.key(0))
  assert experiment.dataset.stream is not None
  one = decode(next(experiment.dataset.stream(1, 0, 0, (0, 1))))
  return {name: jax.ShapeDtypeStruct((n, *value.shape[1:]), value.dtype) for name, value in one.items()}


def _placed(leaf: jax.ShapeDtypeStruct, sharding: jax.sharding.Sharding) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _play(
  stage_run: StageRun, observer: Observer | None, folder: Path, state: TrainState, checkpoints: Any
) -> tuple[TrainState, bool]:
  """The rounds that are left of a stage, and whether `eval.patience` ends the run."""
  config, end = stage_run.stage.config, stage_run.stage.end
  step = saved = int(state.step)
  played, over = _played(stage_run, state), False
  total, silent = observer.rounds if observer else None, observer is None
  bar = tqdm(total=total, initial=step, unit="round", dynamic_ncols=True, disable=silent)
  with _interruptible() as asked, bar:
    while step < end and not over and not shard.any_process(bool(asked)):  # a stop does not wait for what is being read
      try:
        state, count, new, bad = next(played)
      except ConfigError:  # a file that cannot be read
        if saved < step:
          checkpoint.save(checkpoints, state)
        raise
      step += count
      if observer:
        observer.warn(new)
      if bad and observer:
        observer.write([{k: finite(v) if isinstance(v, float) else v for k, v in row.items()} for row in new], None)
      if bad:
        raise FloatingPointError(_advice(bad, folder, saved))
      evaluated = step == end or step % config.eval.every == 0
      seen = shard.fetch(stage_run.mesh, state.replace(opt={}, memory=())) if evaluated else None  # what is looked at
      if observer:
        observer.write(new, seen)
        bar.update(count)
        bar.set_postfix({k: f"{v:.3f}" for k, v in new[-1].items() if k.endswith("/loss")})
        if seen is not None:
          observer.draw(seen)
      if evaluated and config.eval.best:
        if shard.any_process(observer is not None and observer.improved):
          checkpoint.save_alone(folder / BEST, state)
        over = shard.any_process(observer is not None and bool(observer.ended))
      if step == end or over or step % config.checkpoint.every == 0:
        checkpoint.save(checkpoints, state)
        saved = step
  if step < end and not over:
    if saved < step:
      checkpoint.save(checkpoints, state)
    checkpoints.wait_until_finished()
    raise KeyboardInterrupt(f"interrupted after round {step:,}; run the same command again to resume")
  return state, over


def _played(stage_run: StageRun, state: TrainState) -> Iterator[tuple[TrainState, int, list[dict[str, Any]], str]]:
  """Plays a chunk at a time: the state after it, how many rounds it had, their rows, and what stopped being finite."""
  config, experiment, step = stage_run.stage.config, stage_run.played, int(state.step)
  signals = jax.jit(health.signals(experiment, config.data.batch_size))
  programs: dict[int, tuple[Callable, jax.stages.Compiled]] = {}
  began = time.perf_counter()
  for (count, batches), waited in ahead(_chunks(stage_run, step)):
    if count not in programs:
      play = _chunk_of(experiment, count, stage_run.shardings)
      programs[count] = play, memory.compiled(play, state, batches, batch=config.data.batch_size)
    play, program = programs[count]
    with memory.named(play, state, batches, batch=config.data.batch_size):
      state, metrics = program(state, batches)
      rows, bad = _rows(metrics, step, config.log.every), _first_not_finite(metrics, step)
    rows[-1] |= {name: finite(value) for name, value in signals(state).items()}
    ended = time.perf_counter()
    rows[-1]["seconds"] = ended - began  # since the chunk before
    if experiment.draw is None:
      rows[-1]["data/waiting"] = waited / (ended - began)
    began = ended
    step += count
    yield state, count, rows, bad


def _chunks(stage_run: StageRun, step: int) -> Iterator[tuple[int, Any]]:
  """Of each chunk after round `step`, how many rounds it has, and what `_chunk_of` feeds to them."""
  experiment, config, mesh = stage_run.played, stage_run.stage.config, stage_run.mesh
  draws, draw, stream = experiment.game.draws, None, iter(())
  if experiment.draw is not None:
    draw = shard.replicate(mesh, experiment.draw)
  else:
    assert experiment.dataset.stream is not None
    share = jax.process_index(), jax.process_count()
    stream = experiment.dataset.stream(config.data.batch_size // share[1], config.seed, step * draws, share)
  while step < stage_run.stage.end:
    count = min(config.train.chunk - step % config.train.chunk, stage_run.stage.end - step)
    step += count
    if draw is not None:
      yield count, draw
      continue
    yield count, shard.shard_batches(mesh, _stacked(itertools.islice(stream, count * draws), count, draws))


def _stacked(batches: Iterable[Batch], rounds: int, draws: int) -> dict[str, np.ndarray]:
  """Batches [n, ...] as those of a chunk, [rounds, draws, n, ...]."""
  read = list(batches)
  return {k: np.stack([batch[k] for batch in read]).reshape(rounds, draws, *v.shape) for k, v in read[0].items()}


@contextlib.contextmanager
def _interruptible() -> Iterator[list[int]]:
  """Ctrl-C, or a scheduler's SIGTERM, asks for a stop after the chunk that is being played; a second one stops at
  once."""
  asked: list[int] = []

  def ask(number, frame):
    if asked:
      raise KeyboardInterrupt("stopped at once; run the same command again to resume from the last checkpoint")
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


def _chunk_of(experiment: Experiment, rounds: int, shardings: Any) -> Callable:
  """`(state, batches) -> (state, metrics)`; `batches` is the draw, or streamed batches.

  The draw is an argument so that XLA does not embed the data in the program.
  """
  game = experiment.game

  def play(state, batches):
    if experiment.draw is not None:
      return train.make_scan(game, rounds, batches)(state)
    step = train.make_step(game)
    return jax.lax.scan(lambda state, stored: step(state, decode(stored)), state, batches)

  replicated = jax.sharding.NamedSharding(shardings.step.mesh, jax.sharding.PartitionSpec())
  return jax.jit(play, donate_argnums=0, out_shardings=(shardings, replicated))


def _rows(metrics: dict[str, jax.Array], step: int, every: int) -> list[dict[str, float]]:
  """The metrics of rounds after round `step`, a row at each multiple of `every` and at the end: means since."""
  columns = {name: np.asarray(values, np.float64) for name, values in metrics.items()}
  end = step + len(next(iter(columns.values())))
  edges = [step, *range(step - step % every + every, end, every), end]
  return [
    {"step": last} | {name: float(values[first - step : last - step].mean()) for name, values in columns.items()}
    for first, last in zip(edges, edges[1:])
  ]


def _first_not_finite(metrics: dict[str, jax.Array], step: int) -> str:
  """Which metrics of the rounds after round `step` first stopped being finite, and in which round; "" if all are."""
  wrong = {name: ~np.isfinite(np.asarray(values)) for name, values in metrics.items()}
  rounds = [int(np.argmax(each)) for each in wrong.values() if each.any()]
  if not rounds:
    return ""
  names = ", ".join(name for name, each in wrong.items() if each[min(rounds)])
  return f"{names} stopped being finite in round {step + min(rounds) + 1:,}"


def _advice(bad: str, folder: Path, saved: int) -> str:
  """What to do when `bad` has happened, with the last checkpoint that of round `saved`."""
  advice = "Lower the learning rate, or choose another loss"
  if not saved:
    return f"{bad}; there is no checkpoint yet. {advice}, with another --workdir, or remove {folder} before"
  return f"{bad}; the same command repeats it. {advice}: --from={folder}@{saved} with a --workdir of its own"


def _describe(stage_run: StageRun, folder: Path, name: str, rounds: int, restored: TrainState | None, why: str) -> None:
  """Prints what is about to be done, or `why` the run has ended before its last round."""
  config, data = stage_run.stage.config, stage_run.experiment.dataset
  settings = ", ".join(
    f"{k}\xa0{v}" for k, v in configs.flatten(config.game).items() if k != "name"
  )  # no break at \xa0
  line = f"{name}: game {config.game.name} ({settings})"
  print(textwrap.fill(line, 100, subsequent_indent=" " * 4, break_on_hyphens=False).replace("\xa0", " "))
  for role, params in stage_run.fresh.params.items():
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f"  {role:<14} {config.nets[role].name}, {count:,} parameters")
  size = "sampled without end" if data.size is None else f"{data.size:,} training examples"
  print(f"  {'data':<14} {data.name}, {size} of shape {list(data.shape)}, batch {config.data.batch_size}")
  devices, used = jax.devices(), config.mesh.data
  idle = f" of {len(devices)}; --config.mesh.data={len(devices)} uses all" if used < len(devices) else ""
  print(f"  {'devices':<14} {used} x {devices[0].device_kind}{idle}, {config.dtype}")
  step = None if restored is None else int(restored.step)
  plan = "a new run" if step is None else f"continuing after round {step:,}"
  plan = f"finished, all {rounds:,} rounds have been played" if step == rounds else f"{plan}, up to round {rounds:,}"
  plan = f"ended after round {step:,}, for {why}; --config.eval.patience=0 plays on" if why and step != rounds else plan
  print(f"  {'workdir':<14} {folder}: {plan}", flush=True)
