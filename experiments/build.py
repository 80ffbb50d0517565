"""From a config to nets, game, data: the only place where names become code."""

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from experiments import measures, pictures
from experiments.command import nearest
from gan_jax import optim
from gan_jax.data import folder, idx, mnist, mnist2colour, sprites, synthetic, tfds
from gan_jax.data.dataset import Dataset
from gan_jax.game import Game, Net, TrainState
from gan_jax.games import cyclegan, fgan, gan, infogan, r3gan, wgan, wgan_gp
from gan_jax.losses import adversarial, penalties
from gan_jax.losses.divergences import DIVERGENCES, FDivergence, alpha, weighted_jensen_shannon
from gan_jax.nets import dcgan, linear, mlp, translation
from gan_jax.nets.adapt import from_linen


class Experiment(NamedTuple):
  """A config come to life.

  Attributes:
    game: what is played.
    dataset: what it is played on.
    draw: `key -> batch` of `config.data.batch_size`. A pytree whose leaves are the data: hand it to a jitted function as an
      argument. None where the data is streamed: `dataset.stream`.
    evaluate: `state -> {name: scalar}`, the metrics that `config.eval.metrics` lists; pure, to be jitted and vmapped.
    pictures: what `config.eval.pictures` lists.
  """

  game: Game
  dataset: Dataset
  draw: jax.tree_util.Partial | None
  evaluate: Callable[[TrainState], dict[str, jax.Array]]
  pictures: list[pictures.Picture]


class Surroundings(NamedTuple):
  """What a net has to fit.

  Attributes:
    shape: of an x; of a head's, the features that the trunk hands it.
    latent_dim: size of a latent; None in a game without.
    dtype: the type to compute in.
    codes: what a recognition head reads; None in a game without.
  """

  shape: tuple[int, ...]
  latent_dim: int | None
  dtype: jnp.dtype
  codes: infogan.Codes | None = None

  @property
  def example_x(self) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, *self.shape), jnp.float32)

  @property
  def example_z(self) -> jax.ShapeDtypeStruct:
    if self.latent_dim is None:
      raise ValueError("it maps latents, and this game has none: its make takes no latent_dim")
    return jax.ShapeDtypeStruct((1, self.latent_dim), jnp.float32)


def build(
  config: ConfigDict, dataset: Dataset | None = None, over: Callable[[Net], Net] = lambda net: net
) -> Experiment:
  """Builds the experiment that a config describes.

  Args:
    config: numbers in it that no shape depends on may be traced arrays.
    dataset: what `config.data` describes, if it has been loaded already.
    over: what is laid on each net before the game is made of them, such as `shard.over_data`.

  Raises:
    ValueError: if a name in it is unknown, or a setting is not one that its owner takes; the message names the nearest
      that is, and all that are.
  """
  for field in READ_FIRST:
    section, _, name = field.partition(".")
    if section not in config or (name and name not in config[section]):
      raise ValueError(f"the config has no {field}; experiments/base.py has every field that an experiment needs")
  dataset = build_data(config.data) if dataset is None else dataset
  check_number("train.ema_decay", config.train.ema_decay, *DECAY)
  if config.game.name == "cyclegan" and "y" not in dataset.test:
    raise ValueError(
      f"the game cyclegan translates between two domains, and {dataset.name} is one; take mnist2colour, or a folder with "
      "trainA and trainB"
    )
  nets = {role: over(net) for role, net in build_nets(config, dataset.shape).items()}
  game = build_game(config.game, nets, config.optimizer, dataset.shape)
  game = game._replace(ema_decay=config.train.ema_decay)
  batch = functools.partial(_draw, n=config.data.batch_size)
  draw = None if dataset.draw is None else jax.tree_util.Partial(batch, dataset.draw)
  chosen = [pick(METRICS, name, "eval.metrics")(config, game, dataset) for name in config.eval.metrics]
  drawn = [pick(PICTURES, name, "eval.pictures")(config, game, dataset) for name in config.eval.pictures]
  evaluate = lambda state: {k: v for measure in chosen for k, v in measure(state).items()}
  return Experiment(game, dataset, draw, evaluate, [picture for several in drawn for picture in several])


