"""What is seen of a run between its rounds: figures, warnings, evaluations, pictures, and which round was the best."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.evaluators import Evaluation, Judgement
from experiments.lab import configs, health, trackers
from experiments.lab.build import Experiment
from experiments.lab.configs import Config
from gan_jax import page, report
from gan_jax.data.dataset import decode, spread
from gan_jax.errors import ConfigError, nearest
from gan_jax.game import TrainState

EVALUATION, BEST, SAMPLES = "evaluation.json", "best", "samples"  # a file, a folder of checkpoints, one of pictures


class Found(NamedTuple):
  """The best evaluation of a run so far.

  Attributes:
    round: when.
    value: of the measure that `eval.best` names.
    since: how many evaluations have followed.
  """

  round: int
  value: float
  since: int


class Observer:
  """Looks at the states of a stage, in the process that writes."""

  def __init__(
    self,
    stage: configs.Stage,
    experiment: Experiment,
    folder: Path,
    title: str,
    rounds: int,
    tracked: trackers.Trackers,
  ):
    self.rounds = rounds  # of the run
    self._stage, self._experiment, self._folder, self._title = stage, experiment, folder, title
    self._tracked = tracked
    self._watch = health.Watch(folder, stage, experiment.game)
    self._measure = jax.jit(experiment.evaluation.measure)
    self._pictures = [(picture, jax.jit(picture.draw)) for picture in experiment.evaluation.pictures]
    self._judged = Judgement()
    self._rows = report.read_metrics(folder / health.METRICS)

  def warn(self, rows: list[dict[str, Any]]) -> None:
    """Warns of what is wrong after further rows; before what is not finite ends the run."""
    self._watch.look(rows)

  def write(self, rows: list[dict[str, Any]], seen: TrainState | None) -> None:
    """Writes rows that `warn` has seen, with an evaluation of the state after them where one is given.

    Raises:
      ConfigError: if the workdir is not there any more, or `eval.best` was not found.
    """
    if not (self._folder / "config.json").exists():
      raise ConfigError(
        f"{self._folder} was removed while the run was playing; begin it anew, or put it back and resume"
      )
    numbers, wanted = {}, self._stage.config.eval.best
    if seen is not None:
      self._judged = self._experiment.evaluation.judge(seen)
      numbers = {name: finite(value) for name, value in {**self._measure(seen), **self._judged.numbers}.items()}
      if wanted and wanted not in numbers:
        raise ConfigError(f"eval.best is {wanted!r}, which this evaluation did not find.{nearest(wanted, numbers)}")
      rows[-1] |= numbers
      self._watch.look()
    report.append_metrics(self._folder / health.METRICS, rows)
    self._tracked.rows(rows)
    self._rows += rows
    if seen is not None:
      described = description(
        self._experiment.evaluation, numbers, self._judged.protocol, int(seen.step), weights_of(seen)
      )
      described |= {"rounds": self.rounds, "ended": self.ended, "pictures": self._names(int(seen.step))}
      report.write_text(self._folder / EVALUATION, json.dumps(described, indent=2))

  def draw(self, seen: TrainState) -> None:
    """Draws the state that was written last, and rewrites the page."""
    real, samples = self._experiment.dataset.held_out, self._folder / SAMPLES
    path = lambda kind: samples / _file(int(seen.step), kind)
    for picture, draw in self._pictures:
      report.save_samples(path(picture.name), np.asarray(draw(seen)), real, picture.columns)
    for kind, (images, columns) in self._judged.sheets.items():
      report.save_samples(path(kind), images, real, columns)
    for kind, plot in self._judged.plots.items():
      report.save_plot(path(kind), plot)
    if real.ndim == 4 and not (samples / "real.png").exists():
      shown = decode({"x": jnp.asarray(spread(real, 64))})["x"]
      report.save_samples(samples / "real.png", np.asarray(shown), real)
    page.save(self._folder, self._title)
    self._tracked.pictures(int(seen.step))

  def redraw(self, seen: TrainState) -> None:
    """Draws a state that was written before this run began."""
    self._judged = self._experiment.evaluation.judge(seen)
    self.draw(seen)

  def _names(self, step: int) -> list[str]:
    """The files that `draw` makes."""
    kinds = [picture.name for picture, _ in self._pictures]
    return [_file(step, kind) for kind in (*kinds, *self._judged.sheets, *self._judged.plots)]

  @property
  def improved(self) -> bool:
    """Whether the last evaluation is the best so far."""
    found = best(self._rows, self._stage.config.eval)
    return found is not None and found.since == 0

  @property
  def ended(self) -> str:
    """Why the run ends here, "" if it does not."""
    return ended(self._rows, self._stage.config.eval)


def missing(folder: Path, step: int) -> bool:
  """Whether a picture that was drawn after round `step` is gone; of the last evaluation alone that is known."""
  try:
    described = report.read_json(folder / EVALUATION) or {}
  except ConfigError:  # damaged; the next evaluation writes it anew
    return False
  drawn = described.get("pictures", ()) if described.get("round") == step else ()
  return not all((folder / SAMPLES / name).exists() for name in drawn)


def _file(step: int, kind: str) -> str:
  """The name of a picture; samples have no kind."""
  return f"{'_'.join(filter(None, [f'{step:07d}', kind]))}.png"


def check_best(config: Config, experiment: Experiment, state: TrainState) -> None:
  """Raises ConfigError if `eval.best` names nothing that the evaluators find, or is missing where it is needed."""
  wanted, patience = config.eval.best, config.eval.patience
  if patience and not wanted:
    raise ConfigError(f"eval.patience is {patience}, but eval.best names no measure to wait for")
  known = {*jax.eval_shape(experiment.evaluation.measure, state), *experiment.evaluation.explained}
  if wanted and wanted not in known:
    raise ConfigError(f"eval.best is {wanted!r}, which no evaluator measures.{nearest(wanted, known)}")


def check_same_best(folder: Path, described: Mapping[str, Any]) -> None:
  """Raises ConfigError if a run that keeps its best checkpoint is to go on with other measures."""
  there = (report.read_config(folder) or {}).get("eval", {})
  if there.get("best"):
    old, new = configs.flatten(there), configs.flatten(described["eval"])
    differ = [k for k in sorted(old | new) if old.get(k) != new.get(k) and k not in ("every", "patience")]
    if differ:
      raise ConfigError(
        f"{folder} keeps the best checkpoint by {there['best']}, so eval.{differ[0]} cannot change: it is "
        f"{old.get(differ[0])!r} there and {new.get(differ[0])!r} here. Choose another --workdir"
      )


def best(rows: Sequence[Mapping[str, Any]], settings: Config) -> Found | None:
  """The best evaluation among the rows of a run by `eval.best`, the earliest of equal ones; None if there is none."""
  values: list[tuple[int, float]] = [
    (row["step"], row[settings.best]) for row in rows if row.get(settings.best) is not None
  ]
  if not values:
    return None
  sign = -1.0 if settings.highest else 1.0
  place = min(range(len(values)), key=lambda i: sign * values[i][1])
  return Found(*values[place], len(values) - 1 - place)


def ended(rows: Sequence[Mapping[str, Any]], settings: Config) -> str:
  """Why a run with these rows ends before its last round, "" if it does not."""
  found = best(rows, settings)
  if not settings.patience or found is None or found.since < settings.patience:
    return ""
  return f"{settings.best} has not improved in {found.since} evaluations since round {found.round:,}"


def description(
  evaluation: Evaluation,
  numbers: Mapping[str, float | None],
  protocol: Mapping[str, Any],
  step: int,
  weights: str,
) -> dict[str, Any]:
  """What evaluation.json says: what was found after round `step`, of which weights, how, and what it means."""
  explained = {name: {"label": label, "meaning": line} for name, (label, line) in evaluation.explained.items()}
  return {
    "round": step,
    "weights": weights,
    "measures": dict(numbers),
    "explained": explained,
    "headline": list(evaluation.headline),
    "protocol": {**evaluation.protocol, **protocol},
  }


def weights_of(state: TrainState) -> str:
  """Which weights evaluators look at."""
  return "averaged" if state.ema else "raw"


def finite(value: Any) -> float | None:
  """What an evaluation found, None if it is not finite: a bound by quadrature may be so, and the run goes on."""
  return float(value) if math.isfinite(value) else None
