"""Evaluators: each file makes of a trained game numbers and pictures, side by side.

`make(context, /, *, ...settings) -> Evaluation` asks the game for abilities and the data for what it needs, and raises
ConfigError where they are missing. A config lists files in `eval.evaluators`; the settings of `FILE` are `eval.FILE`.

What draws does so from `train.evaluation_key(state.key)`: the same latents after every round, of every seed its own,
in a sweep as in a run. Numbers and pictures are of the averaged weights where a moving average is kept; numbers of the
raw ones, where they are reported too, are called raw_...
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from gan_jax.data.dataset import Dataset
from gan_jax.game import Game, TrainState


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


class Evaluation(NamedTuple):
  """What an evaluator makes of a game.

  Attributes:
    measure: `state -> {name: scalar}`; pure, to be jitted and vmapped.
    pictures: what it draws.
  """

  measure: Callable[[TrainState], dict[str, jax.Array]] = lambda state: {}
  pictures: tuple[Picture, ...] = ()