def build_nets(config: ConfigDict, shape: tuple[int, ...]) -> dict[str, Net]:
  """Makes the nets that `config.nets` describes for data of a shape: where there is a trunk, the others are its heads."""
  around = surroundings(config, shape)
  roles = dict(config.nets)
  trunk = {"trunk": _call(NETS, roles.pop("trunk"), "nets.trunk", around)} if "trunk" in roles else {}
  head = around
  for net in trunk.values():
    features, _ = jax.eval_shape(lambda key, x: net.apply(*net.init(key), x), jax.random.key(0), around.example_x)
    head = around._replace(shape=features.shape[1:])
  fit = lambda role: head if role in ("discriminator", "recognition") else around
  return trunk | {role: _call(NETS, net, f"nets.{role}", fit(role)) for role, net in roles.items()}


def surroundings(config: ConfigDict, shape: tuple[int, ...]) -> Surroundings:
  """What the nets of a config have to fit on data of a shape, those that are no heads."""
  dtype = pick(DTYPES, config.dtype, "dtype")
  return Surroundings(shape, _default(config.game, "latent_dim"), dtype, _codes(config.game))


def build_game(config: ConfigDict, nets: Mapping[str, Net], optimizers: ConfigDict, shape: tuple[int, ...]) -> Game:
  """Calls the `make` of the game that `config.name` says, with the other entries of `config` as arguments.

  Where it asks for the shape of an example, that is `shape`.
  """
  make = pick(GAMES, config.name, "game.name")
  accepted = inspect.signature(make).parameters
  roles = [name for name, parameter in accepted.items() if parameter.annotation is Net]
  _same_names("nets", nets, roles, f"the game {config.name}")
  settings = {k: v for k, v in config.items() if k != "name"}
  _accepted(settings, [k for k in accepted if k not in (*roles, "tx", "shape")], "game", config.name)
  for name, value in settings.items():
    if name in WORDS:
      settings[name] = WORDS[name](value, f"game.{name}")
    elif isinstance(value, ConfigDict):
      settings[name] = _call(SCHEDULES, value, f"game.{name}")
  if "shape" in accepted:
    settings["shape"] = shape
  still = make(**nets, **settings, tx=optax.set_to_zero())  # to ask who plays, and how often
  _same_names("optimizer", optimizers, still.players, f"the game {config.name}")
  tx = {}
  for player, optimizer in optimizers.items():
    moves = sum(move.repeat for move in still.moves if player in move.players)
    tx[player] = build_optimizer(optimizer, f"optimizer.{player}", moves)
  return make(**nets, **settings, tx=tx)


