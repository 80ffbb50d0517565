"""Optimizers and schedules for games that optax does not have. Its own optimistic optimizers serve as they are."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_jax.game import Number, Scheduled


def at(value: Scheduled, step: jax.Array) -> Number:
  """A number as it is, or what a schedule gives for a round."""
  with jax.numpy_dtype_promotion("standard"):  # optax mixes its integer counters with floats
    return value(step) if callable(value) else value


class ExtraGradientState(NamedTuple):
  """Where an extra-gradient step stands.

  Attributes:
    ahead: whether the parameters are at the extrapolated point, bool scalar.
    away: how far that is from where the step began.
    inner: the state of the optimizer inside.
  """

  ahead: jax.Array
  away: Any
  inner: optax.OptState


def extra_gradient(tx: optax.GradientTransformation) -> optax.GradientTransformation:
  """Every second update starts from where the one before it started, with the gradient found where that one led.

  Korpelevich 1976; Gidel et al. 2019, algorithm 3. All players have to take both updates together: a simultaneous
  move that is repeated an even number of times, as `games.gan.pair(extra_gradient=True)` has it.
  """

  def init(params):
    return ExtraGradientState(jnp.zeros((), bool), jax.tree.map(jnp.zeros_like, params), tx.init(params))

  def update(gradient, state, params=None):
    updates, inner = tx.update(gradient, state.inner, params)
    back = jax.tree.map(lambda u, away: jnp.where(state.ahead, u - away, u), updates, state.away)
    return back, ExtraGradientState(~state.ahead, updates, inner)

  return optax.GradientTransformation(init, update)


def constant_then_exponential(rounds: int, hold: float = 0.5, end: float = 0.01) -> optax.Schedule:
  """1 for the share `hold` of `rounds`, then exponentially down to `end`, where it stays."""
  first = hold * rounds
  decay = optax.exponential_decay(1.0, (1.0 - hold) * rounds, end, end_value=end)
  return lambda step: decay(jnp.maximum(step - first, 0.0))


def constant_then_linear(rounds: int, hold: float = 0.5) -> optax.Schedule:
  """1 for the share `hold` of `rounds`, then linearly down to 0, where it stays. Zhu et al. 2017, appendix 7.1."""
  first = hold * rounds
  fall = optax.linear_schedule(1.0, 0.0, (1.0 - hold) * rounds)
  # Compiled, the line ends within rounding of 0, and maybe below it.
  return lambda step: jnp.where(step < rounds, fall(jnp.maximum(step - first, 0.0)), 0.0)


def geometric(start: float, end: float, rounds: int) -> optax.Schedule:
  """From `start` to `end` by equal factors in `rounds` rounds, then `end`."""
  return optax.exponential_decay(start, rounds, end / start, end_value=end)
