"""The parameters themselves, of networks that are single numbers."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from experiments.evaluators import Context, Evaluation
from gan_jax import train
from gan_jax.errors import ConfigError


def make(context: Context, /) -> Evaluation:
  """Each number under its own name, and the "radius": how far from 0 they all are. Averaged, and as raw_... raw.

  The averages are of the nets that have one, generators as a rule; the game's course is that of the raw numbers.

  Raises:
    ConfigError: if no net is a single number.
  """
  nets, key = context.game.nets, jax.random.key(0)
  if not _numbers({name: jax.eval_shape(net.init, key)[0] for name, net in nets.items()}):
    raise ConfigError("it shows networks that are single numbers, such as those of dirac, and this game has none")

  def measure(state):
    averaged, _ = train.averaged(state)
    both = {"": _with_radius(averaged), "raw_": _with_radius(state.params)}
    return {prefix + name: value for prefix, found in both.items() for name, value in found.items()}

  explained = {"radius": ("radius", "how far all numbers are from 0, averaged where an average is kept")}
  explained |= {"raw_radius": ("radius, raw", "the same without averaging: the game's own course")}
  return Evaluation(measure, explained=explained, headline=("radius", "raw_radius"))


def _with_radius(params: Mapping[str, Any]) -> dict[str, jax.Array]:
  found = _numbers(params)
  return found | {"radius": jnp.sqrt(sum(jnp.square(value) for value in found.values()))}


def _numbers(params: Mapping[str, Any]) -> dict[str, Any]:
  named = {name: value for net in params.values() for name, value in net.items()}
  return {name: value for name, value in named.items() if not isinstance(value, dict) and jnp.ndim(value) == 0}
