"""The mistakes of the person at the keyboard, as distinct from bugs; and names, where most of them happen."""

import difflib
import importlib
import numbers
from collections.abc import Iterable
from typing import Any


class ConfigError(ValueError):
  """A setting, a name, a flag or a file is wrong; the message says which and what would be right.

  Raised where configs, names, flags and files are read. Commands print the message alone, without a traceback. Every
  other error is a bug, in this package or in a loss that someone is writing, and keeps its traceback.
  """


def at_least_one(field: str, *values: int) -> None:
  """Raises ConfigError if a count is no integer, below one, or more than arrays can count."""
  for value in values:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
      raise ConfigError(f"{field} is {value!r}; it has to be an integer")
    if value < 1:
      raise ConfigError(f"{field} is {value}; it has to be at least 1")
    if value >= 2**31:
      raise ConfigError(f"{field} is {value}; it has to be below 2^31")


def nearest(given: str, accepted: Iterable[str]) -> str:
  """The end of a message about a name that is not known: the few names that are near it, or all where these are few."""
  accepted = sorted(accepted)
  last = {name.rpartition(".")[2]: name for name in reversed(accepted)}
  near = difflib.get_close_matches(given, accepted, n=3, cutoff=0.6)
  near += [last[n] for n in difflib.get_close_matches(given.rpartition(".")[2], last, n=3, cutoff=0.6)]
  near = list(dict.fromkeys(near))[:3]
  guess = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
  if len(accepted) <= 12:
    return f"{guess} Accepted: {', '.join(accepted) or 'none'}."
  return guess or f" Accepted are, among others, {', '.join(accepted[:12])}."


def import_name(name: str, field: str) -> Any:
  """What `package.module:function` names, or the whole module of `package.module:`.

  Raises:
    ConfigError: if there is no such module, or nothing of that name in it. An error within the module is its own.
  """
  path, _, attribute = name.partition(":")
  try:
    module = importlib.import_module(path)
  except ModuleNotFoundError as error:
    if error.name is None or not f"{path}.".startswith(f"{error.name}."):
      raise  # a bug in the module: something that it imports is not there
    raise ConfigError(f"{field} is {name!r}, but there is no module {path!r} on the Python path") from error
  if attribute and not hasattr(module, attribute):
    raise ConfigError(f"{field} is {name!r}, but {path} has no {attribute!r}.{nearest(attribute, vars(module))}")
  return getattr(module, attribute) if attribute else module