def build_optimizer(config: ConfigDict, field: str, moves: int) -> optax.GradientTransformation:
  """Makes an optimizer of a player that moves `moves` times a round.

  `config.schedule`, where there is one, multiplies the learning rate by a schedule of the round.
  """
  settings = ConfigDict({k: v for k, v in config.items() if k != "schedule"})
  for name, (holds, wanted) in RANGES.items():
    if name in settings:
      check_number(f"{field}.{name}", settings[name], holds, wanted)
  if "schedule" not in config:
    return _call(OPTIMIZERS, settings, field)
  if "learning_rate" not in settings:
    raise ValueError(f"{field}.schedule multiplies {field}.learning_rate, which the config does not give")
  rate, shape = settings.learning_rate, _call(SCHEDULES, config.schedule, f"{field}.schedule")
  with settings.ignore_type():
    settings.learning_rate = lambda count: rate * shape(count // moves)
  return _call(OPTIMIZERS, settings, field)


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
  """Raises ValueError if a count is no integer, or below one."""
  for value in values:
    if not isinstance(value, numbers.Integral):
      raise ValueError(f"{field} is {value!r}; it has to be an integer")
    if value < 1:
      raise ValueError(f"{field} is {value}; it has to be at least 1")


def check_number(field: str, value: Any, holds: Callable[[float], bool], wanted: str) -> None:
  """Raises ValueError if a value is no number or not one that `holds`; arrays, which a sweep traces, are let pass."""
  if isinstance(value, jax.Array):
    return
  if not (isinstance(value, numbers.Real) and holds(value)):
    raise ValueError(f"{field} is {value!r}; it has to be {wanted}")


def _default(config: ConfigDict, argument: str) -> Any:
  """What the config says of an argument of the game's `make`, or its default there, or None if it takes none such."""
  parameter = inspect.signature(pick(GAMES, config.name, "game.name")).parameters.get(argument)
  return None if parameter is None else config.get(argument, parameter.default)


def _codes(config: ConfigDict) -> infogan.Codes | None:
  """The codes of a game that has them."""
  described = {field: _default(config, field) for field in infogan.Codes._fields}
  if None in described.values():
    return None
  codes = infogan.Codes(**described)
  if not isinstance(codes.categorical, (tuple, list)):  # the latter out of a config.json
    raise ValueError(f"game.categorical is {codes.categorical!r}; it has to be the classes of each code, such as (10,)")
  for classes in (*codes.categorical, codes.continuous):
    check_number("game.categorical or game.continuous", classes, lambda value: value == int(value), "a count")
  return codes._replace(categorical=tuple(codes.categorical))


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
  """Calls the function that `config.name` says with the other entries as arguments, after `first`.

  A ValueError of its own need not know the field: that is put before its message.
  """
  if "name" not in config:
    raise ValueError(f"{field}.name is missing.{nearest('', table)}")
  function = pick(table, config.name, f"{field}.name")
  settings = {k: v for k, v in config.items() if k != "name"}
  accepted = list(inspect.signature(function).parameters)[len(first) :]
  _accepted(settings, accepted, field, config.name)
  try:
    return function(*first, **settings)
  except TypeError as error:
    raise ValueError(f"{field}: {config.name} cannot be made of {settings}: {error}") from error
  except ValueError as error:
    raise ValueError(f"{field}: {error}") from error


def _mlp_generator(
  around: Surroundings, hidden: tuple[int, ...] = (256, 256), activation: str = "relu", batch_norm: bool = False
) -> Net:
  """Images end in tanh; points are not bounded."""
  at_least_one("hidden", *hidden)
  module = mlp.Generator(
    shape=around.shape,
    hidden=hidden,
    activation=pick(ACTIVATIONS, activation, "activation"),
    batch_norm=batch_norm,
    output=jnp.tanh if len(around.shape) == 3 else None,
    dtype=around.dtype,
  )
  return from_linen(module, around.example_z)


def _mlp_discriminator(
  around: Surroundings,
  hidden: tuple[int, ...] = (256, 256),
  activation: str = "leaky_relu",
  spectral_norm: bool = False,
  powers: int = 1,
  fourier: int = 0,
  frequencies: tuple[float, float] = (0.5, 20.0),
) -> Net:
  low, high = frequencies
  check_number("frequencies[0]", low, lambda value: value > 0.0, "above 0")
  check_number("frequencies[1]", high, lambda value: low <= value, f"at least {low}")
  at_least_one("hidden", *hidden)
  at_least_one("powers", powers)
  module = mlp.Discriminator(
    hidden=hidden,
    activation=pick(ACTIVATIONS, activation, "activation"),
    spectral_norm=spectral_norm,
    powers=powers,
    fourier=fourier,
    frequencies=frequencies,
    dtype=around.dtype,
  )
  return from_linen(module, around.example_x)


def _mlp_recognition(around: Surroundings, hidden: tuple[int, ...] = (128,)) -> Net:
  if around.codes is None:
    raise ValueError("it reads codes, and this game has none")
  at_least_one("hidden", *hidden)
  return from_linen(mlp.Head(around.codes.outputs, hidden=hidden, dtype=around.dtype), around.example_x)


def _affine(around: Surroundings) -> Net:
  return from_linen(linear.Affine(), around.example_x)


def _point(around: Surroundings, start: float = 1.0) -> Net:
  return from_linen(linear.Point(start), around.example_z)


def _slope(around: Surroundings, start: float = 1.0) -> Net:
  return from_linen(linear.Slope(start), around.example_x)


def _line(around: Surroundings, start: float = 1.0) -> Net:
  return from_linen(linear.Line(start), around.example_z)


def _dcgan_generator(around: Surroundings, width: int = 32) -> Net:
  resolution, channels = _square_image(around.shape, "dcgan_generator")
  at_least_one("width", width)
  module = dcgan.Generator(resolution=resolution, width=width, channels=channels, dtype=around.dtype)
  return from_linen(module, around.example_z)


def _dcgan_discriminator(around: Surroundings, width: int = 32, batch_norm: bool = True) -> Net:
  resolution, channels = _square_image(around.shape, "dcgan_discriminator")
  at_least_one("width", width)
  module = dcgan.Discriminator(resolution, width, channels, batch_norm, around.dtype)
  return from_linen(module, around.example_x)


def _dcgan_trunk(around: Surroundings, width: int = 32, features: int = 1_024) -> Net:
  resolution, channels = _square_image(around.shape, "dcgan_trunk")
  at_least_one("width", width)
  at_least_one("features", features)
  module = dcgan.Trunk(features, resolution=resolution, width=width, channels=channels, dtype=around.dtype)
  return from_linen(module, around.example_x)


def _resnet_translator(around: Surroundings, width: int = 64, blocks: int = 6) -> Net:
  _, channels = _square_image(around.shape, "resnet_translator")
  at_least_one("width", width)
  at_least_one("blocks", blocks)
  module = translation.ResnetGenerator(width=width, blocks=blocks, channels=channels, dtype=around.dtype)
  return from_linen(module, around.example_x)


def _unet_translator(around: Surroundings, width: int = 64) -> Net:
  resolution, channels = _square_image(around.shape, "unet_translator")
  at_least_one("width", width)
  module = translation.UnetGenerator(resolution=resolution, width=width, channels=channels, dtype=around.dtype)
  return from_linen(module, around.example_x)


def _patch_discriminator(around: Surroundings, width: int = 64, layers: int = 3) -> Net:
  _square_image(around.shape, "patch_discriminator")
  at_least_one("width", width)
  check_number("layers", layers, lambda value: value in range(8), "an integer from 0 to 7")
  module = translation.PatchDiscriminator(width=width, layers=layers, dtype=around.dtype)
  return from_linen(module, around.example_x)


def _square_image(shape: tuple[int, ...], net: str) -> tuple[int, int]:
  if len(shape) != 3 or shape[0] != shape[1]:
    raise ValueError(f"{net} works on square images [H, H, C]; the data has the shape {list(shape)}")
  return shape[0], shape[2]


def _uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)


