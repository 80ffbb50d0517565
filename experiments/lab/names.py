"""Names are files: from the names in a config to the functions that they name.

`bigan` under game.name is gan_jax/games/bigan.py, `dcgan.generator` under nets is `generator` in gan_jax/nets/dcgan.py,
`adversarial.hinge` is `hinge` in gan_jax/losses/adversarial.py, and `optax.adam` is optax's own. Where a function's
name is the only one of its kind, the file may be left out. A name with a colon is imported from anywhere:
`package.module:function`, and `package.module:` for a game or an evaluator, which are whole modules.

A section of a config is a name and settings, `{"name": ..., setting: value}`, and a value may be such a section again.
What a function is handed when it is used is positional-only in its signature (a penalty's critic, a builder's spec);
settings are all else. So a function without positional-only parameters is called to make the value, and another one is
the value.
"""

import functools
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import optax
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from gan_jax.errors import ConfigError, import_name, nearest
from gan_jax.game import Net
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.divergences import FDivergence


class Kind(NamedTuple):
  """Where the names of one kind are looked for.

  Attributes:
    what: the kind, for messages.
    places: packages, all of whose files are searched, and modules.
    fits: whether a function there is of this kind; None where a name means a whole module.
  """

  what: str
  places: tuple[str, ...]
  fits: Callable[[Callable], bool] | None = None


def _is_value(function: Callable) -> bool:
  signature = inspect.signature(function)
  made = signature.return_annotation
  if function.__module__.startswith("optax."):
    return made == optax.Schedule
  return made in (AdversarialLoss, FDivergence, optax.Schedule) or bool(_handed(signature))


def _is_optimizer(function: Callable) -> bool:
  signature = inspect.signature(function)
  made = signature.return_annotation
  whole = "learning_rate" in signature.parameters and not function.__name__.startswith("scale_by")  # a part of one
  return whole and inspect.isclass(made) and issubclass(made, optax.GradientTransformation)


def _is_builder(function: Callable) -> bool:
  return [parameter.name for parameter in _handed(inspect.signature(function))] == ["spec"]


_VALUES = ("gan_jax.losses", "gan_jax.nets.activations", "gan_jax.priors", "gan_jax.augment", "gan_jax.optim", "optax")
GAME = Kind("a game", ("gan_jax.games",))
EVALUATOR = Kind("an evaluator", ("experiments.evaluators",))
NET = Kind("a net", ("gan_jax.nets",), _is_builder)
OPTIMIZER = Kind("an optimizer", ("optax",), _is_optimizer)
VALUE = Kind("a function", _VALUES, _is_value)


def find(kind: Kind, name: str, field: str) -> tuple[str, Any]:
  """The full name and the function (or module) that `name` means.

  Raises:
    ConfigError: if there is none, or several; the message has `field` and the nearest names.
  """
  if not isinstance(name, str) or not name:
    raise ConfigError(f"{field} is {name!r}; it has to be the name of {kind.what}.{nearest('', known(kind))}")
  if ":" in name:
    return name, import_name(name, field)
  names = known(kind)
  if name in names:
    return name, names[name]
  same = sorted(full for full in names if full.rpartition(".")[2] == name)
  if len(same) > 1:
    raise ConfigError(f"{field} is {name!r}, which is ambiguous: there are {' and '.join(same)}")
  if not same:
    raise ConfigError(f"{field} is {name!r}, which is not known.{nearest(name, names)}")
  return same[0], names[same[0]]


@functools.cache
def known(kind: Kind) -> dict[str, Any]:
  """Every name of a kind, `file.function`, or `file` where whole modules are meant."""
  modules: dict[str, ModuleType] = {}
  for place in kind.places:
    module = importlib.import_module(place)
    files = [info.name for info in pkgutil.iter_modules(getattr(module, "__path__", ()))] if place != "optax" else []
    if not files:
      modules[place.rpartition(".")[2]] = module
    for file in files:
      if not file.startswith("_"):
        modules[file] = importlib.import_module(f"{place}.{file}")
  if kind.fits is None:
    return modules
  found = {}
  for file, module in modules.items():
    for name, function in inspect.getmembers(
      module, lambda member: isinstance(member, FunctionType) or _cached(member)
    ):
      own = file == "optax" or function.__module__ == module.__name__
      if own and not name.startswith("_") and kind.fits(function):
        found[f"{file}.{name}"] = function
  return found


# What a game's functions are given that is made of other parts of the config, beside its nets; and what it says once.
_MADE = ("tx", "data", "dtype")


def settings_of(*functions: Callable, nets: Iterable[str] = ()) -> dict[str, inspect.Parameter]:
  """The settings that functions take: what is neither handed to them in use nor made of other parts of the config.

  Args:
    functions: their signatures count.
    nets: names of nets, which a game's `make` takes beside settings.
  """
  besides = {*_MADE, *nets}
  return {
    name: parameter
    for function in functions
    for name, parameter in inspect.signature(function).parameters.items()
    if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    and parameter.annotation not in (Net, Net | None)
    and name not in besides
  }


