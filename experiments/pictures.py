"""What `config.eval.pictures` can name: each makes of an experiment's parts a list of pictures to draw of a state."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gan_jax import train
from gan_jax.data.dataset import Dataset, decode
from gan_jax.game import Game, TrainState
from gan_jax.games.infogan import Codes

_ROWS = 8  # of a traversal: as many latents
_STEPS = 10  # of a continuous code
_SHOWN = 12  # translated images


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


def samples(config: ConfigDict, game: Game, dataset: Dataset) -> list[Picture]:
  """Draws of the averaged generator, from the same latents each time: `config.eval.samples`, of points 32 times as many."""
  n = config.eval.samples * (1 if len(dataset.shape) == 3 else 32)
  return [Picture("", lambda state: game.sample(*train.averaged(state), jax.random.key(config.seed), n))]


def traversals(
  codes_of: Callable[[ConfigDict], Codes | None], config: ConfigDict, game: Game, dataset: Dataset
) -> list[Picture]:
  """For each of InfoGAN's codes a grid: the code along the columns, noise and all other codes fixed along the rows.

  A continuous code goes from -1 to 1, where it was in training.

  Raises:
    ValueError: if the game has no codes.
  """
  codes = codes_of(config.game)
  if codes is None:
    raise ValueError(f"eval.pictures lists 'traversals', of codes that the game {config.game.name} does not have")
  key, codes_key = jax.random.split(jax.random.key(config.seed))
  rows = jax.random.split(key, _ROWS)
  fixed = codes.encode(*codes.draw(codes_key, _ROWS))
  values = {f"categorical_{i}": jnp.eye(classes) for i, classes in enumerate(codes.categorical)}
  values |= {f"continuous_{i}": jnp.linspace(-1.0, 1.0, _STEPS)[:, None] for i in range(codes.continuous)}
  drawn, start = [], 0
  for name, along in values.items():
    shown = jnp.tile(fixed[:, None], (1, len(along), 1)).at[:, :, start : start + along.shape[1]].set(along[None])
    drawn.append(Picture(name, _of_codes(game, rows, shown), len(along)))
    start += along.shape[1]
  return drawn


def _of_codes(game: Game, rows: jax.Array, codes: jax.Array) -> Callable[[TrainState], jax.Array]:
  """Samples with noise of each row's key and `codes` [rows, columns, size], row by row."""

  def draw(state):
    one = lambda key, code: game.sample(*train.averaged(state), key, 1, codes=code[None])[0]
    images = jax.vmap(jax.vmap(one, (None, 0)))(rows, codes)
    return images.reshape(-1, *images.shape[2:])

  return draw


def translations(config: ConfigDict, game: Game, dataset: Dataset) -> list[Picture]:
  """For each direction of CycleGAN three rows: held-out images, their translations, and these translated back.

  Raises:
    ValueError: if the game does not translate.
  """
  if config.game.name != "cyclegan":
    raise ValueError(f"eval.pictures lists 'translations', which the game {config.game.name} does not make")
  return [_translation(game, dataset, *domains) for domains in ("xy", "yx")]


def _translation(game: Game, dataset: Dataset, here: str, there: str) -> Picture:
  held_out = dataset.test[here]
  step = max(len(held_out) // _SHOWN, 1)  # spread out, for they may be sorted
  source = decode({"x": jnp.asarray(held_out[::step][:_SHOWN])})["x"]

  def draw(state):
    go = lambda domain, x: game.sample(*train.averaged(state), jax.random.key(0), len(x), **{domain: x})
    translated = go(here, source)
    return jnp.concatenate([source, translated, go(there, translated)])

  return Picture(f"{here}_to_{there}", draw, len(source))
