"""A sweep: every combination of settings and seeds as a member of one compiled program."""

import csv
import itertools
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from experiments.evaluators import Evaluation
from experiments.lab import configs, memory, trackers, workdir
from experiments.lab.build import Experiment, build, check_lengths, check_seed
from experiments.lab.configs import Config
from experiments.lab.observer import BEST, EVALUATION, check_best, description, finite, weights_of
from experiments.lab.processes import connect, writes
from gan_jax import checkpoint, page, report, shard, train
from gan_jax.data.dataset import Dataset
from gan_jax.errors import ConfigError, at_least_one, nearest
from gan_jax.game import TrainState

_DRAWN = 24  # members on the page, at most
Values = dict[str, jax.Array]  # field of the config -> a number for each member


def fastest_map(experiment: Experiment) -> Callable[[Callable], Callable]:
  """The fastest of the three strategies below for a game on this machine.

  An accelerator takes all members at once. On a CPU eight at a time stay in its cache: of 32 rings (dense 3x128, batch
  64, two cores) they played 1.24 and 1.47 times the rounds of a single run, all at once 0.84 and 0.97. Convolutions
  there go one by one, for with weights of each member's own they would become grouped ones, which a CPU computes far
  slower.
  """
  if jax.default_backend() != "cpu":
    return vectorized_map
  assert experiment.draw is not None
  batch = jax.eval_shape(experiment.draw, jax.random.key(0))
  state = jax.eval_shape(lambda key: train.init(experiment.game, key), jax.random.key(0))
  batches = jax.tree.map(lambda b: jax.ShapeDtypeStruct((experiment.game.draws, *b.shape), b.dtype), batch)
  convolves = "conv_general_dilated" in str(jax.make_jaxpr(train.make_step(experiment.game))(state, batches))
  return sequential_map if convolves else batched_map


def vectorized_map(function: Callable) -> Callable:
  """All members at once: the first two arguments have an axis of members, the third is shared."""
  return jax.vmap(function, (0, 0, None))


def batched_map(function: Callable) -> Callable:
  """As `vectorized_map`, but eight members after the other eight."""
  return lambda a, b, shared: jax.lax.map(lambda each: function(*each, shared), (a, b), batch_size=8)


def sequential_map(function: Callable) -> Callable:
  """As `vectorized_map`, but one member after the other."""
  return lambda a, b, shared: jax.lax.map(lambda each: function(*each, shared), (a, b))


def one_device_a_core(config: Config) -> None:
  """Has jax take each core of a CPU for a device, for small games do not fill two; to be called before jax starts.

  Where the config or the environment says how many devices there are, or it is one of several processes, nothing
  happens; nor does it to accelerators.
  """
  given = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
  if config.mesh.member or config.distributed.enabled or given or jax.config.jax_num_cpu_devices != -1:  # pyright: ignore[reportAttributeAccessIssue]
    return
  jax.config.update("jax_num_cpu_devices", workdir.cores())


_NAMED = {
  vectorized_map: "all members at once",
  batched_map: "eight members at a time",
  sequential_map: "one member after the other",
}


