"""The page of a run or a sweep: one HTML file that holds its pictures, curves and numbers and what they mean.

All is read from the workdir, so that a page can be made of a run that goes on, was interrupted, or was made by an older
version: what is not there is left out. A file that is there but damaged raises ConfigError, which names it; pictures
that cannot be read, such as one that is being written, are left out.
"""

import base64
import csv
import html
import importlib.resources
import json
import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from gan_jax import commands, curves, report
from gan_jax.errors import ConfigError
from gan_jax.metrics import health

_PICTURES = 40  # of one kind, on a slider
_BYTES = 8_000_000  # of all pictures together, before they become text
_SMALL = 360  # pixels across, below which the page enlarges a picture and shows its pixels as squares

# What a reader should know of figures that every run may have. Measures come with their own explanations.
EXPLAINED = {
  "loss": "What each player minimises, on its own batches. The players pull against each other: neither loss has to "
  "fall, and a low one does not mean good samples. What is wrong is one that grows without end.",
  "gradient": "The norm of a player's gradient. Near 0 it no longer learns; growing a hundredfold, it diverges.",
  "health/real_above_fake": "How often the discriminator scores a real example above a generated one. 0.5: it cannot "
  "tell them apart; 1: it always can, and the generator may learn little from it.",
  "health/seen_above_unseen": "How often it scores a training example above a held-out one. Near 0.5 is good; towards "
  "1 it knows the training examples by heart.",
  "health/margin": "The mean score of real examples less that of generated ones. Its size depends on the loss.",
  "health/variety": "How varied samples are, against real examples. Near 1 is good; near 0 modes are collapsing.",
  "health/saturation": "The share of generated values at an end of their range, less that of real ones: near 0.",
  "health/change": "How far samples are from those of the averaged weights, in distances between real examples.",
  "seconds": "The time since the point before, with evaluations and pictures; the first ones include compiling.",
  "data/waiting": "The share of the time that was spent waiting for data. Near 0 is good.",
}
_TITLES = {
  "loss": "Losses",
  "gradient": "Gradients",
  "health/real_above_fake": "Real scored above generated",
  "health/seen_above_unseen": "Seen scored above unseen",
  "health/margin": "Margin",
  "health/variety": "Variety of the samples",
  "health/saturation": "Saturation",
  "health/change": "Change of the samples",
  "seconds": "Seconds",
  "data/waiting": "Waiting for data",
}
_KINDS = {
  "": "Samples",
  "neighbours": "Samples and the training images nearest to them",
  "reconstructions": "Reconstructions",
}


class _Run(NamedTuple):
  """What a workdir says.

  Attributes:
    config: by flat names.
    environment: as environment.json has it.
    rows: of metrics.jsonl, values that are not finite None.
    warnings: as warnings.jsonl has them.
    evaluation: as evaluation.json has it, with every key; of older runs made from the rows.
    round: the last one.
    rounds: how many there are to be, 0 where nobody says.
  """

  config: dict[str, Any]
  environment: dict[str, Any]
  rows: list[dict[str, Any]]
  warnings: list[dict[str, Any]]
  evaluation: dict[str, Any]
  round: int
  rounds: int


def verdict(workdir: Path) -> str:
  """A run in a few sentences: how far it came, its headline measures, its warnings.

  Raises:
    ConfigError: if a file of the workdir is damaged.
  """
  return " ".join(_sentences(_read(workdir)))


def save(workdir: Path, title: str) -> None:
  """Writes report.html, the page of a run, from what the workdir holds.

  Raises:
    ConfigError: if a file of the workdir is damaged; an older page stays.
  """
  run = _read(workdir)
  sections = [
    _header(title, _sentences(run)),
    _warnings(run),
    _pictures(workdir),
    _curves(run),
    _measures(run),
    _details(workdir, run),
  ]
  report.write_text(workdir / "report.html", _document(title, sections))


