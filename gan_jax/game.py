"""The vocabulary of a game: networks, the players who own them, the order of their moves, and the train state.

There is no behaviour here. `gan_jax.train` turns a `Game` into compiled rounds; a file in `gan_jax/games` builds one.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, dataclass_transform

import chex
import jax
import optax

Batch = Mapping[str, jax.Array]  # "x": data in [-1, 1], [B, ...]; "label": int32 [B], and whatever else a game asks for

Shape = tuple[int, ...]
Number = float | jax.Array
Scheduled = Number | Callable[[jax.Array], Number]  # a number, or a schedule of the round as optax has them
# One for all players, or by name.
Optimizers = optax.GradientTransformation | Mapping[str, optax.GradientTransformation]


class DataSpec(NamedTuple):
  """What a game has to know of the data that it is played on.

  Attributes:
    x: shape of one example, [H, W, C] for images, [D] for points.
    classes: how many labels there are; 0 where the data has none.
    domains: the batch's keys that are data: ("x",), or several, such as ("x", "y"), for translation between them.
    condition: shape of the image, "condition" in a batch, that each example is conditioned on; None where none is.
  """

  x: Shape
  classes: int = 0
  domains: tuple[str, ...] = ("x",)
  condition: Shape | None = None


class NetSpec(NamedTuple):
  """What a net of a game maps, in shapes of one example, without the batch axis.

  Attributes:
    inputs: a shape for each input, or the name of another net of the game, whose output it takes. A label is a one-hot
      vector, [classes]; () is one number an example, such as the level of noise that it carries.
    output: a shape; () is one number an example, a score. None is whatever the net gives: a trunk's features, the
      scores of patches.
  """

  inputs: tuple[Shape | str, ...]
  output: Shape | None


class Net(NamedTuple):
  """A network as two pure functions.

  Attributes:
    init: `key -> (params, stats)`, two pytrees of arrays. `stats` is what moves without gradient (batch statistics,
      the vectors of a power iteration); an empty dictionary where there is none.
    apply: `(params, stats, *inputs, key=None, train=True) -> (output, stats)`.
    features: `(params, stats, *inputs) -> [B, d]`, what the last layer reads, outside of training; None where nobody
      knows which layer that is.
    filters: `(params, stats) -> [kh, kw, C, O]`, the kernel of the first convolution; None where nobody knows it.
  """

  init: Callable[[jax.Array], tuple[Any, Any]]
  apply: Callable[..., tuple[Any, Any]]
  features: Callable[..., jax.Array] | None = None
  filters: Callable[[Any, Any], jax.Array] | None = None


class Aux(NamedTuple):
  """What a loss returns beside its value.

  Attributes:
    stats: the new statistics of the nets that it used, by name: `forward(...).stats`. A move keeps those of nets that
      the moving player owns.
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
    tx: the optimizer of the owned parameters.
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
    draws: whether each repetition gets a batch of its own; otherwise it reuses the round's last one.
    shared_key: whether players that move at once get the same key. Where their losses begin alike they then draw the
      same latents, and the compiler merges what they have in common into one forward pass.
  """

  players: tuple[str, ...]
  repeat: int = 1
  draws: bool = True
  shared_key: bool = False


class Game(NamedTuple):
  """A paper: its networks, its players, the order in which they move, and what it can do once it is trained.

  The abilities, `sample` to `codes`, take parameters and statistics of all nets by name and compute as in evaluation
  (no batch statistics). A game has those that make sense for it, and None in place of the others.

  Attributes:
    nets: every network by name.
    players: every player by name.
    moves: one round.
    sample: `(params, stats, key, n, latents=None, **conditions) -> [n, ...]`, draws in data space, values in [-1, 1]
      for images; with `latents` [n, latent_dim] it decodes these.
    translate: `(params, stats, key, x, source, target) -> [n, ...]`, images of the domain `source` in the domain
      `target`. It raises ConfigError unless (source, target) is one of `directions`.
    directions: the (source, target) that it translates, each of `DataSpec.domains`; of paired data ("condition", "x").
      `games._abilities.translations` makes both fields.
    encode: `(params, stats, key, x) -> [n, latent_dim]`, latents that `sample` decodes.
    score: `(params, stats, x) -> [n, ...]`, the discriminator's raw scores, higher for what it takes for real.
    features: `(params, stats, x) -> [n, d]`, what the discriminator's last layer reads of data, `Net.features`, or
      where it is an autoencoder, what its encoder gives.
    filters: `(params, stats) -> [kh, kw, C, O]`, what its first convolution looks for in images: `Net.filters`.
    codes: the named parts of a latent and how they are read off data: `games.infogan.LatentCodes`.
    domains: those of which `sample(..., domain=)` can be asked, by name; () where it takes none.
    labels: how many classes `sample(..., labels=)` [n] int32 can be asked for; 0 where it takes none.
    init_memory: `key -> pytree`, what the game remembers beside its networks (pools of images).
    averaged: the nets of which a moving average is kept.
    ema_decay: the moving average's decay per round.
    frozen: nets that nobody moves, named so that forgetting an owner is not mistaken for it.
  """

  nets: Mapping[str, Net]
  players: Mapping[str, Player]
  moves: tuple[Move, ...]
  sample: Callable[..., jax.Array] | None = None
  translate: Callable[..., jax.Array] | None = None
  directions: tuple[tuple[str, str], ...] = ()
  encode: Callable[..., jax.Array] | None = None
  score: Callable[..., jax.Array] | None = None
  features: Callable[..., jax.Array] | None = None
  filters: Callable[..., jax.Array] | None = None
  codes: Any = None
  domains: tuple[str, ...] = ()
  labels: int = 0
  init_memory: Callable[[jax.Array], Any] = lambda key: ()
  averaged: tuple[str, ...] = ("generator",)
  ema_decay: float | jax.Array = 0.999
  frozen: tuple[str, ...] = ()

  @property
  def draws(self) -> int:
    """How many batches one round uses."""
    return sum(move.repeat for move in self.moves if move.draws)


@dataclass_transform(frozen_default=True)
def _pytree(cls: type) -> type:
  return chex.dataclass(frozen=True)(cls)


@_pytree
class TrainState:
  """Everything that a game remembers: arrays only, so that scan, vmap, shardings and checkpoints take it as one.

  Attributes:
    step: rounds played, int32 scalar.
    key: the run's random key. It never changes: a round folds `step` into it.
    params: net -> parameters.
    stats: net -> statistics.
    opt: player -> optimizer state.
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

  def replace(self, **changes: Any) -> "TrainState":
    """The same state with some fields changed."""
    return dataclasses.replace(self, **changes)  # pyright: ignore[reportArgumentType]  # it is one


def optimizer_of(tx: Optimizers, player: str) -> optax.GradientTransformation:
  """The optimizer of one player, out of one for all of them or a mapping by name.

  Raises:
    ValueError: if the mapping has none for `player`.
  """
  if isinstance(tx, optax.GradientTransformation):
    return tx
  if player not in tx:
    raise ValueError(f"player '{player}' has no optimizer; there are optimizers for {sorted(tx)}")
  return tx[player]
