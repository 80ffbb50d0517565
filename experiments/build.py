"""From a config to nets, game, data: the only place where names become code."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from experiments.command import nearest
from gan_jax.data import idx, mnist, synthetic, tfds
from gan_jax.data.dataset import Dataset
from gan_jax.game import Game, Net
from gan_jax.games import fgan, gan
from gan_jax.losses import adversarial
from gan_jax.losses.divergences import DIVERGENCES
from gan_jax.nets import dcgan, mlp
from gan_jax.nets.adapt import from_linen


class Experiment(NamedTuple):
  """A config come to life.

  Attributes:
    game: what is played.
    dataset: what it is played on.
    draw: `key -> batch` of `config.data.batch_size`. A pytree whose leaves are the data: hand it to a jitted function as an
      argument.
  """

  game: Game
  dataset: Dataset
  draw: jax.tree_util.Partial


class Surroundings(NamedTuple):
  """What a net has to fit: the shape of an x, the size of a latent, the type to compute in."""

  shape: tuple[int, ...]
  latent_dim: int
  dtype: jnp.dtype

  @property
  def example_x(self) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, *self.shape), jnp.float32)

  @property
  def example_z(self) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, self.latent_dim), jnp.float32)


def build(config: ConfigDict) -> Experiment:
  """Builds the experiment that a config describes.

  Raises:
    ValueError: if a name in it is unknown, or a setting is not one that its owner takes; the message names the nearest
      that is, and all that are.
  """
  dataset = build_data(config.data)
  surroundings = Surroundings(dataset.shape, config.game.get("latent_dim", 0), pick(DTYPES, config.dtype, "dtype"))
  nets = {role: _call(NETS, net, f"nets.{role}", surroundings) for role, net in config.nets.items()}
  tx = {player: _call(OPTIMIZERS, optimizer, f"optimizer.{player}") for player, optimizer in config.optimizer.items()}
  game = build_game(config.game, nets, tx)._replace(ema_decay=config.train.ema_decay)
  draw = jax.tree_util.Partial(functools.partial(_draw, n=config.data.batch_size), dataset.draw)
  return Experiment(game, dataset, draw)


def build_game(config: ConfigDict, nets: Mapping[str, Net], tx: Mapping[str, optax.GradientTransformation]) -> Game:
  """Calls the `make` of the game that `config.name` says, with the other entries of `config` as arguments."""
  make = pick(GAMES, config.name, "game.name")
  accepted = inspect.signature(make).parameters
  roles = [name for name, parameter in accepted.items() if parameter.annotation is Net]
  _same_names("nets", nets, roles, f"the game {config.name}")
  settings = {k: v for k, v in config.items() if k != "name"}
  _accepted(settings, [k for k in accepted if k not in (*roles, "tx")], "game", config.name)
  if "loss" in settings:
    settings["loss"] = _call(LOSSES, settings["loss"], "game.loss")
  for name, table in WORDS.items():
    if name in settings:
      settings[name] = pick(table, settings[name], f"game.{name}")
  game = make(**nets, **settings, tx=tx)
  _same_names("optimizer", tx, game.players, f"the game {config.name}")
  return game


def build_data(config: ConfigDict) -> Dataset:
  """Loads the data set that `config.name` says: a name of `DATA`, or a kind of `PLACES` and where it is, KIND:PLACE."""
  kind, colon, place = config.name.partition(":")
  settings = {k: v for k, v in config.items() if k not in ("name", "batch_size")}
  if not settings.get("resolution"):
    settings.pop("resolution", None)
  if colon and kind in PLACES:
    source = functools.partial(PLACES[kind], place)
  else:
    source = pick(DATA, config.name, "data.name", others=[f"{kind}:..." for kind in PLACES])
  _accepted(settings, inspect.signature(source).parameters, "data", config.name)
  dataset = source(**settings)
  at_least_one("data.batch_size", config.batch_size)
  if dataset.size is not None and config.batch_size > dataset.size:
    raise ValueError(
      f"data.batch_size is {config.batch_size}, but {config.name} has {dataset.size} training examples; "
      f"choose a batch of at most {dataset.size}"
    )
  return dataset


def pick(table: Mapping[str, Any], given: str, field: str, others: Iterable[str] = ()) -> Any:
  """Returns `table[given]`, or raises the ValueError that names the nearest entry and all of them."""
  if given in table:
    return table[given]
  raise ValueError(f"{field} is {given!r}, which is not known.{nearest(given, [*table, *others])}")


def at_least_one(field: str, *values: int) -> None:
  """Raises ValueError if a count is below one."""
  for value in values:
    if value < 1:
      raise ValueError(f"{field} is {value}; it has to be at least 1")


def _draw(draw: Callable[..., Any], key: jax.Array, *, n: int) -> Any:
  return draw(key, n)


def _accepted(settings: Iterable[str], accepted: Iterable[str], field: str, owner: str) -> None:
  """Raises ValueError at the first setting that its owner does not take."""
  for key in settings:
    if key not in accepted:
      raise ValueError(f"{field}.{key} is not a setting of {owner}.{nearest(key, accepted)}")


def _same_names(field: str, given: Iterable[str], asked: Iterable[str], owner: str) -> None:
  for key in given:
    if key not in asked:
      raise ValueError(f"{field}.{key}: {owner} has none of that name.{nearest(key, asked)}")
  missing = sorted(set(asked) - set(given))
  if missing:
    raise ValueError(f"{owner} asks for {field}.{missing[0]}, which the config does not give")


def _call(table: Mapping[str, Callable], config: ConfigDict, field: str, *first: Any) -> Any:
  """Calls the function that `config.name` says with the other entries as arguments, after `first`."""
  if "name" not in config:
    raise ValueError(f"{field}.name is missing.{nearest('', table)}")
  function = pick(table, config.name, f"{field}.name")
  settings = {k: v for k, v in config.items() if k != "name"}
  if settings.get("learning_rate", 1.0) <= 0:
    raise ValueError(f"{field}.learning_rate is {settings['learning_rate']}; it has to be above 0")
  accepted = list(inspect.signature(function).parameters)[len(first) :]
  _accepted(settings, accepted, field, config.name)
  try:
    return function(*first, **settings)
  except TypeError as error:
    raise ValueError(f"{field}: {config.name} cannot be made of {settings}: {error}") from error


def _mlp_generator(
  around: Surroundings, hidden: tuple[int, ...] = (256, 256), activation: str = "relu", batch_norm: bool = False
) -> Net:
  """Images end in tanh; points are not bounded."""
  at_least_one("nets.ROLE.hidden", *hidden)
  module = mlp.Generator(
    shape=around.shape,
    hidden=hidden,
    activation=pick(ACTIVATIONS, activation, "nets.ROLE.activation"),
    batch_norm=batch_norm,
    output=jnp.tanh if len(around.shape) == 3 else None,
    dtype=around.dtype,
  )
  return from_linen(module, around.example_z)


def _mlp_discriminator(
  around: Surroundings, hidden: tuple[int, ...] = (256, 256), activation: str = "leaky_relu"
) -> Net:
  at_least_one("nets.ROLE.hidden", *hidden)
  module = mlp.Discriminator(
    hidden=hidden, activation=pick(ACTIVATIONS, activation, "nets.ROLE.activation"), dtype=around.dtype
  )
  return from_linen(module, around.example_x)


def _dcgan_generator(around: Surroundings, width: int = 32) -> Net:
  resolution, channels = _square_image(around.shape, "dcgan_generator")
  at_least_one("nets.ROLE.width", width)
  module = dcgan.Generator(resolution=resolution, width=width, channels=channels, dtype=around.dtype)
  return from_linen(module, around.example_z)


def _dcgan_discriminator(around: Surroundings, width: int = 32) -> Net:
  resolution, _ = _square_image(around.shape, "dcgan_discriminator")
  at_least_one("nets.ROLE.width", width)
  module = dcgan.Discriminator(resolution=resolution, width=width, dtype=around.dtype)
  return from_linen(module, around.example_x)


def _square_image(shape: tuple[int, ...], net: str) -> tuple[int, int]:
  if len(shape) != 3 or shape[0] != shape[1]:
    raise ValueError(f"{net} works on square images [H, H, C]; the data has the shape {list(shape)}")
  return shape[0], shape[2]


def _uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)


GAMES = {"gan": gan.make, "fgan": fgan.make}
LOSSES = {
  "minimax": adversarial.minimax,
  "non_saturating": adversarial.non_saturating,
  "least_squares": adversarial.least_squares,
  "hinge": adversarial.hinge,
  "wasserstein": adversarial.wasserstein,
  "relativistic": adversarial.relativistic,
}
PRIORS = {"normal": jax.random.normal, "uniform": _uniform}
WORDS = {"divergence": DIVERGENCES, "prior": PRIORS}  # arguments of make that configs give by name
NETS = {
  "mlp_generator": _mlp_generator,
  "mlp_discriminator": _mlp_discriminator,
  "dcgan_generator": _dcgan_generator,
  "dcgan_discriminator": _dcgan_discriminator,
}
ACTIVATIONS = {
  "relu": nn.relu,
  "leaky_relu": functools.partial(nn.leaky_relu, negative_slope=0.2),
  "elu": nn.elu,
  "tanh": jnp.tanh,
}
OPTIMIZERS = {"adam": optax.adam, "adamw": optax.adamw, "rmsprop": optax.rmsprop, "sgd": optax.sgd}
DATA = {
  "mnist5k": mnist.mnist5k,
  "digits": mnist.digits,
  "ring8": synthetic.ring8,
  "grid25": synthetic.grid25,
  "mixture1d": synthetic.mixture1d,
}
PLACES = {"idx": idx.load, "tfds": tfds.load}
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
