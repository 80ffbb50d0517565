"""The parameters themselves, of networks that are single numbers."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from experiments.evaluators import Context, Evaluation
from gan_jax import train


def make(context: Context, /) -> Evaluation:
  """Each number under its own name, and the "radius": how far from 0 they all are. Averaged, and as raw_... raw.

  The averages are of the nets that have one, generators as a rule; the game's course is that of the raw numbers.
  """

  def measure(state):
    averaged, _ = train.averaged(state)
    both = {"": _numbers(averaged), "raw_": _numbers(state.params)}
    return {prefix + name: value for prefix, found in both.items() for name, value in found.items()}

  return Evaluation(measure)


def _numbers(params: Mapping[str, Any]) -> dict[str, jax.Array]:
  named = {name: value for net in params.values() for name, value in net.items()}
  found = {name: value for name, value in named.items() if not isinstance(value, dict) and jnp.ndim(value) == 0}
  return found | {"radius": jnp.sqrt(sum(jnp.square(value) for value in found.values()))}