def save_sweep(folder: Path, title: str) -> None:
  """Writes report.html, the page of a sweep: its members side by side, the summary, the best and how to sample from it.

  Raises:
    ConfigError: if a file of the folder is damaged; an older page stays.
  """
  config = report.read_json(folder / "config.json") or {}
  members, summary = _read_csv(folder / "members.csv"), _read_csv(folder / "sweep.csv")
  evaluation = report.read_json(folder / "evaluation.json") or {}
  settings = [*(config.get("grid") or {}), "seed"]
  best = _best(folder, members, settings)
  counted = f"{len(members):,} member{'s' * (len(members) != 1)}" if members else "No members yet"
  rounds = _flat(config).get("train.rounds")
  lead = f"{counted}, {rounds:,} rounds each." if members and isinstance(rounds, int) else f"{counted}."
  sections = [
    _header(title, [lead]),
    _best_member(folder, members, settings, best, _flat(config).get("eval.best")),
    _members(folder, members, settings, best),
    _section("Over the seeds", _table(summary)) if summary else "",
    _section("How they were measured", _terms(evaluation.get("protocol") or {})),
    _section("Over the rounds", _plot(folder / "sweep.png")),
    _section("Details", _shown("The config", config)),
  ]
  report.write_text(folder / "report.html", _document(title, sections))


# What the files say


def _read(workdir: Path) -> _Run:
  config = _flat(report.read_json(workdir / "config.json") or {})
  rows: list[dict[str, Any]] = [
    {name: value if name == "step" else _finite(value) for name, value in row.items()}
    for row in report.read_metrics(workdir / "metrics.jsonl")
  ]
  evaluation = _read_evaluation(workdir / "evaluation.json", rows)
  last = max([row["step"] for row in rows] + [evaluation["round"]])
  rounds = config.get("train.rounds") or evaluation["rounds"]
  return _Run(
    config,
    report.read_json(workdir / "environment.json") or {},
    rows,
    [{"name": "a warning", "message": ""} | row for row in report.read_metrics(workdir / "warnings.jsonl")],
    evaluation,
    last,
    rounds if isinstance(rounds, int) else 0,
  )


