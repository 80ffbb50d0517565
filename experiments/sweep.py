"""Plays an experiment over seeds and settings, as one compiled program:

    python -m experiments.sweep --config=experiments/wgan_gp.py --seeds=16 --grid="game.penalty_weight=0.1,1,10"

Every member is the run that `experiments.run` would do with that seed and those settings. A sweep has no checkpoints; the
workdir gets config.json, members.csv (every member), sweep.csv (median and range over seeds for each setting) and sweep.png.
"""

import csv
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from matplotlib.figure import Figure
from ml_collections import ConfigDict, config_flags
from tqdm import tqdm

from experiments import command
from experiments.build import at_least_one, build
from experiments.members import over_members
from experiments.run import CONFIG, WORKDIR, connect, writes
from gan_jax import cache, shard, train
from gan_jax.data.dataset import Dataset

SEEDS = flags.DEFINE_integer("seeds", 8, "how many seeds, counted up from config.seed")
GRID = flags.DEFINE_multi_string("grid", [], "FIELD=VALUE,VALUE,...; given again, the product of all")

Values = dict[str, jax.Array]  # field of the config -> a number for each member


def main() -> None:
  config, name = CONFIG.value, command.name_of(config_flags.get_config_filename(flags.FLAGS["config"]))
  workdir = Path(WORKDIR.value or Path("runs") / f"sweep_{name}")
  at_least_one("--seeds", SEEDS.value)
  if config.compilation_cache:
    cache.keep_programs()
  sweep(config, parse_grid(GRID.value, config), SEEDS.value, workdir)


def sweep(config: ConfigDict, grid: dict[str, list[float]], seeds: int, workdir: Path) -> list[dict[str, float]]:
  """Plays all members to `config.train.rounds`; returns a row for each: its settings, its seed, its last metrics.

  `config.mesh.member` devices share the members between them.

  Raises:
    ValueError: if the config or a setting of the grid is wrong, or the workdir holds something else; nothing is written
      then.
  """
  connect(config)
  mesh = _mesh(config, seeds * math.prod(map(len, grid.values())))
  described = {"grid": grid, "seeds": seeds} | config.to_dict()
  _check_workdir(workdir, described)
  settings = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
  experiments = [build(with_values(config, setting)) for setting in settings[:1]]
  dataset = experiments[0].dataset
  if dataset.draw is None:
    raise ValueError(
      f"{dataset.name} is streamed, but a sweep's members share data on the device; give more data.memory"
    )
  for setting in settings[1:]:
    build(with_values(config, setting), dataset)
  members = [setting | {"seed": config.seed + seed} for setting in settings for seed in range(seeds)]
  values = {field: jnp.array([member[field] for member in members]) for field in grid}
  keys = jnp.stack([jax.random.key(member["seed"]) for member in members])
  way = over_members(experiments[0])
  if writes():
    print(
      f"{len(settings)} settings x {seeds} seeds, {config.train.rounds:,} rounds each, by {way.__name__}", flush=True
    )
  state, history = play(config, dataset, keys, values, way, mesh)
  last = {k: v[:, -1] for k, v in history.items() if k != "step"} | evaluate(config, dataset, state, values, way, mesh)
  rows = [member | {k: float(v[i]) for k, v in last.items()} for i, member in enumerate(members)]
  if not writes():
    return rows
  workdir.mkdir(parents=True, exist_ok=True)
  (workdir / "config.json").write_text(json.dumps(described, indent=2))
  write_csv(workdir / "members.csv", rows)
  summary = summarise(rows, settings, list(last))
  write_csv(workdir / "sweep.csv", summary)
  save_plot(workdir / "sweep.png", history, settings, seeds)
  print(table(summary))
  return rows


