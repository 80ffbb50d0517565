"""The table of results: a line for each sweep over seeds, with how its numbers were found."""

import ast
import csv
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.lab import configs, workdir
from experiments.lab.observer import EVALUATION
from gan_jax import report
from gan_jax.errors import ConfigError
from gan_jax.metrics import quality

BEGIN, END = "<!-- results: filled by experiments.results -->", "<!-- end of results -->"
BEGIN_OVERVIEW, END_OVERVIEW = "<!-- experiments: filled by experiments.results -->", "<!-- end of experiments -->"


class Result(NamedTuple):
  """A line of the table.

  Attributes:
    cells: of all columns but that of the note.
    protocol: how the numbers were found, which the note says; "" where there is nothing to say.
  """

  cells: tuple[str, ...]
  protocol: str


def read(folder: Path) -> dict[str, Result]:
  """The results of all sweeps in a folder and its subfolders, by their experiments.

  Raises:
    ConfigError: there is no finished sweep, there are two of one kind, or a file of one is damaged.
  """
  found = {}
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
    if name in found:
      raise ConfigError(f"{path.parent} is a second sweep of {name}; keep one in {folder}")
    found[name] = Result(_cells(name, config, described, environment, rows), _protocol(described["protocol"]))
  if not found:
    raise ConfigError(f"{folder} holds no sweep that is finished: experiments.sweep makes them")
  return found


def table(results: Mapping[str, Result]) -> str:
  """The table in Markdown, by the experiments' names, and below it how the numbers were found."""
  lines, protocols = [], []
  for name in sorted(results):
    cells, protocol = results[name]
    protocols += [protocol] if protocol and protocol not in protocols else []
    note = f"({protocols.index(protocol) + 1})" if protocol else ""
    numbered = [*cells[:_NOTE], note, *cells[_NOTE:]]
    lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in numbered) + " |")
  notes = [f"({number}) {protocol}." for number, protocol in enumerate(protocols, 1)]
  return "\n".join([*_HEAD, *lines, "", "\n\n".join(notes)])


def shown(page: str) -> dict[str, Result]:
  """The results that a page's table has.

  Raises:
    ConfigError: the page has no place for a table, or a line of it was not made by `table`.
  """
  _, written, _ = _parts(page, BEGIN, END)
  notes = {"": ""} | dict(re.findall(r"^\((\d+)\) (.*)\.$", written, re.M))
  found = {}
  for line in re.findall(r"^\| (`.*) \|$", written, re.M):
    cells = [cell.replace("\\|", "|") for cell in re.split(r"(?<!\\) \| ", line)]
    if len(cells) != _HEAD[0].count("|") - 1 or cells[_NOTE].strip("()") not in notes:
      raise ConfigError(f"the page's table has a line that experiments.results did not write: {line[:60]}...")
    found[cells[0]] = Result((*cells[:_NOTE], *cells[_NOTE + 1 :]), notes[cells[_NOTE].strip("()")])
  return found


def filled(page: str, results: Mapping[str, Result]) -> str:
  """The page with these results in its table, beside those of other experiments that it has already.

  Raises:
    ConfigError: as `shown`.
  """
  before, _, after = _parts(page, BEGIN, END)
  return f"{before}{BEGIN}\n{table({**shown(page), **results})}\n{END}{after}"


def overview(page: str, results: Mapping[str, Result], images: Path) -> str:
  """The page with every experiment in its table: a picture, its names, the first line of its file and two figures.

  Args:
    page: the text of the README, which lies beside the folder `experiments`.
    results: those that `shown` finds.
    images: a folder that may hold NAME.png for an experiment, relative to the page.

  Raises:
    ConfigError: the page has no place for the table.
  """
  before, _, after = _parts(page, BEGIN_OVERVIEW, END_OVERVIEW)
  lines = ["| samples | `--config=` | what it is | median (range) over seeds |", "|---|---|---|---|"]
  for path in configs.experiments_in():
    picture = images / f"{path.stem}.png"
    shown = f'<img src="{picture}" width="110" alt="{path.stem}">' if picture.is_file() else ""
    variants = " ".join(f"`:{variant}`" for variant in configs.variants_of(path))
    given = f"[`{path.stem}`](experiments/{path.name}) {variants}".rstrip()
    about = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    lines.append(f"| {shown} | {given} | {about} | {_first_figures(path.stem, results)} |")
  return "\n".join([before + BEGIN_OVERVIEW, *lines, END_OVERVIEW + after])


def _first_figures(experiment: str, results: Mapping[str, Result]) -> str:
  """The first two figures of an experiment, or else of its first variant that has been measured."""
  given = [experiment, *(f"{experiment}:{variant}" for variant in configs.variants_of(configs.file_of(experiment)[0]))]
  for each in given:
    if result := results.get(f"`{configs.name_of(each)}`"):
      figures = "; ".join(result.cells[1].split("; ")[:2])
      return figures if each == experiment else f"`{each}`: {figures}"
  return ""


def _parts(page: str, begin: str, end: str) -> tuple[str, str, str]:
  """What stands before the table, the table, and what stands after it."""
  before, begins, rest = page.partition(begin)
  written, ends, after = rest.partition(end)
  if not begins or not ends:
    raise ConfigError(f"the page has no place for the table: a line {begin}, and below it a line {end}")
  return before, written, after


_HEAD = (
  "| experiment | median (range) over seeds | how | seeds | rounds | time each | machine |",
  "|---|---|---|---|---|---|---|",
)
_NOTE = 2  # the column of the note's number


def _cells(
  name: str,
  config: Mapping[str, Any],
  described: Mapping[str, Any],
  environment: Mapping[str, Any],
  rows: Sequence[Mapping[str, str]],
) -> tuple[str, ...]:
  found = [_measure(name, described, rows) for name in described["headline"] if name in rows[0]]
  seeds = sorted({int(row["seed"]) for row in rows})
  return (
    name,
    "; ".join(found),
    f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}",
    f"{config['train']['rounds']:,}",
    f"{described['seconds'] / len(rows) / 60:.1f} min",
    f"{environment['processor']}, {len(environment['devices'])} x {environment['devices'][0].partition(':')[0]}",
  )


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
  said = f"{label} {_number(statistics.median(values))}"
  if max(values) > min(values):
    said += f" ({_number(min(values))} to {_number(max(values))})"
  for end, what in ((quality.FLOOR, "real data"), (quality.MOST, "at most")):
    if name + end in rows[0]:
      said += f", {what} {_number(statistics.median(float(row[name + end]) for row in rows))}"
  return said


def _number(value: float) -> str:
  return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _protocol(protocol: Mapping[str, Mapping[str, Any]]) -> str:
  written = lambda value: f"{value:.3g}" if isinstance(value, float) else str(value)
  said = (f"{what}: {written(value)}" for each in protocol.values() for what, value in each.items() if what != "why")
  return "; ".join(said)