def sweep(config: Config, grid: dict[str, list[float]], seeds: int, folder: Path, given: str) -> list[dict[str, float]]:
  """Plays all members to `config.train.rounds`; returns a row for each: its settings, its seed, its last metrics.

  `config.mesh.member` devices share the members between them, 0 being all there are. Where they do not divide evenly,
  the first members are played once more to fill the devices, and dropped from all that is returned and written.

  Raises:
    ConfigError: if the config or a setting of the grid is wrong, or the workdir holds something else or another process
      has it; nothing is written then.
  """
  began = time.perf_counter()
  at_least_one("--seeds", seeds)
  check_seed(f"seed + {seeds - 1:,}, of the last member,", config.seed + seeds - 1)
  check_lengths(config)
  trackers.refuse(config)
  if config.eval.patience:
    raise ConfigError("eval.patience ends a run early, but the members of a sweep all play the same number of rounds")
  connect(config)
  mesh = _mesh(config, seeds * math.prod(map(len, grid.values())))
  described = {"grid": grid, "seeds": seeds} | configs.plain(config)
  free = {"compilation_cache", "threads"}
  workdir.check(folder, described, free)
  settings = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
  stages = configs.stages(config)
  datasets = _datasets(stages, settings, -(-len(settings) * seeds // mesh.size), mesh.size)
  members = [setting | {"seed": config.seed + seed} for setting in settings for seed in range(seeds)]
  played = [members[i] for i in _filled(range(len(members)), mesh)]
  values = {field: jnp.array([member[field] for member in played]) for field in grid}
  keys = jnp.stack([jax.random.key(member["seed"]) for member in played])
  strategy = fastest_map(build(with_values(stages[-1].config, settings[0]), datasets[-1]))
  if writes():
    print(_described(len(settings), seeds, config.train.rounds, strategy, mesh), flush=True)
  with workdir.held(folder):
    workdir.check(folder, described, free)  # again: another one may have begun here and ended
    state, histories = None, []
    for stage, dataset in zip(stages, datasets, strict=True):
      state, history = play(stage, dataset, keys, values, strategy, mesh, state)
      histories.append({k: v if k == "step" else v[: len(members)] for k, v in history.items()})
    assert state is not None
    found, explained = evaluate(stages[-1].config, datasets[-1], state, settings, seeds, strategy, mesh)
    last = {k: v[:, -1] for k, v in histories[-1].items() if k != "step"} | found
    rows = [member | {k: float(v[i]) for k, v in last.items()} for i, member in enumerate(members)]
    if writes():
      workdir.write(folder, described, configs.recorded(given))
      report.write_text(folder / EVALUATION, json.dumps(explained | {"seconds": time.perf_counter() - began}, indent=2))
      _write(folder, rows, settings, histories, list(last))
    whole = shard.fetch(mesh, state)
    if config.eval.best:
      keep_best(folder, config, rows, grid, whole, given)
    if writes():
      _draw(folder, stages[-1].config, datasets[-1], whole, settings, seeds)
      page.save_sweep(folder, configs.name_of(given))
      print(f"done: {folder}/report.html")
  return rows


def play(
  stage: configs.Stage,
  dataset: Dataset,
  keys: jax.Array,
  values: Values,
  strategy: Callable,
  mesh: jax.sharding.Mesh,
  before: TrainState | None = None,
) -> tuple[TrainState, dict[str, np.ndarray]]:
  """Plays a stage of every member, a chunk at a time; returns states, and metrics [members, lines] with "step" [lines].

  Args:
    stage: what is played.
    dataset: what it is played on.
    keys: of the members.
    values: the settings in which they differ.
    strategy: how a device plays several members: one of the maps above.
    mesh: the devices.
    before: the members' states after the stage before; None for the first.
  """
  config = stage.config.copy_and_resolve_references()
  config.eval.evaluators = ()  # they are made of numbers, and here settings are traced
  draw = shard.replicate(mesh, build(config, dataset).draw)
  spread = lambda function: shard.split_members(mesh, strategy(function))
  game = lambda values: build(with_values(config, values), dataset).game

  def start(key_and_state, values, draw):
    key, old = key_and_state
    fresh = train.init(game(values), key)
    return fresh if old is None else train.carry(old, fresh, stage.keep_optimizers)

  def compiled(rounds):
    def run(state, values, draw):
      state, metrics = train.make_scan(game(values), rounds, draw)(state)
      return state, {k: jnp.mean(v[-config.log.every :]) for k, v in metrics.items()}

    return jax.jit(spread(run), donate_argnums=0)

  state: Any = jax.jit(spread(start))((keys, before), values, draw)
  runs: dict[int, tuple[Callable, jax.stages.Compiled]] = {}
  lines, steps, step = [], [], stage.start
  with tqdm(total=(stage.end - step) * len(keys), unit="round", dynamic_ncols=True, disable=not writes()) as bar:
    while step < stage.end:
      count = min(config.train.chunk, stage.end - step)
      if count not in runs:
        play = compiled(count)
        runs[count] = play, memory.compiled(play, state, values, draw, batch=config.data.batch_size)
      play, program = runs[count]
      with memory.named(play, state, values, draw, batch=config.data.batch_size):
        state, metrics = program(state, values, draw)
        lines.append(jax.tree.map(np.asarray, shard.fetch(mesh, metrics)))
      step += count
      steps.append(step)
      bar.update(count * len(keys))
  return state, {k: np.stack([line[k] for line in lines], 1) for k in lines[0]} | {"step": np.array(steps)}


def evaluate(
  config: Config,
  dataset: Dataset,
  state: TrainState,
  settings: list[dict[str, float]],
  seeds: int,
  strategy: Callable,
  mesh: jax.sharding.Mesh,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """What the evaluators of `config` find of every member, [members] each, and what evaluation.json says of that.

  Setting by setting, the seeds of each as `strategy` has it, for what an evaluator prepares may take numbers; what is
  judged on the host, member by member.

  Args:
    config: with the evaluators.
    dataset: what was played on.
    state: of the members, the seeds of one setting beside each other; behind them may be more, to fill the devices.
    settings: what is replaced in the config, for each.
    seeds: of each setting.
    strategy: as `play` takes it.
    mesh: the devices.
  """
  state = state.replace(opt={}, memory=())  # which nobody looks at
  whole = shard.fetch(mesh, state)
  found, evaluation, judged = [], Evaluation(), []
  for i, setting in enumerate(settings):
    evaluation = build(with_values(config, setting), dataset).evaluation
    mine = np.array(_filled(range(i * seeds, (i + 1) * seeds), mesh))

    def look(state, mine=mine, evaluation=evaluation):
      split = shard.split_members(mesh, strategy(lambda state, *_: evaluation.measure(state)))
      return split(jax.tree.map(lambda leaf: leaf[mine], state), {}, None)

    measured = shard.fetch(mesh, jax.jit(look)(state))
    judged = [evaluation.judge(member_of(whole, member)) for member in mine[:seeds]]
    measured = {name: np.asarray(values)[:seeds] for name, values in measured.items()}
    found += [{name: v[j] for name, v in measured.items()} | {**each.numbers} for j, each in enumerate(judged)]
  names = dict.fromkeys(name for each in found for name in each)  # of a member that went astray some cannot be had
  numbers = {name: np.array([each.get(name, np.nan) for each in found]) for name in names}
  medians = {name: finite(np.median(values)) for name, values in numbers.items()}
  return numbers, description(evaluation, medians, judged[0].protocol, config.train.rounds, weights_of(state))


def member_of(states: TrainState, i: int) -> TrainState:
  """The state of one member."""
  return jax.tree.map(lambda leaf: leaf[i], states)


def keep_best(
  folder: Path,
  config: Config,
  rows: list[dict[str, float]],
  grid: Iterable[str],
  states: TrainState,
  given: str,
) -> None:
  """Writes the best member by `eval.best`, the first of equal ones, to a workdir of its own that can be sampled from.

  Args:
    folder: of the sweep.
    config: of the sweep.
    rows: of the members.
    grid: the settings that were swept.
    states: of the members.
    given: the experiment, as --config names it.
  """
  if config.eval.best not in rows[0]:
    raise ConfigError(f"eval.best is {config.eval.best!r}, which was not found.{nearest(config.eval.best, rows[0])}")
  sign = -1.0 if config.eval.highest else 1.0
  best = min(range(len(rows)), key=lambda i: math.inf if math.isnan(v := rows[i][config.eval.best]) else sign * v)
  alone = with_values(config, {field: rows[best][field] for field in grid} | {"seed": int(rows[best]["seed"])})
  state = member_of(states, best)
  if writes():
    shutil.rmtree(folder / BEST, ignore_errors=True)  # of the same sweep, played before
    workdir.write(folder / BEST, configs.plain(alone), configs.recorded(given))
  checkpoint.save_alone(folder / BEST / "checkpoints", state)
  if writes():
    print(f"best {config.eval.best} {rows[best][config.eval.best]:.5g}: member {best}, kept in {folder / BEST}")


def _datasets(
  stages: list[configs.Stage], settings: list[dict[str, float]], on_each: int, devices: int
) -> list[Dataset]:
  """The data of each stage, having built what every setting makes of it: what is wrong comes up here.

  Args:
    stages: of the sweep.
    settings: what is replaced in the config, for each.
    on_each: how many members a device plays.
    devices: how many there are.
  """
  datasets: list[Dataset] = []
  for i, stage in enumerate(stages):
    same = i and stage.config.data.to_dict() == stages[i - 1].config.data.to_dict()
    dataset = datasets[-1] if same else None
    for setting in settings:
      experiment = build(with_values(stage.config, setting), dataset)
      dataset = experiment.dataset
      state = jax.eval_shape(lambda key, game=experiment.game: train.init(game, key), jax.random.key(0))
      check_best(stage.config, experiment, state)
      of_all = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((on_each, *leaf.shape), leaf.dtype), state)
      memory.check_fits(f"the train state of {on_each:,} members", of_all, devices=devices)
    assert dataset is not None
    if dataset.draw is None:
      raise ConfigError(
        f"{dataset.name} is streamed, but a sweep's members share data on the device; give more data.memory"
      )
    datasets.append(dataset)
  return datasets


def _write(folder: Path, rows: list[dict], settings: list[dict], histories: list[dict], metrics: list[str]) -> None:
  """Writes and prints what a sweep found."""
  common = [name for name in histories[-1] if all(name in history for history in histories)]
  whole = {name: np.concatenate([history[name] for history in histories], -1) for name in common}
  write_csv(folder / "members.csv", rows)
  summary = summarise(rows, settings, metrics)
  write_csv(folder / "sweep.csv", summary)
  save_plot(folder / "sweep.png", whole, settings, len(rows) // len(settings))
  print(table(summary))


def _draw(
  folder: Path, config: Config, dataset: Dataset, states: TrainState, settings: list[dict[str, float]], seeds: int
) -> None:
  """Draws samples/member_NNN.png and member_NNN_NAME.png, what a run shows, of at most `_DRAWN` members."""
  for i, setting in enumerate(settings[: -(-_DRAWN // seeds)]):
    for picture in build(with_values(config, setting), dataset).evaluation.pictures:
      draw, name = jax.jit(picture.draw), f"_{picture.name}" if picture.name else ""
      for member in range(i * seeds, min((i + 1) * seeds, _DRAWN)):
        drawn = np.asarray(draw(member_of(states, member)))
        path = folder / "samples" / f"member_{member:03d}{name}.png"
        report.save_samples(path, drawn, dataset.held_out, picture.columns)


def _mesh(config: Config, members: int) -> jax.sharding.Mesh:
  if config.mesh.data != 1 or config.mesh.fsdp:
    raise ConfigError(
      f"mesh.data is {config.mesh.data}, fsdp {config.mesh.fsdp}; a sweep splits members, with mesh.member"
    )
  alone = jax.process_count() == 1
  return shard.mesh(member=config.mesh.member or (min(len(jax.devices()), members) if alone else len(jax.devices())))


def _filled(members: Sequence[int], mesh: jax.sharding.Mesh) -> list[int]:
  """Members that divide evenly over the mesh: as given, then the first of them again."""
  return [members[i % len(members)] for i in range(-(-len(members) // mesh.size) * mesh.size)]


def _described(settings: int, seeds: int, rounds: int, strategy: Callable, mesh: jax.sharding.Mesh) -> str:
  """A sweep in one line."""
  numbers = f"{settings} setting{'s' * (settings > 1)} x {seeds} seed{'s' * (seeds > 1)}, {rounds:,} rounds each"
  kind = f"{mesh.size} x {mesh.devices.flat[0].device_kind}"
  filling = -settings * seeds % mesh.size
  more = f", {filling} more to fill the devices" if filling else ""
  return f"{numbers}{more}, on {kind}, {_NAMED[strategy]}"


def with_values(config: Config, values: dict[str, Any]) -> Config:
  """The config with some numbers replaced, by other numbers or by traced ones."""
  config = config.copy_and_resolve_references()
  configs.change(config, values)
  return config


def parse_grid(texts: list[str], config: Config) -> dict[str, list[float]]:
  """["game.penalty_weight=0.1,1"] -> {"game.penalty_weight": [0.1, 1.0]}.

  Raises:
    ConfigError: if a field is not there, there twice, the data's or no number that may be traced, or a value is not a
      finite number or there twice.
  """
  flat, grid = configs.flatten(config), {}
  swept = [field for field, value in flat.items() if isinstance(value, float) and not field.startswith("data.")]
  for text in texts:
    field, equals, values = text.partition("=")
    if not equals:
      raise ConfigError(f"--grid is {text!r}; it is FIELD=VALUE,VALUE,..., such as {(swept or ['FIELD'])[0]}=0.1,1")
    if field in grid:
      raise ConfigError(f"--grid names {field} twice; give all its values at once")
    if field not in flat:
      raise ConfigError(f"--grid names {field!r}, which is no setting.{nearest(field, swept)}")
    if field.startswith("data.") and isinstance(flat[field], float):
      raise ConfigError(f"--grid names {field}, a setting of the data, which all members share; run a sweep for each")
    if field not in swept:
      why = "only numeric settings that decide no shape or count can be swept in one program; use separate runs"
      first = f"give it a number first, as --config.{field}={values.partition(',')[0]}"
      raise ConfigError(f"--grid names {field}, which is {flat[field]!r}: {first if flat[field] is None else why}")
    try:
      grid[field] = [float(value) for value in values.split(",")]
    except ValueError:
      raise ConfigError(f"--grid gives {field} the values {values!r}; numbers are wanted, such as 0.1,1,10") from None
    if not all(map(math.isfinite, grid[field])) or len({*grid[field]}) < len(grid[field]):
      raise ConfigError(f"--grid gives {field} the values {values!r}; they have to be finite, and each of them once")
  return grid


def summarise(rows: list[dict], settings: list[dict], metrics: list[str]) -> list[dict]:
  """A row for each setting and metric: median, min and max over seeds."""
  summary = []
  for setting in settings:
    mine = [row for row in rows if all(row[k] == v for k, v in setting.items())]
    for metric in metrics:
      values = [row[metric] for row in mine]
      figures = {"median": float(np.median(values)), "min": min(values), "max": max(values)}
      summary.append(setting | {"metric": metric} | figures)
  return summary


def table(summary: list[dict]) -> str:
  """The summary for people to read, aligned."""
  fields = list(summary[0])
  cells = [fields] + [[v if isinstance(v, str) else f"{v:.5g}" for v in row.values()] for row in summary]
  widths = [max(len(row[i]) for row in cells) for i in range(len(fields))]
  return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


def write_csv(path: Path, rows: list[dict]) -> None:
  """Writes rows that have the same keys, with a line of these keys above them."""
  with path.open("w", newline="") as file:
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)


def save_plot(path: Path, history: dict[str, np.ndarray], settings: list[dict], seeds: int) -> None:
  """Every metric over rounds: for each setting the median over seeds, and the range as a band."""
  names = [name for name in history if name != "step"]
  figure = Figure(figsize=(7, 2.6 * len(names)), layout="constrained")
  for place, name in enumerate(names):
    axes = figure.add_subplot(len(names), 1, place + 1)
    for i, setting in enumerate(settings):
      values = history[name][i * seeds : (i + 1) * seeds]
      label = ", ".join(f"{k} {v:g}" for k, v in setting.items()) or None
      axes.plot(history["step"], np.median(values, 0), label=label)
      axes.fill_between(history["step"], values.min(0), values.max(0), alpha=0.2)
    axes.set(xlabel="round", ylabel=name)
    axes.grid(alpha=0.3)
    if len(settings) > 1:
      axes.legend()
  figure.savefig(path, dpi=100)