def play(
  config: ConfigDict, dataset: Dataset, keys: jax.Array, values: Values, way: Callable, mesh: jax.sharding.Mesh
) -> tuple[train.TrainState, dict[str, np.ndarray]]:
  """Plays every member, a chunk at a time; returns their states, and metrics [members, lines] with "step" [lines].

  `way` is how a device plays several members: one of `experiments.members`.
  """
  draw = shard.everywhere(mesh, build(config, dataset).draw)
  spread = lambda function: shard.over_members(mesh, way(function))

  def start(key, values, draw):
    return train.init(build(with_values(config, values), dataset).game, key)

  def compiled(rounds):
    def run(state, values, draw):
      state, metrics = train.make_scan(build(with_values(config, values), dataset).game, rounds, draw)(state)
      return state, {k: jnp.mean(v[-config.log.every :]) for k, v in metrics.items()}

    return jax.jit(spread(run), donate_argnums=0)

  state = jax.jit(spread(start))(keys, values, draw)
  runs: dict[int, Callable] = {}
  lines, steps, step = [], [], 0
  with tqdm(total=config.train.rounds * len(keys), unit="round", dynamic_ncols=True, disable=not writes()) as bar:
    while step < config.train.rounds:
      count = min(config.train.chunk, config.train.rounds - step)
      runs.setdefault(count, compiled(count))
      state, metrics = runs[count](state, values, draw)
      lines.append(jax.tree.map(np.asarray, shard.here(mesh, metrics)))
      step += count
      steps.append(step)
      bar.update(count * len(keys))
  return state, {k: np.stack([line[k] for line in lines], 1) for k in lines[0]} | {"step": np.array(steps)}


def evaluate(config, dataset, state, values, way, mesh) -> dict[str, np.ndarray]:
  """What `config.eval.metrics` say of every member, [members] each."""

  def measure(state, values, _):
    return build(with_values(config, values), dataset).evaluate(state)

  found = jax.jit(shard.over_members(mesh, way(measure)))(state, values, None)
  return jax.tree.map(np.asarray, shard.here(mesh, found))


def _mesh(config: ConfigDict, members: int) -> jax.sharding.Mesh:
  if config.mesh.data != 1 or config.mesh.fsdp:
    raise ValueError(
      f"mesh.data is {config.mesh.data}, fsdp {config.mesh.fsdp}; a sweep splits members, with mesh.member"
    )
  if members % config.mesh.member:
    raise ValueError(f"{members} members do not split evenly over mesh.member = {config.mesh.member} devices")
  return shard.mesh(member=config.mesh.member)


def with_values(config: ConfigDict, values: dict[str, Any]) -> ConfigDict:
  """The config with some numbers replaced, by other numbers or by traced ones."""
  config = config.copy_and_resolve_references()
  with config.unlocked():
    for field, value in values.items():
      *path, last = field.split(".")
      owner = config
      for part in path:
        owner = owner[part]
      with owner.ignore_type():
        owner[last] = value
  return config


def parse_grid(texts: list[str], config: ConfigDict) -> dict[str, list[float]]:
  """["game.penalty_weight=0.1,1"] -> {"game.penalty_weight": [0.1, 1.0]}.

  Raises:
    ValueError: if a field is not there, is the data's or no number that may be traced, or a value is not a number.
  """
  flat, grid = command.flatten(config), {}
  swept = [field for field, value in flat.items() if isinstance(value, float) and not field.startswith("data.")]
  for text in texts:
    field, _, values = text.partition("=")
    if field not in flat:
      raise ValueError(f"--grid names {field!r}, which is no setting.{command.nearest(field, swept)}")
    if field.startswith("data.") and isinstance(flat[field], float):
      raise ValueError(f"--grid names {field}, a setting of the data, which all members share; run a sweep for each")
    if field not in swept:
      raise ValueError(
        f"--grid names {field}, which cannot differ within one program: it is no real number.{command.nearest(field, swept)}"
      )
    try:
      grid[field] = [float(value) for value in values.split(",")]
    except ValueError:
      raise ValueError(f"--grid gives {field} the values {values!r}; numbers are wanted, such as 0.1,1,10") from None
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


def _check_workdir(workdir: Path, described: dict[str, Any]) -> None:
  """Raises ValueError if the workdir holds a run, or a sweep that is described in other words."""
  path = workdir / "config.json"
  if workdir.exists() and not workdir.is_dir():
    raise ValueError(f"the workdir {workdir} is a file; choose another with --workdir")
  if not path.exists():
    return
  old, new = (command.flatten(json.loads(text)) for text in (path.read_text(), json.dumps(described)))
  differ = sorted(k for k in old | new if old.get(k) != new.get(k) and k != "compilation_cache")
  if differ:
    shown = "; ".join(f"{field} is {old.get(field)!r} there and {new.get(field)!r} here" for field in differ)
    raise ValueError(f"{workdir} holds another sweep, or a run: {shown}. Choose another --workdir, or remove that one")


if __name__ == "__main__":
  command.start(main)
