"""The parameters themselves, of networks that are single numbers."""

import jax.numpy as jnp

from experiments.evaluators import Context, Evaluation


def make(context: Context, /) -> Evaluation:
  """Each number under its own name, and the "radius": how far from 0 they all are."""

  def measure(state):
    named = {name: value for params in state.params.values() for name, value in params.items()}
    found = {name: value for name, value in named.items() if not isinstance(value, dict) and jnp.ndim(value) == 0}
    return found | {"radius": jnp.sqrt(sum(jnp.square(value) for value in found.values()))}

  return Evaluation(measure)
