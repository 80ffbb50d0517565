"""A game that is another one with a part of its own says that part alone."""

import inspect
from collections.abc import Callable
from typing import Any


def extends(base: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
  """`@extends(base) def make(*, own=1, **shared)`, where `shared` goes on to `base`, has the settings of both.

  The signature that `inspect` shows has the keyword-only parameters of `base` in place of `**shared`, so that whoever
  checks settings or asks for defaults sees all of them. Parameters of `base` that are not keyword-only, and those that
  have the name of an own one, are no settings: the function gives them itself.
  """

  def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function)
    own = {name: p for name, p in signature.parameters.items() if p.kind is not inspect.Parameter.VAR_KEYWORD}
    theirs = inspect.signature(base).parameters
    shared = {name: p for name, p in theirs.items() if p.kind is inspect.Parameter.KEYWORD_ONLY and name not in own}
    function.__signature__ = signature.replace(parameters=[*own.values(), *shared.values()])  # pyright: ignore
    return function

  return decorate
