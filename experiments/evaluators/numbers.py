"""The parameters themselves, of networks that are single numbers."""

import jax
import jax.numpy as jnp

from experiments.evaluators import Context, Evaluation
from gan_jax.errors import ConfigError


def make(context: Context, /) -> Evaluation:
  """Each number under its own name, and the "radius": how far from 0 they all are. Of the weights themselves.

  Raises:
    ConfigError: if no net is a single number.
  """

  def numbers(params):
    named = {name: value for net in params.values() for name, value in net.items()}
    return {name: value for name, value in named.items() if not isinstance(value, dict) and jnp.ndim(value) == 0}

  key = jax.random.key(0)
  if not numbers({name: jax.eval_shape(net.init, key)[0] for name, net in context.game.nets.items()}):
    raise ConfigError("it shows networks that are single numbers, such as those of dirac, and this game has none")

  def measure(state):
    found = numbers(state.params)
    return found | {"radius": jnp.sqrt(sum(jnp.square(value) for value in found.values()))}

  return Evaluation(measure)
