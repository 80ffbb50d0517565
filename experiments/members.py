"""How a function of one member of a sweep becomes one of all."""

from collections.abc import Callable

import jax

from experiments.build import Experiment
from gan_jax import train


def over_members(experiment: Experiment) -> Callable[[Callable], Callable]:
  """The fastest of the ways below for a game on this machine.

  An accelerator takes all members at once. On a CPU eight at a time stay in its cache: of 32 rings (dense 3x128, batch
  64, two cores) they played 1.24 and 1.47 times the rounds of a single run, all at once 0.84 and 0.97. Convolutions
  there go one by one, for with weights of each member's own they would become grouped ones, which a CPU computes far
  slower.
  """
  if jax.default_backend() != "cpu":
    return at_once
  batch = jax.eval_shape(experiment.draw, jax.random.key(0))
  state = jax.eval_shape(lambda key: train.init(experiment.game, key), jax.random.key(0))
  batches = jax.tree.map(lambda b: jax.ShapeDtypeStruct((experiment.game.draws, *b.shape), b.dtype), batch)
  convolves = "conv_general_dilated" in str(jax.make_jaxpr(train.make_step(experiment.game))(state, batches))
  return in_turn if convolves else by_eights


def at_once(function: Callable) -> Callable:
  """All members at once: the first two arguments have an axis of members, the third is shared."""
  return jax.vmap(function, (0, 0, None))


def by_eights(function: Callable) -> Callable:
  """As `at_once`, but eight members after the other eight."""
  return lambda a, b, shared: jax.lax.map(lambda each: function(*each, shared), (a, b), batch_size=8)


def in_turn(function: Callable) -> Callable:
  """As `at_once`, but one member after the other."""
  return lambda a, b, shared: jax.lax.map(lambda each: function(*each, shared), (a, b))
