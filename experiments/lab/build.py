"""From a config to nets, game and data."""

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.evaluators import Context, Evaluation, together
from experiments.lab import configs, names
from experiments.lab.configs import Config
from gan_jax.data import sources
from gan_jax.data.dataset import Dataset
from gan_jax.errors import ConfigError, at_least_one, nearest
from gan_jax.game import DataSpec, Game, Net, NetSpec

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
_REQUIRED = ("dtype", "seed", "game.name", "nets", "optimizer", "data.name", "train.ema_decay", "eval.evaluators")
_DECAY = (lambda value: 0.0 <= value < 1.0, "at least 0 and below 1")
_RANGES = {"learning_rate": (lambda value: 0.0 < value < math.inf, "finite and above 0"), "b1": _DECAY, "b2": _DECAY}


class Experiment(NamedTuple):
  """What a config describes.

  Attributes:
    game: what is played.
    dataset: what it is played on.
    draw: `key -> batch` of `config.data.batch_size`. A pytree whose leaves are the data: hand it to a jitted function
      as an argument. None where the data is streamed: `dataset.stream`.
    evaluation: by all evaluators.
  """

  game: Game
  dataset: Dataset
  draw: jax.tree_util.Partial | None
  evaluation: Evaluation


def build(
  config: Config, dataset: Dataset | None = None, wrap_net: Callable[[Net], Net] = lambda net: net
) -> Experiment:
  """Builds the experiment that a config describes.

  Args:
    config: settings that it leaves out have their defaults. Numbers that no shape depends on may be traced arrays.
    dataset: what `config.data` describes, if it has been loaded already.
    wrap_net: applied to each net before the game is made of them, such as `shard.split_batches`.

  Raises:
    ConfigError: if a name in it is unknown, a setting is not one that its owner takes, or a net does not fit the game.
  """
  for field in _REQUIRED:
    if field not in configs.flatten(config) and field not in config:
      raise ConfigError(f"the config has no {field}; experiments/base.py has every field that an experiment needs")
  check_seed("seed", config.seed)
  dataset = build_data(config.data) if dataset is None else dataset
  check_number("train.ema_decay", config.train.ema_decay, *_DECAY)
  game, settings = build_game(config, data_spec(dataset), wrap_net)
  context = Context(game, dataset, settings)
  found = {}
  for given in config.eval.evaluators:
    name, evaluator = names.find(names.EVALUATOR, given, "eval.evaluators")
    key = configs.section_of(name)
    found[key] = names.call(f"eval.{key}", evaluator.make, context, **config.eval.get(key, {}))
  draw = None
  if dataset.draw is not None:
    draw = jax.tree_util.Partial(functools.partial(_draw, n=config.data.batch_size), dataset.draw)
  return Experiment(game, dataset, draw, together(found))


def build_data(config: Config) -> Dataset:
  """Loads the data set that `config.name` says, as `data.sources` has it."""
  settings = {k: v for k, v in config.items() if k not in ("name", "batch_size")}
  names.check_settings(config, [*names.settings_of(sources.source(config.name)), "batch_size"], "data")
  at_least_one("data.batch_size", config.batch_size)
  dataset = names.call("data", sources.load, config.name, **settings)
  if dataset.size is not None and config.batch_size > dataset.size:
    raise ConfigError(
      f"data.batch_size is {config.batch_size}, but {config.name} has {dataset.size} training examples; "
      f"choose a batch of at most {dataset.size}"
    )
  return dataset


def build_game(
  config: Config, data: DataSpec, wrap_net: Callable[[Net], Net] = lambda net: net
) -> tuple[Game, dict[str, Any]]:
  """Makes the game of `config.game` out of the nets and optimizers of the config; returns its settings too."""
  module, settings, specs = find_game(config, data)
  nets, _ = build_nets(config, specs)
  accepted = inspect.signature(module.make).parameters
  given = {k: v for k, v in {**settings, "data": data}.items() if k in accepted}
  given |= {role: wrap_net(net) for role, net in nets.items()}
  make = functools.partial(names.call, "game", module.make, **given)
  still = make(tx=optax.set_to_zero())  # to ask who plays, and how often
  _same_names("optimizer", config.optimizer, still.players, f"the game {config.game.name}")
  moves = {player: sum(move.repeat for move in still.moves if player in move.players) for player in still.players}
  tx = {player: build_optimizer(config.optimizer[player], f"optimizer.{player}", moves[player]) for player in moves}
  return make(tx=tx)._replace(ema_decay=config.train.ema_decay), settings


def data_spec(dataset: Dataset) -> DataSpec:
  """What a game has to know of the data."""
  return DataSpec(dataset.shape, dataset.classes, dataset.domains, dataset.condition)


def find_game(config: Config, data: DataSpec) -> tuple[ModuleType, dict[str, Any], Mapping[str, NetSpec]]:
  """The module of `config.game`, the settings for its `specs` and `make`, and the specs of the nets that it asks for.

  Raises:
    ConfigError: if there is no such game, or a setting is unknown, missing or refused.
  """
  name, module = names.find(names.GAME, config.game.name, "game.name")
  taken = names.settings_of(module.specs, module.make, nets=config.nets)
  names.check_settings(config.game, taken, "game")
  settings = names.resolve_settings({k: v for k, v in config.game.items() if k != "name"}, "game")
  for needed, parameter in taken.items():
    if parameter.default is parameter.empty and needed not in settings:
      nets = ", ".join(sorted(config.nets)) or "none"
      raise ConfigError(
        f"game.{needed} is missing: {name} has no default for it. Or is it a net? config.nets has {nets}"
      )
  return module, settings, names.call("game", module.specs, data, **settings)