def _read_evaluation(path: Path, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """evaluation.json; where there is none, the last values of the rows that no player, nor the loop itself, reports."""
  found = report.read_json(path)
  whole: dict[str, Any] = {"round": 0, "rounds": 0, "ended": "", "weights": ""}
  whole |= {"measures": {}, "explained": {}, "headline": [], "protocol": {}}
  if found is None:
    for row in rows:
      bare = {name: value for name, value in row.items() if "/" not in name and name not in ("step", "seconds")}
      whole["measures"] |= bare
      whole["round"] = row["step"] if bare else whole["round"]
    return whole
  for key, default in whole.items():
    if not isinstance(found.get(key, default), type(default)):
      raise ConfigError(
        f"{path} is damaged ({key!r} is {found[key]!r}); remove it, the next evaluation writes it again"
      )
  measures = {name: _finite(value) for name, value in found.get("measures", {}).items()}
  return whole | found | {"measures": measures}


def _read_csv(path: Path) -> list[dict[str, str]]:
  if not path.exists():
    return []
  try:
    with path.open(newline="", encoding="utf-8") as file:
      rows = list(csv.DictReader(file, strict=True))
  except (csv.Error, UnicodeDecodeError) as error:
    raise ConfigError(f"{path} is damaged ({error}); repair or remove it") from error
  if any(None in row or None in row.values() for row in rows):
    raise ConfigError(f"{path} is damaged (its lines differ in length); repair or remove it")
  return rows


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """{"train": {"rounds": 9}} -> {"train.rounds": 9}."""
  flat = {}
  for name, value in config.items():
    flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
  return flat


def _finite(value: Any) -> float | None:
  number = isinstance(value, (int, float)) and not isinstance(value, bool)
  return value if number and math.isfinite(value) else None


def _companion(name: str, measures: Mapping[str, Any]) -> bool:
  """Whether a measure is the floor, or the largest value, of another."""
  return any(name.endswith(end) and name.removesuffix(end) in measures for end in ("_floor", "_most"))


def _first(run: _Run, name: str) -> tuple[int, float] | None:
  """A measure's first value and its round, where that is not the last evaluation's."""
  found = next(((row["step"], row[name]) for row in run.rows if row.get(name) is not None), None)
  return found if found and found[0] < run.evaluation["round"] else None


def _label(run: _Run, name: str) -> str:
  return str(_explanation(run, name).get("label") or name)


def _explanation(run: _Run, name: str) -> Mapping[str, Any]:
  found = run.evaluation["explained"].get(name)
  return found if isinstance(found, Mapping) else {}


def _watched(run: _Run) -> int:
  """How many rows have figures that warnings come from; those of older versions have none."""
  return sum(any(name.startswith("health/") or name.endswith("/gradient") for name in row) for row in run.rows)


# The verdict


def _sentences(run: _Run) -> list[str]:
  sentences = [_progress(run), _headline(run)]
  if run.warnings:
    since = lambda w: f" (since round {w['round']:,})" if isinstance(w.get("round"), int) else ""
    each = "; ".join(f"{w['name']}{since(w)}" for w in run.warnings)
    sentences.append(f"{len(run.warnings)} warning{'s' * (len(run.warnings) > 1)}: {each}.")
  elif _watched(run):
    sentences.append("No warnings." if _watched(run) >= health.ROWS else "Too early for warnings.")
  return [sentence for sentence in sentences if sentence]


def _progress(run: _Run) -> str:
  if not run.round:
    return "No rounds yet."
  times = [row["seconds"] for row in run.rows if row.get("seconds") is not None]
  duration = f" in {_duration(sum(times))}" if times else ""
  ended = run.evaluation["ended"] if run.evaluation["round"] == run.round else ""
  if ended:
    reason = ended.removeprefix("early").lstrip(": ").rstrip(".")
    of = f" of {run.rounds:,}" if run.rounds else ""
    return f"Ended early after {run.round:,}{of} rounds{duration}{': ' * bool(reason)}{reason}."
  if run.rounds > run.round:
    return f"{run.round:,} of {run.rounds:,} rounds so far{duration}."
  return f"All {run.round:,} rounds{duration}." if run.rounds else f"{run.round:,} rounds{duration}."


def _headline(run: _Run) -> str:
  evaluation = run.evaluation
  if not evaluation["measures"]:
    return "No evaluation." if run.round >= run.rounds > 0 else "No evaluation yet."
  parts = []
  for name in evaluation["headline"]:
    if name not in evaluation["measures"]:
      continue
    notes = [_beside(run, f"{name}_floor", "real data"), _beside(run, f"{name}_most", "at most")]
    first = None if parts else _first(run, name)
    notes.append(f"{_number(first[1])} after round {first[0]:,}" if first else "")
    notes = "; ".join(filter(None, notes))
    parts.append(f"{_label(run, name)} {_number(evaluation['measures'][name])}{f' ({notes})' if notes else ''}")
  if not parts:
    return ""
  at = f"After round {evaluation['round']:,}: " if evaluation["round"] < run.round else ""
  said = at + ", ".join(parts)
  return f"{said[0].upper()}{said[1:]}."


def _beside(run: _Run, name: str, words: str) -> str:
  value = run.evaluation["measures"].get(name)
  return "" if value is None else f"{words} {_number(value)}"


def _number(value: float | None, digits: int = 3) -> str:
  if value is None:
    return "not finite"
  if value == 0 or 10 ** (digits - 1) <= abs(value) < 1e7 or (value == round(value) and abs(value) < 1e7):
    return f"{value:,.0f}"
  return f"{value:.{digits}g}"


def _duration(seconds: float) -> str:
  if seconds < 10:
    return f"{seconds:.1f} s"
  whole = round(seconds)
  if whole < 60:
    return f"{whole} s"
  if whole < 3600:
    return f"{whole // 60} min {whole % 60} s"
  return f"{whole // 3600} h {whole % 3600 // 60} min"


# The page's sections


def _document(title: str, sections: Iterable[str]) -> str:
  beside = importlib.resources.files("gan_jax")
  style, script = ((beside / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
  return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title)}</title>
<style>
{style}</style>
</head>
<body>
{"".join(sections)}
<script>
{script}</script>
</body>
</html>
"""


def _header(title: str, sentences: Sequence[str]) -> str:
  lead = "".join(f"<p>{_text(sentence)}</p>" for sentence in sentences)
  return f'<header><h1>{_text(title)}</h1><div class="verdict">{lead}</div></header>'


def _section(title: str, body: str) -> str:
  return f"<section><h2>{_text(title)}</h2>{body}</section>" if body else ""


def _warnings(run: _Run) -> str:
  if not run.warnings:
    return "" if _watched(run) else '<p class="quiet">This run was not watched for warnings.</p>'
  items = "".join(f'<li id="warning-{i}">{_warning(w)}</li>' for i, w in enumerate(run.warnings, 1))
  return f'<ol class="warnings">{items}</ol>'


def _warning(warning: Mapping[str, Any]) -> str:
  """The message, which may begin with the name; settings to try do not break in two."""
  name, message = str(warning["name"]), str(warning["message"])
  rest = message.removeprefix(name) if message.startswith(name) else f". {_capitalised(message)}"
  rest = re.sub(r"--[\w.]+=\S*[^\s.,;]", r"<code>\g<0></code>", _text(rest))
  return f"<b>{_text(_capitalised(name))}</b>{rest}"


def _pictures(workdir: Path) -> str:
  """Real images beside the samples, then the other kinds of pictures."""
  whole = {kind: [(s, path) for s, path in all_of if _size(path)] for kind, all_of in report.pictures(workdir).items()}
  kinds = {kind: pictures for kind, pictures in whole.items() if pictures}
  real = workdir / "samples" / "real.png"
  budget = _BYTES // max(len(kinds), 1)
  figures = {kind: _slider(kind, pictures, budget) for kind, pictures in kinds.items()}
  samples = figures.pop("", '<p class="quiet">No samples yet.</p>' if not figures else "")
  if samples and _size(real):
    samples = f"<figure><h3>Real, held out</h3>{_image(real, 'Real images, held out')}</figure>{samples}"
  further = "".join(figures.values())
  shown = _section("Samples", f'<div class="pictures">{samples}</div>') if samples else ""
  title = "More pictures" if samples else "Pictures"
  return shown + (_section(title, f'<div class="pictures further">{further}</div>') if further else "")


def _slider(kind: str, pictures: Sequence[tuple[int, Path]], budget: int) -> str:
  """Pictures of one kind, the newest in sight and the others on a slider: as many as fit, evenly spaced."""
  largest = max(path.stat().st_size for _, path in pictures)
  most = min(len(pictures), _PICTURES, max(2, budget // largest))
  shown = [pictures[round(i * (len(pictures) - 1) / max(most - 1, 1))] for i in range(most)]
  title = _KINDS.get(kind, _capitalised(kind.replace("_", " ")))
  images = [_image(path, f"{title} after round {step:,}", f"round {step:,}") for step, path in shown]
  images = [image.replace("<img", "<img hidden", 1) for image in images[:-1]] + images[-1:]
  slide = f'<input type="range" min="0" max="{most - 1}" value="{most - 1}" autocomplete="off" aria-label="round of: '
  slide = f'{slide}{_text(title)}">' if most > 1 else ""
  caption = f"<figcaption><output>round {shown[-1][0]:,}</output></figcaption>"
  kind_of = "slider" if most > 1 else "single"
  return f'<figure class="{kind_of}"><h3>{_text(title)}</h3>{"".join(images)}{slide}{caption}</figure>'


def _image(path: Path, alt: str, caption: str = "") -> str:
  """A picture within the page; one that the page will enlarge keeps its pixels square."""
  width, height = _size(path) or (0, 0)
  small = ' class="small"' if width < _SMALL else ""
  data = f' data-caption="{_text(caption)}"' if caption else ""
  source = base64.b64encode(path.read_bytes()).decode()
  size = f'width="{width}" height="{height}"'
  return f'<img{small}{data} {size} alt="{_text(alt)}" src="data:image/png;base64,{source}">'


def _size(path: Path) -> tuple[int, int] | None:
  """Of a whole picture; None where there is none."""
  try:
    with Image.open(path) as image:
      size = image.size
      image.verify()
  except (OSError, SyntaxError):
    return None
  return size


def _curves(run: _Run) -> str:
  end = max([row["step"] for row in run.rows], default=0)
  since = lambda w: w["round"] if isinstance(w.get("round"), int) else w["step"]
  marks = [(i, since(w)) for i, w in enumerate(run.warnings, 1)]
  panels = []
  for quantity, names in _quantities(run).items():
    title = _TITLES.get(quantity) or _capitalised(_label(run, quantity).rpartition("/")[2].replace("_", " "))
    meaning = EXPLAINED.get(quantity) or _explanation(run, quantity).get("meaning", "")
    lines = {_series(name): [(r["step"], r[name]) for r in run.rows if r.get(name) is not None] for name in names}
    floor, most = (run.evaluation["measures"].get(quantity + end) for end in ("_floor", "_most"))
    levels = {"real data": floor, "at most": most}
    levels = {words: value for words, value in levels.items() if value is not None}
    drawn = curves.panel(lines, end, levels, marks, title)
    if drawn:
      explained = f'<p class="meaning">{_text(meaning)}</p>' if meaning else ""
      legend = _legend([label for label, points in lines.items() if points], [*levels])
      panels.append(f'<div class="curve"><h3>{_text(title)}</h3>{explained}{legend}{drawn}</div>')
  return _section("Over the rounds", f'<div class="curves">{"".join(panels)}</div>' if panels else "")


def _quantities(run: _Run) -> dict[str, list[str]]:
  """What is drawn together: a quantity of all players, a measure of averaged and of raw weights."""
  names = list(dict.fromkeys(name for row in run.rows for name in row if name != "step"))
  measures, headline = [n for n in names if "/" not in n and n != "seconds"], run.evaluation["headline"]
  found: dict[str, list[str]] = {}
  for name in names:
    if _companion(name, {**dict.fromkeys(measures), **run.evaluation["measures"]}):
      continue
    raw = name.removeprefix("raw_")
    quantity = raw if raw in measures else name
    if "/" in name and name not in EXPLAINED:
      quantity = name.rpartition("/")[2]
    found.setdefault(quantity, []).append(name)
  order = [*headline, *EXPLAINED, *measures]
  place = lambda q: order.index(q) if q in order else len(order)
  return {quantity: sorted(found[quantity]) for quantity in sorted(found, key=place)}


def _series(name: str) -> str:
  """What a line is called beside others of its panel."""
  if "/" in name:
    return name if name in EXPLAINED else name.rpartition("/")[0]
  return "raw weights" if name.startswith("raw_") else "averaged weights"


def _legend(labels: Sequence[str], levels: Sequence[str]) -> str:
  lines = [f'<span class="c{i % 6}"><i></i>{_text(label)}</span>' for i, label in enumerate(labels)]
  keys = (lines if len(lines) > 1 else []) + [f'<span><i class="level"></i>{_text(label)}</span>' for label in levels]
  return f'<div class="legend">{"".join(keys)}</div>' if keys else ""


def _measures(run: _Run) -> str:
  evaluation = run.evaluation
  measures = evaluation["measures"]
  shown = [name for name in measures if not _companion(name, measures)]
  if not shown:
    return ""
  shown.sort(key=lambda n: evaluation["headline"].index(n) if n in evaluation["headline"] else math.inf)
  since = {first[0] for first in (_first(run, name) for name in shown) if first}
  rows = "".join(_row(run, name, len(since) > 1) for name in shown)
  first = f"round {since.pop():,}" if len(since) == 1 else "at first"
  heads = "".join(f'<th scope="col">{head}</th>' for head in ("", "now", "real data", first))
  table = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
  weights = f", of the {evaluation['weights']} weights" if evaluation["weights"] else ""
  lead = f'<p class="quiet">After round {evaluation["round"]:,}{_text(weights)}.</p>'
  return _section("Measures", f'{lead}<div class="measures">{table}{_protocol(evaluation["protocol"])}</div>')


def _row(run: _Run, name: str, dated: bool) -> str:
  """A measure's row of the table; `dated` if its first value has to say of which round it is."""
  measures, first = run.evaluation["measures"], _first(run, name)
  floor, most = measures.get(f"{name}_floor"), measures.get(f"{name}_most")
  note = lambda text: f'<br><span class="quiet">{text}</span>'
  cells = [
    _number(measures[name], 4) + ("" if most is None else note(f"at most {_number(most, 4)}")),
    "" if floor is None else _number(floor, 4),
    _number(first[1], 4) + (note(f"round {first[0]:,}") if dated else "") if first else "",
  ]
  row = "".join(f"<td>{cell}</td>" for cell in cells)
  meaning = _explanation(run, name).get("meaning")
  explained = f'<tr class="meaning"><td colspan="4">{_text(meaning)}</td></tr>' if meaning else ""
  return f'<tr><th scope="row">{_text(_capitalised(_label(run, name)))}</th>{row}</tr>{explained}'


def _protocol(protocol: Mapping[str, Any]) -> str:
  terms = _terms(protocol)
  return f'<div><p class="quiet">How they were measured</p>{terms}</div>' if terms else ""


def _terms(protocol: Mapping[str, Any]) -> str:
  """Evaluator by evaluator, what is beside its numbers: counts, split, extractor."""
  parts = []
  for evaluator, settings in protocol.items():
    settings = settings if isinstance(settings, Mapping) else {"": settings}
    terms = "".join(f"<dt>{_text(name)}</dt><dd>{_text(_plain(value))}</dd>" for name, value in settings.items())
    parts.append(f"<h3>{_text(_capitalised(evaluator.replace('_', ' ')))}</h3><dl>{terms}</dl>")
  return "".join(parts)


def _plain(value: Any) -> str:
  if isinstance(value, int) and not isinstance(value, bool):
    return f"{value:,}"
  return value if isinstance(value, str) else json.dumps(value)


def _details(workdir: Path, run: _Run) -> str:
  place = shlex.quote(f"--workdir={workdir}")
  experiment = run.environment.get("experiment")
  shown = {}
  if "" in report.pictures(workdir):  # a translator does not sample
    shown["Sample from it"] = f"{commands.shown('sample')} {place}"
  shown["Evaluate it again"] = f"{commands.shown('evaluate')} {place}"
  if isinstance(experiment, str) and experiment:
    given = shlex.quote(f"--config={experiment}")
    resume = f"{commands.shown('run')} {given} {place}"
    shown["Resume it, with the settings that it was started with"] = resume
  listed = "".join(f"<p>{_text(words)}:</p><pre>{_text(command)}</pre>" for words, command in shown.items())
  return _section("Details", listed + _shown("The config", run.config) + _shown("The environment", run.environment))


def _shown(title: str, record: Mapping[str, Any]) -> str:
  text = json.dumps(record, indent=2, ensure_ascii=False)
  return f"<details><summary>{_text(title)}</summary><pre>{_text(text)}</pre></details>" if record else ""


# The sections of a sweep's page


def _best(folder: Path, members: Sequence[Mapping[str, str]], settings: Sequence[str]) -> int | None:
  """The member that best/ holds: the one with its settings and its seed."""
  kept = _flat(report.read_json(folder / "best" / "config.json") or {})
  same = lambda member: all(_parsed(member.get(name)) == _parsed(kept.get(name)) for name in settings)
  return next((i for i, member in enumerate(members) if kept and same(member)), None)


def _parsed(text: Any) -> Any:
  try:
    return float(text)
  except (TypeError, ValueError):
    return text


def _best_member(
  folder: Path, members: Sequence[Mapping[str, str]], settings: Sequence[str], best: int | None, by: Any
) -> str:
  if best is None:
    return ""
  measure = f" by {by}" if isinstance(by, str) and by else ""
  said = f"The best{measure} is member {best}: {_described(members[best], settings)}. It is kept in best/."
  place = folder / "best"
  command = f"{commands.shown('sample')} {shlex.quote(f'--workdir={place}')}"
  return f"<p>{_text(said)} To sample from it:</p><pre>{_text(command)}</pre>"


def _described(member: Mapping[str, str], settings: Sequence[str]) -> str:
  return ", ".join(f"{name} {_cell(member[name])}" for name in settings if name in member)


def _members(folder: Path, members: Sequence[Mapping[str, str]], settings: Sequence[str], best: int | None) -> str:
  """Each member's pictures, settings and last numbers; pictures only as long as they fit, the best one's always."""
  left, figures = _BYTES, []
  for i, member in enumerate(members):
    stem, picture = f"member_{i:03d}", ""
    for path in sorted((folder / "samples").glob(f"{stem}*.png")):
      if not _size(path):
        continue
      left -= path.stat().st_size
      name = path.stem.removeprefix(stem).lstrip("_") or "Samples"
      picture += _image(path, f"{name} of member {i}") if left > 0 or i == best else f"<p>{_text(path.name)}</p>"
    numbers = [_text(f"{name} {_cell(text)}") for name, text in member.items() if name not in settings]
    numbers = (
      f"<details{' open' * (len(numbers) <= 8)}><summary>numbers</summary>{'<br>'.join(numbers)}</details>"
      if numbers
      else ""
    )
    title = f"Member {i}{', the best' * (i == best)}"
    kind = ' class="best"' if i == best else ""
    caption = f"<figcaption>{_text(_described(member, settings))}{numbers}</figcaption>"
    figures.append(f"<figure{kind}><h3>{title}</h3>{picture}{caption}</figure>")
  return _section("Members", f'<div class="members">{"".join(figures)}</div>' if figures else "")


def _table(rows: Sequence[Mapping[str, str]]) -> str:
  heads = "".join(f'<th scope="col">{_text(name)}</th>' for name in rows[0])
  body = "".join(f"<tr>{''.join(map(_cell_of_table, row.values()))}</tr>" for row in rows)
  return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell_of_table(text: str) -> str:
  word = "" if isinstance(_parsed(text), float) else ' class="word"'
  return f"<td{word}>{_text(_cell(text))}</td>"


def _cell(text: str) -> str:
  value = _parsed(text)
  return _number(_finite(value), 4) if isinstance(value, float) else text


def _plot(path: Path) -> str:
  return f'<figure class="plot">{_image(path, "Metrics over rounds, of each setting")}</figure>' if _size(path) else ""


def _capitalised(text: str) -> str:
  return text[:1].upper() + text[1:]


def _text(value: Any) -> str:
  return html.escape(str(value))
