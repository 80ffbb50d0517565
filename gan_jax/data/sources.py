"""The sources of data by name."""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

from gan_jax.data.dataset import Dataset
from gan_jax.errors import ConfigError, import_name, nearest

# Each name's function; modules are imported when they are asked for, so that nobody waits for another one's libraries.
SOURCES = {
  "mnist5k": "mnist:mnist5k",
  "digits": "mnist:digits",
  "outlines": "outlines:outlines",
  "mnist2colour": "mnist2colour:mnist2colour",
  "mnist3": "mnist3:mnist3",
  "sprites": "sprites:sprites",
  "ring8": "synthetic:ring8",
  "grid25": "synthetic:grid25",
  "mixture1d": "synthetic:mixture1d",
  "swiss_roll": "synthetic:swiss_roll",
  "parallel_lines": "synthetic:parallel_lines",
  "point": "synthetic:point",
}
# KIND:PLACE
PLACES = {
  "folder": "folder:load",
  "idx": "idx:load",
  "npz": "npz:load",
  "tfds": "tfds:load",
  "stacked": "stacked:load",
}


def load(name: str, **settings: Any) -> Dataset:
  """Loads a data set by name, with the settings of its function.

  Raises:
    ConfigError: as `source`, and as the function.
  """
  return source(name)(**settings)


def source(name: str) -> Callable[..., Dataset]:
  """The function that loads a data set: one of `SOURCES`, KIND:PLACE of `PLACES`, or "package.module:function" of
  yours.

  Raises:
    ConfigError: if there is none of that name; the message has the nearest.
  """
  kind, colon, place = name.partition(":")
  if colon and kind in PLACES and not place:
    raise ConfigError(f"data.name is {name!r}; give what it reads after the colon, {kind}:PLACE")
  if colon and kind in PLACES:
    return functools.partial(_imported(PLACES[kind]), place)
  if (
    colon and "." not in kind and importlib.util.find_spec(kind) is None
  ):  # a misspelt KIND, or a module that is not there
    raise ConfigError(f"data.name is {name!r}, which is not known.{_nearest(kind)}")
  if colon:
    return import_name(name, "data.name")
  if name not in SOURCES:
    raise ConfigError(f"data.name is {name!r}, which is not known.{_nearest(name)}")
  return _imported(SOURCES[name])


def _imported(path: str) -> Callable[..., Dataset]:
  module, _, function = path.partition(":")
  return getattr(importlib.import_module(f"gan_jax.data.{module}"), function)


def _nearest(given: str) -> str:
  return nearest(given, [*SOURCES, *(f"{kind}:" for kind in PLACES)])