def build_nets(config: Config, specs: Mapping[str, NetSpec]) -> tuple[dict[str, Net], dict[str, NetSpec]]:
  """Makes the nets that `config.nets` describes, each after those whose outputs it takes.

  Returns:
    The nets, and their specs with a shape for each input.

  Raises:
    ConfigError: if the config has other nets than the game, or one does not fit it.
    ValueError: if nets wait for each other's outputs, which is a mistake in the game.
  """
  _same_names("nets", config.nets, specs, f"the game {config.game.name}")
  dtype = DTYPES.get(config.dtype)
  if dtype is None:
    raise ConfigError(f"dtype is {config.dtype!r}, which is not known.{nearest(config.dtype, DTYPES)}")
  nets, resolved, outputs, pending = {}, {}, {}, dict(specs)
  while pending:
    ready = {
      role: spec for role, spec in pending.items() if not {i for i in spec.inputs if isinstance(i, str)} & {*pending}
    }
    if not ready:
      raise ValueError(f"the nets {sorted(pending)} wait for each other's outputs; look at the game's specs")
    for role, spec in ready.items():
      field = f"nets.{role}"
      spec = spec._replace(inputs=tuple(outputs[i] if isinstance(i, str) else tuple(i) for i in spec.inputs))
      if any(size < 1 for shape in (*spec.inputs, spec.output or ()) if isinstance(shape, tuple) for size in shape):
        raise ConfigError(f"{field}: the game asks for {spec}; every size has to be at least 1")
      nets[role] = names.call(field, names.resolve(config.nets[role], names.NET, field, dtype=dtype), spec)
      resolved[role] = spec
      outputs[role] = names.call(field, _output, nets[role], spec, config.nets[role].name)
      del pending[role]
  return nets, resolved


def build_optimizer(config: Config, field: str, moves: int) -> optax.GradientTransformation:
  """Makes an optimizer of a player that moves `moves` times a round.

  `config.schedule`, where there is one, multiplies the learning rate by a schedule of the round.
  """
  settings = {k: v for k, v in config.items() if k != "schedule"}
  for name, (holds, wanted) in _RANGES.items():
    if name in settings:
      check_number(f"{field}.{name}", settings[name], holds, wanted)
  if config.get("schedule") is not None:
    if "learning_rate" not in settings:
      raise ConfigError(f"{field}.schedule multiplies {field}.learning_rate, which the config does not give")
    rate, shape = settings["learning_rate"], names.resolve(config.schedule, names.VALUE, f"{field}.schedule")
    settings["learning_rate"] = lambda count: rate * shape(count // moves)
  return names.resolve(settings, names.OPTIMIZER, field)


def check_lengths(config: Config) -> None:
  """Raises ConfigError if rounds do not divide into chunks, lines of the metrics and what happens between chunks."""
  for field in ("train.rounds", "train.chunk", "log.every", "eval.every", "checkpoint.every"):
    at_least_one(field, configs.get(config, field))
  chunk = config.train.chunk
  if chunk % config.log.every:
    raise ConfigError(f"train.chunk is {chunk}, which is not a multiple of log.every = {config.log.every}")
  for field in ("eval.every", "checkpoint.every"):
    if configs.get(config, field) % chunk:
      raise ConfigError(f"{field} is {configs.get(config, field)}, which is not a multiple of train.chunk = {chunk}")


def check_seed(field: str, value: int) -> None:
  """Raises ConfigError if a seed is not one of the 2^32 that jax tells apart; arrays, which a sweep traces, pass."""
  if not isinstance(value, jax.Array) and not 0 <= value < 2**32:
    raise ConfigError(f"{field} is {value}; it has to be from 0 to 2^32 - 1")


def check_number(field: str, value: Any, holds: Callable[[float], bool], wanted: str) -> None:
  """Raises ConfigError if a value is no number or not one that `holds`; arrays, which a sweep traces, pass."""
  if not isinstance(value, jax.Array) and not (isinstance(value, numbers.Real) and holds(float(value))):
    raise ConfigError(f"{field} is {value!r}; it has to be {wanted}")


def _output(net: Net, spec: NetSpec, name: str) -> tuple[int, ...]:
  """The shape that a net gives for one example; refuses what the game does not ask for."""
  inputs = [jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in spec.inputs]
  output, _ = jax.eval_shape(lambda key, *x: net.apply(*net.init(key), *x, key=key), jax.random.key(0), *inputs)
  shape = tuple(output.shape[1:])
  if spec.output is not None and shape != tuple(spec.output):
    taken = ", ".join(str(list(each)) for each in spec.inputs)
    raise ConfigError(f"{name} gives {list(shape)} of {taken}, and the game asks for {list(spec.output)}")
  return shape


def _same_names(field: str, given: Iterable[str], asked: Iterable[str], owner: str) -> None:
  for key in given:
    if key not in asked:
      raise ConfigError(f"{field}.{key}: {owner} has none of that name.{nearest(key, asked)}")
  missing = sorted(set(asked) - set(given))
  if missing:
    raise ConfigError(f"{owner} asks for {field}.{missing[0]}, which the config does not give")


def _draw(draw: Callable[..., Any], key: jax.Array, *, n: int) -> Any:
  return draw(key, n)