def complete(section: Any, kind: Kind, field: str) -> None:
  """Gives a section its full name, and the defaults of all settings that it leaves out, at any depth, in place."""
  section.name, function = find(kind, section.get("name", ""), f"{field}.name")
  fill(section, settings_of(function), field)


def fill(section: Any, settings: Mapping[str, inspect.Parameter], field: str) -> None:
  """As `complete`, of settings that are known."""
  check_settings(section, settings, field)
  for name, parameter in settings.items():
    if name not in section and parameter.default is not parameter.empty:
      default = _plain(parameter.default)
      section[name] = placeholder(float) if default is None and _is_number(parameter) else default
    if isinstance(section.get(name), ConfigDict):
      complete(section[name], VALUE, f"{field}.{name}")
      given = section[name].name
      if not _gives(find(VALUE, given, field)[1], parameter.annotation):
        raise ConfigError(f"{field}.{name}.name is {given!r}, which is of another kind than {name} takes")


def may_be(annotation: Any, value: Any) -> bool:
  """Whether a parameter of this annotation may be this number, string or tuple; None always."""
  kinds = _members(annotation)
  classes = tuple(kind for kind in kinds if isinstance(kind, type))
  unknown = annotation in (inspect.Parameter.empty, Any) or any(isinstance(kind, str) for kind in kinds)
  whole = float in classes and isinstance(value, int)
  return value is None or unknown or whole or isinstance(value, classes)


def _gives(function: Callable, annotation: Any) -> bool:
  """Whether what a section with this function means can be a parameter of this annotation, as far as both are known."""
  signature = inspect.signature(function)
  made, handed = signature.return_annotation, _handed(signature)
  callables = [kind for kind in _members(annotation) if typing.get_origin(kind) is Callable]
  if not handed and made is signature.empty or annotation in (signature.empty, Any):
    return True
  if not handed and typing.get_origin(made) is not Callable:
    return made in _members(annotation)
  arity = len(handed) or len(typing.get_args(made)[0])
  return any(len(typing.get_args(kind)[0]) == arity for kind in callables)


def _members(annotation: Any) -> tuple:
  """The types that an annotation allows."""
  union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
  return typing.get_args(annotation) if union else (annotation,)


def check_settings(section: Any, settings: Iterable[str], field: str) -> None:
  """Raises ConfigError at the first setting that is none of those that are accepted."""
  for key in section:
    if key != "name" and key not in settings:
      owner = section.get("name", field)
      raise ConfigError(f"{field}.{key} is not a setting of {owner}.{nearest(key, settings)}")


def resolve(section: Any, kind: Kind, field: str, **more: Any) -> Any:
  """The value that a section describes, settings at any depth resolved.

  Args:
    section: a name and settings; numbers in it may be traced arrays.
    kind: where the name is looked for.
    field: of the section in the config, for messages.
    more: further settings, given where the function takes them.

  Raises:
    ConfigError: if a name or a setting is not known, a setting that has no default is missing, or the function refuses
      a setting.
  """
  name, function = find(kind, section.get("name", ""), f"{field}.name")
  settings = settings_of(function)
  check_settings(section, settings, field)
  parameters = inspect.signature(function).parameters
  given = resolve_settings({k: v for k, v in section.items() if k != "name"}, field)
  given |= {k: v for k, v in more.items() if k in parameters}
  missing = [k for k, p in settings.items() if p.default is p.empty and k not in given]
  if missing:
    raise ConfigError(f"{field}.{missing[0]} is missing: {name} has no default for it")
  if _handed(inspect.signature(function)):
    return functools.partial(function, **given)
  return call(field, function, **given)


def resolve_settings(settings: Mapping[str, Any], field: str) -> dict[str, Any]:
  """Settings with every section among them resolved."""
  return {k: resolve(v, VALUE, f"{field}.{k}") if isinstance(v, ConfigDict | dict) else v for k, v in settings.items()}


def call(field: str, function: Callable, *arguments: Any, **settings: Any) -> Any:
  """Calls a function for a section: what it refuses is said with the field, and a bug keeps its traceback."""
  try:
    return function(*arguments, **settings)
  except ConfigError as error:
    raise ConfigError(f"{field}: {error}") from error
  except Exception as error:
    error.add_note(f"This was in making {field}.")
    raise


def _plain(default: Any) -> Any:
  """A default as a config has it: a function by its name."""
  if not isinstance(default, FunctionType):
    return default
  name = next((name for name, function in known(VALUE).items() if function is default), None)
  return ConfigDict({"name": name or f"{default.__module__}:{default.__name__}"})


def _is_number(parameter: inspect.Parameter) -> bool:
  return float in _members(parameter.annotation)


def _handed(signature: inspect.Signature) -> list[inspect.Parameter]:
  """What a function is given when it is used."""
  return [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_ONLY]


def _cached(member: Any) -> bool:
  return isinstance(getattr(member, "__wrapped__", None), FunctionType) and hasattr(member, "cache_info")
