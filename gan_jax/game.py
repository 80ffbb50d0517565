"""The vocabulary of a game: networks, the players who own them, the order of their moves, and the state of play.

There is no behaviour here. `gan_jax.train` turns a `Game` into compiled rounds; a file in `gan_jax/games` builds one.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import chex
import jax
import optax

Batch = Mapping[str, jax.Array]  # "x": data in [-1, 1], [B, ...]; "label": int32 [B], and whatever else a game asks for

Optimizers = (
  optax.GradientTransformation | Mapping[str, optax.GradientTransformation]
)  # one for all players, or by name


class Net(NamedTuple):
  """A network as two pure functions.

  Attributes:
    init: `key -> (params, stats)`, two pytrees of arrays. `stats` is what moves without gradient (batch statistics,
      the vectors of a power iteration); an empty dictionary where there is none.
    apply: `(params, stats, *inputs, key=None, train=True) -> (output, stats)`.
  """

  init: Callable[[jax.Array], tuple[Any, Any]]
  apply: Callable[..., tuple[Any, Any]]


class Aux(NamedTuple):
  """What a loss hands back beside its value.

  Attributes:
    stats: the new statistics of nets that the moving player owns, by name.
    memory: the game's new memory, or None to leave it as it is.
    metrics: scalars to log, by name.
  """

  stats: Mapping[str, Any] = {}
  memory: Any = None
  metrics: Mapping[str, jax.Array] = {}


class Player(NamedTuple):
  """Someone who moves some of the networks to make a loss of their own small.

  Attributes:
    owns: names of the nets that this player moves.
    loss: `(params, state, batch, key) -> (scalar, Aux)`, always minimised. `params` maps every net to its parameters;
      the gradient is taken with respect to the owned ones. All else that the loss may need stands in `state`.
    tx: the optimiser of the owned parameters.
    project: applied to the owned parameters, a mapping from net to pytree, after each update (WGAN's clipping).
  """

  owns: tuple[str, ...]
  loss: Callable[[Mapping[str, Any], "TrainState", Batch, jax.Array], tuple[jax.Array, Aux]]
  tx: optax.GradientTransformation
  project: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda params: params


class Move(NamedTuple):
  """One turn in a round.

  Attributes:
    players: who moves; several players move at once, each from the same old state.
    repeat: how often, one after the other, each time with a key of its own.
    draws: whether each repetition gets a batch of its own; otherwise it is shown the round's last one.
  """

  players: tuple[str, ...]
  repeat: int = 1
  draws: bool = True


class Game(NamedTuple):
  """A paper: its networks, its players and the order in which they move.

  Attributes:
    nets: every network by name.
    players: every player by name.
    moves: one round.
    sample: `(params, stats, key, n, **conditions) -> [n, ...]`, draws in data space, values in [-1, 1] for images.
    init_memory: `key -> pytree`, what the game remembers beside its networks (pools of images).
    averaged: the nets of which a moving average is kept.
    ema_decay: the moving average's decay per round.
    frozen: nets that nobody moves, named so that forgetting an owner is not mistaken for it.
  """

  nets: Mapping[str, Net]
  players: Mapping[str, Player]
  moves: tuple[Move, ...]
  sample: Callable[..., jax.Array]
  init_memory: Callable[[jax.Array], Any] = lambda key: ()
  averaged: tuple[str, ...] = ("generator",)
  ema_decay: float | jax.Array = 0.999
  frozen: tuple[str, ...] = ()

  @property
  def draws(self) -> int:
    """How many batches one round uses."""
    return sum(move.repeat for move in self.moves if move.draws)


@chex.dataclass(frozen=True)
class TrainState:
  """Everything that a game remembers: arrays only, so that scan, vmap, shardings and checkpoints take it as one.

  Attributes:
    step: rounds played, int32 scalar.
    key: the run's random key. It never changes: a round folds `step` into it.
    params: net -> parameters.
    stats: net -> statistics.
    opt: player -> optimiser state.
    ema: averaged net -> {"params": ..., "stats": ...}, their moving average.
    memory: what `Game.init_memory` made, as the losses have left it.
  """

  step: jax.Array
  key: jax.Array
  params: Mapping[str, Any]
  stats: Mapping[str, Any]
  opt: Mapping[str, Any]
  ema: Mapping[str, Any]
  memory: Any


def optimizer_of(tx: Optimizers, player: str) -> optax.GradientTransformation:
  """The optimiser of one player, out of one for all of them or a mapping by name.

  Raises:
    ValueError: if the mapping has none for `player`.
  """
  if not isinstance(tx, Mapping):
    return tx
  if player not in tx:
    raise ValueError(f"player '{player}' has no optimizer; there are optimizers for {sorted(tx)}")
  return tx[player]
