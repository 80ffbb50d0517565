"""The table of results: a line for each sweep over seeds, with how its numbers were found."""

import csv
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.lab import configs, workdir
from experiments.lab.observer import EVALUATION
from gan_jax import report
from gan_jax.errors import ConfigError
from gan_jax.metrics import quality

BEGIN, END = "<!-- results: filled by experiments.results -->", "<!-- end of results -->"


def table(folder: Path) -> str:
  """The table of all sweeps in a folder and its subfolders, in Markdown, by the experiments' names.

  Raises:
    ConfigError: there is no finished sweep, or a file of one is damaged.
  """
  lines, protocols = {}, []
  for path in sorted(folder.rglob("members.csv")):
    config, described, environment = (
      report.read_json(path.parent / name) for name in ("config.json", EVALUATION, workdir.ENVIRONMENT)
    )
    if not config or not described or not environment:
      raise ConfigError(f"{path.parent} is no whole sweep: a file is missing beside members.csv")
    with path.open(newline="") as file:
      rows = list(csv.DictReader(file))
    experiment = str(environment["experiment"])
    if config["grid"]:
      raise ConfigError(f"{path.parent} sweeps {', '.join(config['grid'])}; a result is of one setting over seeds")
    name = f"`{configs.name_of(experiment)}`{_changes(config, experiment)}"
    if name in lines:
      raise ConfigError(f"{path.parent} is a second sweep of {name}; keep one in {folder}")
    how = _protocol(described["protocol"])
    protocols += [how] if how not in protocols else []
    lines[name] = _line(name, config, described, environment, rows, protocols.index(how) + 1)
  if not lines:
    raise ConfigError(f"{folder} holds no sweep that is finished: experiments.sweep makes them")
  notes = [f"({number}) {how}." for number, how in enumerate(protocols, 1)]
  return "\n".join([*_HEAD, *(lines[name] for name in sorted(lines)), "", "\n\n".join(notes)])


def filled(page: str, table: str) -> str:
  """A page with the table between its two marks. Raises ConfigError if they are not there, or not in order."""
  before, begin, rest = page.partition(BEGIN)
  _, end, after = rest.partition(END)
  if not begin or not end:
    raise ConfigError(f"the page has no place for the table: a line {BEGIN}, and below it a line {END}")
  return f"{before}{begin}\n{table}\n{end}{after}"


_HEAD = (
  "| experiment | median (range) over seeds | how | seeds | rounds | time each | machine |",
  "|---|---|---|---|---|---|---|",
)


def _line(
  name: str,
  config: Mapping[str, Any],
  described: Mapping[str, Any],
  environment: Mapping[str, Any],
  rows: Sequence[Mapping[str, str]],
  note: int,
) -> str:
  found = [_measure(name, described, rows) for name in described["headline"] if name in rows[0]]
  seeds = sorted({int(row["seed"]) for row in rows})
  cells = [
    name,
    "; ".join(found),
    f"({note})",
    f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}",
    f"{config['train']['rounds']:,}",
    f"{described['seconds'] / len(rows) / 60:.1f} min",
    f"{environment['processor']}, {len(environment['devices'])} x {environment['devices'][0].partition(':')[0]}",
  ]
  return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _changes(config: Mapping[str, Any], experiment: str) -> str:
  """In what a sweep differs from the experiment as its file has it, "" where it does not."""
  plain, ours = configs.flatten(configs.plain(configs.load(experiment))), configs.flatten(config)
  of_the_game = lambda field: field.partition(".")[0] in ("game", "nets", "optimizer", "data", "train", "dtype")
  changed = [
    f"{field}={ours[field]}" for field in sorted(ours) if of_the_game(field) and plain.get(field) != ours[field]
  ]
  return f" with {', '.join(changed)}" if changed else ""


def _measure(name: str, described: Mapping[str, Any], rows: Sequence[Mapping[str, str]]) -> str:
  values = [float(row[name]) for row in rows]
  label = described["explained"].get(name, {"label": name})["label"]
  said = f"{label} {statistics.median(values):.3g}"
  if max(values) > min(values):
    said += f" ({min(values):.3g} to {max(values):.3g})"
  for end, what in ((quality.FLOOR, "real data"), (quality.MOST, "at most")):
    if name + end in rows[0]:
      said += f", {what} {statistics.median(float(row[name + end]) for row in rows):.3g}"
  return said


def _protocol(protocol: Mapping[str, Mapping[str, Any]]) -> str:
  written = lambda value: f"{value:.3g}" if isinstance(value, float) else str(value)
  said = (f"{what}: {written(value)}" for each in protocol.values() for what, value in each.items() if what != "why")
  return "; ".join(said)
