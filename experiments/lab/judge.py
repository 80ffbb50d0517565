"""How good a run is, or a folder of pictures: everything that experiments.evaluate finds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.evaluators import Evaluation, images
from experiments.evaluators._extractors import opener
from experiments.lab import trained
from experiments.lab.build import build
from experiments.lab.observer import description, finite, weights_of
from gan_jax.data import folder as files
from gan_jax.data.dataset import from_arrays, spread
from gan_jax.errors import ConfigError
from gan_jax.metrics import features, quality

_MOST = 10_000  # samples, unless more are asked for


def of_run(workdir: Path, checkpoint: str, raw: bool, settings: Mapping[str, Any]) -> dict[str, Any]:
  """What the evaluators of a run find, and of images all that `evaluators.images` can tell.

  Args:
    workdir: of the run.
    checkpoint: as `trained.load` takes it.
    raw: whether the generator's own weights are judged, in place of their moving average.
    settings: of `evaluators.images`; what is empty is as in the run, but "n" as many as are held out.

  Raises:
    ConfigError: as `trained.load` and the evaluators do.
  """
  experiment, state = trained.load(workdir, checkpoint)
  game, dataset = experiment.game, experiment.dataset
  config, _, _ = trained.stage_of(workdir, checkpoint)
  if game.sample is not None and len(dataset.shape) == 3:
    given = {name: value for name, value in settings.items() if value}
    count = {"n": min(len(dataset.held_out), _MOST)}  # a run looks at fewer, for it does so often
    config.eval.evaluators = tuple(dict.fromkeys([*config.eval.evaluators, "images"]))
    config.eval.images = {**config.eval.get("images", {}), **count, **given}
  elif any(settings.values()):
    raise ConfigError(f"the run in {workdir} makes no images, so there is nothing to choose but checkpoint and weights")
  if not config.eval.evaluators:
    raise ConfigError(f"the run in {workdir} has no evaluators, and it makes no images")
  state = state.replace(opt={}, memory=(), ema={} if raw else state.ema)
  evaluation = build(config, dataset).evaluation
  judged = evaluation.judge(state)
  numbers = {**jax.jit(evaluation.measure)(state), **judged.numbers}
  numbers = {name: finite(value) for name, value in numbers.items()}
  found = description(evaluation, numbers, judged.protocol, int(state.step), weights_of(state))
  return {"workdir": str(workdir)} | found


def of_folders(
  made: str | None, reference: str | None, seen: str | None, resolution: int | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
  """Compares the images in two folders: generated ones, and real ones, which are best not those of training.

  Args:
    made: the folder of generated images.
    reference: the folder of real ones.
    seen: the folder of those that the generator was trained on, if they are known.
    resolution: side in pixels to bring them all to; None where they have one size.
    settings: "extractor", "weights" and "tensorflow" of `evaluators.images`; "n", of how many of `made`, 0 all.

  Raises:
    ConfigError: a folder is missing or not given, images differ in shape, or the extractor cannot be had.
  """
  if not made or not reference:
    raise ConfigError("which run? For example --workdir=runs/fgan_kl, or --images=DIR --reference=DIR for pictures")
  read = {what: files.read_all(place, resolution) for what, place in (("made", made), ("real", reference))}
  if seen:
    read["seen"] = files.read_all(seen, resolution)
  channels = max(each.shape[-1] for each in read.values())  # grey ones have three equal channels then
  read = {what: np.broadcast_to(each, (*each.shape[:3], channels)) for what, each in read.items()}
  if len({each.shape[1:] for each in read.values()}) > 1:
    shapes = ", ".join(str(list(each.shape[1:])) for each in read.values())
    raise ConfigError(f"the folders hold images of {shapes}; --resolution=SIDE brings them to one size")
  name = settings["extractor"] or features.default(labels=False, discriminator=False)[0]
  if name not in ("efficientnet", "inception"):
    raise ConfigError(f"--extractor={name} needs a run; of folders there are efficientnet and inception")
  dataset = from_arrays(reference, {"x": read["real"]}, {"x": read["real"]})
  extractor = opener(name, dataset, None, settings["weights"], settings["tensorflow"])(None, None)
  n = settings["n"] or len(read["made"])
  if n > len(read["made"]):
    raise ConfigError(f"--n is {n:,}, but {made} holds {len(read['made']):,} images")
  if min(n, len(read["real"])) <= images.FEW:
    raise ConfigError(
      f"there are {n} images in {made} and {len(read['real'])} in {reference}; more than {images.FEW} are needed"
    )
  judged = images.compare(extractor, spread(read["made"], n), read["real"], read.get("seen"), whole=True)
  evaluation = Evaluation(explained=images.EXPLAINED, headline=images.HEADLINE)
  numbers = {name: finite(value) for name, value in judged.numbers.items()}
  size = {"resolution": resolution} if resolution else {}
  found = description(evaluation, numbers, {"images": {**judged.protocol, **size}}, 0, "")
  return {"images": made, "reference": reference} | {k: v for k, v in found.items() if k not in ("round", "weights")}


def table(found: Mapping[str, Any]) -> str:
  """The numbers for people to read: each with what real images get of it, and in a line what it is."""
  measures, rows = found["measures"], [("measure", "value", "real data", "")]
  written = lambda name: "" if name not in measures else "-" if measures[name] is None else f"{measures[name]:.4g}"
  for name in measures:
    if name.endswith((quality.FLOOR, quality.MOST)):
      continue
    what = found["explained"].get(name, {"label": name, "meaning": ""})
    most = written(name + quality.MOST)
    value = written(name) + (f" of {most}" if most else "")
    rows.append((what["label"], value, written(name + quality.FLOOR), what["meaning"]))
  widths = [max(len(row[i]) for row in rows) for i in range(3)]
  lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0])).rstrip() for row in rows]
  how = [f"{what}: {value}" for protocol in found["protocol"].values() for what, value in protocol.items()]
  return "\n".join([*lines, *how])
