"""The rows and pictures of a run for TensorBoard and for Weights & Biases, beside the files that every run leaves.

Each gets every row and picture once, however often the run is resumed, those from before it was asked for too:
trackers.json in the workdir says how far it is. A run that is resumed repeats its rounds bit for bit, so
that what was handed over before an interruption still holds.
"""

import contextlib
import importlib.util
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from experiments.lab.configs import Config
from gan_jax import report
from gan_jax.errors import ConfigError

_PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb"}


class _Tracker(NamedTuple):
  """Where rows and pictures go.

  Attributes:
    row: takes the round and its finite values by name.
    picture: takes the round, the kind and the file.
    flush: writes down what it got.
    close: at the end.
  """

  row: Callable[[int, Mapping[str, float]], Any]
  picture: Callable[[int, str, Path], Any]
  flush: Callable[[], Any]
  close: Callable[[], Any]


class Trackers:
  """The trackers of a run; `opened` makes it."""

  def __init__(self, folder: Path, trackers: Mapping[str, _Tracker], given: dict[str, Any]):
    self._folder, self._trackers, self._given = folder, trackers, given

  def rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
    """Hands over rows of metrics, oldest first."""
    self._hand_over("row", [(row["step"], [_values(row)]) for row in rows])

  def pictures(self, until: int) -> None:
    """Hands over the pictures in the workdir up to round `until`."""
    if not self._trackers:
      return
    found: dict[int, list[tuple[str, Path]]] = {}
    for kind, pictures in report.pictures(self._folder).items():
      for step, path in pictures:
        found.setdefault(step, []).append((kind or "samples", path))
    self._hand_over("picture", [(step, found[step]) for step in sorted(found) if step <= until])

  def _hand_over(self, what: str, items: list[tuple[int, list]]) -> None:
    for name, tracker in self._trackers.items():
      last = self._given[name][what]
      for step, things in items:
        for thing in things if step > last else ():
          getattr(tracker, what)(step, *thing)
      tracker.flush()
      self._given[name][what] = max([last, *(step for step, _ in items)])
    if self._trackers:
      report.write_text(self._folder / "trackers.json", json.dumps(self._given))


def check(config: Config) -> None:
  """Raises ConfigError if the config asks for a tracker whose package is not installed."""
  for name in _asked(config):
    if importlib.util.find_spec(_PACKAGES[name]) is None:
      raise ConfigError(f"log.{name} needs {_PACKAGES[name]}, which is not installed: pip install 'gan_jax[trackers]'")


def refuse(config: Config) -> None:
  """Raises ConfigError if the config asks for a tracker at all."""
  for name in _asked(config):
    raise ConfigError(f"log.{name} is for experiments.run; a sweep leaves members.csv, sweep.csv and sweep.png")


@contextlib.contextmanager
def opened(
  config: Config, folder: Path, described: Mapping[str, Any], step: int, writes: bool = True
) -> Iterator[Trackers]:
  """The trackers that the config asks for, brought up to round `step`, which the run goes on from.

  Args:
    config: of the run.
    folder: its workdir.
    described: the config as JSON has it.
    step: the last round.
    writes: whether this process is the one that writes; there are no trackers otherwise.

  Raises:
    ConfigError: if trackers.json is damaged.
  """
  asked = _asked(config) if writes else []
  given = _read(folder / "trackers.json") if asked else {}
  open_one = {"tensorboard": _tensorboard, "wandb": _wandb}
  with contextlib.ExitStack() as stack:
    trackers = {}
    for name in asked:
      state = given.setdefault(name, {"row": 0, "picture": 0, "id": secrets.token_hex(4)})
      trackers[name] = open_one[name](config, folder, described, state)
      stack.callback(trackers[name].close)
    all_of_them = Trackers(folder, trackers, given)
    if trackers:
      all_of_them.rows(report.read_metrics(folder / "metrics.jsonl", until=step))
      all_of_them.pictures(step)
    yield all_of_them


def _asked(config: Config) -> list[str]:
  return [name for name in _PACKAGES if config.log[name]]


def _read(path: Path) -> dict[str, Any]:
  given = report.read_json(path) or {}
  for state in given.values():
    if not isinstance(state, dict) or not all(isinstance(state.get(what), int) for what in ("row", "picture")):
      raise ConfigError(f"{path} is damaged ({state!r} is no state of a tracker); remove it to hand over all again")
  return given


def _values(row: Mapping[str, Any]) -> tuple[dict[str, float]]:
  return ({name: value for name, value in row.items() if name != "step" and value is not None},)


def _tensorboard(config: Config, folder: Path, described: Mapping[str, Any], state: Mapping[str, Any]) -> _Tracker:
  """Events in the workdir's folder tensorboard: `tensorboard --logdir=runs` shows all runs."""
  import tensorboardX  # pyright: ignore[reportMissingImports]

  suffix = f".{secrets.token_hex(4)}"  # a file of the same second would be written over
  writer = tensorboardX.SummaryWriter(str(folder / "tensorboard"), filename_suffix=suffix)
  if not state["row"]:
    writer.add_text("config", f"```\n{json.dumps(described, indent=2)}\n```")

  def row(step, values):
    for name, value in values.items():
      writer.add_scalar(name, value, step)

  def picture(step, kind, path):
    with Image.open(path) as image:
      writer.add_image(kind, np.asarray(image.convert("RGB")), step, dataformats="HWC")

  return _Tracker(row, picture, writer.flush, writer.close)


def _wandb(config: Config, folder: Path, described: Mapping[str, Any], state: Mapping[str, Any]) -> _Tracker:
  """A run of the project log.wandb, kept in the workdir's folder wandb and uploaded by `wandb sync`, or at once where
  the variable WANDB_MODE is online."""
  import wandb  # pyright: ignore[reportMissingImports]

  run = wandb.init(
    project=config.log.wandb,
    name=folder.name,
    id=state["id"],
    resume="allow",
    dir=str(folder),
    mode=os.environ.get("WANDB_MODE", "offline"),  # pyright: ignore[reportArgumentType]
    config=dict(described),
  )
  run.define_metric("*", step_metric="round")  # its own steps only grow, and start again where it is offline
  row = lambda step, values: run.log({"round": step, **values})
  picture = lambda step, kind, path: run.log({"round": step, kind: wandb.Image(str(path))})
  return _Tracker(row, picture, lambda: None, run.finish)