@functools.cache  # so that what was found for a divergence is found again under it
def _divergence(word: str, field: str) -> FDivergence:
  """A member of the family, or one with a parameter, NAME:NUMBER."""
  name, colon, parameter = word.partition(":")
  if not colon:
    return pick(DIVERGENCES, word, field, others=[f"{name}:NUMBER" for name in PARAMETRISED])
  make = pick(PARAMETRISED, name, field, others=DIVERGENCES)
  try:
    number = float(parameter)
  except ValueError:
    raise ValueError(f"{field} is {word!r}; behind {name}: there is a number, such as {name}:0.5") from None
  return make(number)


READ_FIRST = (
  "dtype",
  "seed",
  "game.name",
  "nets",
  "optimizer",
  "data.name",
  "data.batch_size",
  "train.ema_decay",
  "eval.metrics",
  "eval.pictures",
)
GAMES = {
  "gan": gan.make,
  "fgan": fgan.make,
  "wgan": wgan.make,
  "wgan_gp": wgan_gp.make,
  "r3gan": r3gan.make,
  "infogan": infogan.make,
  "cyclegan": cyclegan.make,
}
DECAY = (lambda value: 0.0 <= value < 1.0, "at least 0 and below 1")
RANGES = {  # of settings that several optimizers share
  "learning_rate": (lambda value: 0.0 < value < math.inf, "finite and above 0"),
  "b1": DECAY,
  "b2": DECAY,
}
PARAMETRISED = {"alpha": alpha, "weighted_jensen_shannon": weighted_jensen_shannon}
SCHEDULES = {
  "constant": optax.constant_schedule,
  "hold_then_decay": optim.hold_then_decay,
  "hold_then_fall": optim.hold_then_fall,
  "geometric": optim.geometric,
}
METRICS = {
  "modes": measures.modes,
  "mixture_fit": functools.partial(measures.mixture_fit, functools.partial(_divergence, field="game.divergence")),
  "numbers": measures.numbers,
  "codes": functools.partial(measures.codes, _codes),
  "translation": measures.translation,
}
PICTURES = {
  "samples": pictures.samples,
  "traversals": functools.partial(pictures.traversals, _codes),
  "translations": pictures.translations,
}
LOSSES = {
  "minimax": adversarial.minimax,
  "non_saturating": adversarial.non_saturating,
  "least_squares": adversarial.least_squares,
  "hinge": adversarial.hinge,
  "wasserstein": adversarial.wasserstein,
  "relativistic": adversarial.relativistic,
}
PENALTIES = {  # (critic, real, fake, key) -> scalar
  "r1": lambda critic, real, fake, key: penalties.r1(critic, real),
  "r2": lambda critic, real, fake, key: penalties.r2(critic, fake),
  "r1_and_r2": penalties.r1_and_r2,
  "gradient_penalty": penalties.gradient_penalty,
  "dragan": lambda critic, real, fake, key: penalties.dragan(critic, real, key),
}
PRIORS = {"normal": jax.random.normal, "uniform": _uniform, "unit": jax.random.uniform}  # unit: uniform in [0, 1)
WORDS = {  # arguments of make that configs give by name
  "loss": functools.partial(_call, LOSSES),
  "divergence": _divergence,
  "penalty": functools.partial(pick, PENALTIES),
  "prior": functools.partial(pick, PRIORS),
}
NETS = {
  "affine": _affine,
  "line": _line,
  "point": _point,
  "slope": _slope,
  "mlp_generator": _mlp_generator,
  "mlp_discriminator": _mlp_discriminator,
  "mlp_recognition": _mlp_recognition,
  "dcgan_generator": _dcgan_generator,
  "dcgan_discriminator": _dcgan_discriminator,
  "dcgan_trunk": _dcgan_trunk,
  "resnet_translator": _resnet_translator,
  "unet_translator": _unet_translator,
  "patch_discriminator": _patch_discriminator,
}
ACTIVATIONS = {
  "relu": nn.relu,
  "leaky_relu": functools.partial(nn.leaky_relu, negative_slope=0.2),
  "elu": nn.elu,
  "tanh": jnp.tanh,
}
OPTIMIZERS = {
  "adam": optax.adam,
  "adamw": optax.adamw,
  "optimistic_adam": optax.optimistic_adam_v2,
  "optimistic_gradient_descent": optax.optimistic_gradient_descent,
  "rmsprop": optax.rmsprop,
  "sgd": optax.sgd,
}
DATA = {
  "mnist5k": mnist.mnist5k,
  "digits": mnist.digits,
  "mnist2colour": mnist2colour.mnist2colour,
  "sprites": sprites.sprites,
  "ring8": synthetic.ring8,
  "grid25": synthetic.grid25,
  "mixture1d": synthetic.mixture1d,
  "swiss_roll": synthetic.swiss_roll,
  "parallel_lines": synthetic.parallel_lines,
  "point": synthetic.point,
}
PLACES = {"folder": folder.load, "idx": idx.load, "tfds": tfds.load}
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
