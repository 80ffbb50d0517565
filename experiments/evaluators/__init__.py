"""Evaluators: each file makes of a trained game numbers and pictures, side by side.

`make(context, /, *, ...settings) -> Evaluation` asks the game for abilities and the data for what it needs, and raises
ConfigError where they are missing. A config lists files in `eval.evaluators`; the settings of `FILE` are `eval.FILE`.

What draws does so from `train.evaluation_key(state.key)`: the same latents after every round, of every seed its own,
in a sweep as in a run. Numbers and pictures are of the averaged weights where a moving average is kept; numbers of the
raw ones, where they are reported too, are called raw_...
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax.data.dataset import Dataset
from gan_jax.game import Game, TrainState
from gan_jax.report import Plot


class Context(NamedTuple):
  """What is evaluated.

  Attributes:
    game: what was played.
    dataset: what it was played on.
    settings: the game's own, as its `make` got them; numbers, never traced.
  """

  game: Game
  dataset: Dataset
  settings: Mapping[str, Any]


class Picture(NamedTuple):
  """One picture of a state.

  Attributes:
    name: of its files, behind the round's number; "" for none.
    draw: `state -> [N, ...]` in data space; pure, to be jitted.
    columns: images in a row; None for a square.
  """

  name: str
  draw: Callable[[TrainState], jax.Array]
  columns: int | None = None


class Judgement(NamedTuple):
  """What was found of one state on the host.

  Attributes:
    numbers: by name. Names that end in `metrics.quality.FLOOR` are what real data gets of the measure before that.
    protocol: how they were found, for people: counts, the reference, the network that looked.
    sheets: pictures by name, of images [N, H, W, C] in [-1, 1], and how many are in a row.
    plots: lines to be drawn by name; they stand among the pictures.
  """

  numbers: Mapping[str, float] = {}
  protocol: Mapping[str, Any] = {}
  sheets: Mapping[str, tuple[np.ndarray, int]] = {}
  plots: Mapping[str, Plot] = {}


class Evaluation(NamedTuple):
  """What an evaluator makes of a game.

  Attributes:
    measure: `state -> {name: scalar}`; pure, to be jitted and vmapped.
    pictures: what it draws.
    judge: what does not fit into one compiled function, such as many samples at once; on the host.
    explained: of each number a label, and in one line what it is and which way is good.
    headline: the few numbers that say whether a run worked, the first one first.
    protocol: how `measure` finds its numbers, as in `Judgement`.
  """

  measure: Callable[[TrainState], dict[str, jax.Array]] = lambda state: {}
  pictures: tuple[Picture, ...] = ()
  judge: Callable[[TrainState], Judgement] = lambda state: Judgement()
  explained: Mapping[str, tuple[str, str]] = {}
  headline: tuple[str, ...] = ()
  protocol: Mapping[str, Any] = {}


def together(evaluations: Mapping[str, Evaluation]) -> Evaluation:
  """Several evaluators as one, whose protocols stand under the names given here."""
  each = evaluations.values()

  def judge(state):
    found = {name: evaluation.judge(state) for name, evaluation in evaluations.items()}
    merged = {what: _merged(getattr(one, what) for one in found.values()) for what in ("numbers", "sheets", "plots")}
    return Judgement(protocol={name: one.protocol for name, one in found.items() if one.protocol}, **merged)

  return Evaluation(
    measure=lambda state: _merged(one.measure(state) for one in each),
    pictures=tuple(picture for one in each for picture in one.pictures),
    judge=judge,
    explained=_merged(one.explained for one in each),
    headline=tuple(name for one in each for name in one.headline),
    protocol={name: one.protocol for name, one in evaluations.items() if one.protocol},
  )


def _merged(mappings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
  return {name: value for mapping in mappings for name, value in mapping.items()}
