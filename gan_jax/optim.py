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
    start: the parameters before the extrapolation, while `ahead` is set.
    inner: the state of the optimizer inside.
  """

  ahead: jax.Array
  start: Any
  inner: optax.OptState


def extra_gradient(tx: optax.GradientTransformation) -> optax.GradientTransformation:
  """Extrapolates, and then repeats the step from where it began, with the gradient of the extrapolated point.

  Korpelevich 1976; Gidel et al. 2019, algorithm 2. All players have to take both updates together: a simultaneous
  move that is repeated an even number of times, as `games.gan.pair(extra_gradient=True)` has it. Where parameters are
  projected after each update, both updates are, as in these papers. `update` needs the parameters.
  """

  def init(params):
    return ExtraGradientState(jnp.zeros((), bool), jax.tree.map(jnp.zeros_like, params), tx.init(params))

  def update(updates, state, params=None):
    if params is None:
      raise ValueError("extra-gradient steps start from params; update needs them as its third argument")
    step, inner = tx.update(updates, state.inner, params)
    # Not the negative of the first update, after which the parameters may have been projected.
    back = jax.tree.map(lambda u, start, p: jnp.where(state.ahead, u + (start - p), u), step, state.start, params)
    return back, ExtraGradientState(~state.ahead, params, inner)

  return optax.GradientTransformation(init, update)


def resting(tx: optax.GradientTransformation) -> optax.GradientTransformation:
  """Optimizes each entry of the leading axis by itself, and leaves one that has no gradient as it is, state included.

  Where the gradient of all its parameters is exactly zero, an entry took no part in the loss: nets of a domain that was
  not drawn. Adam would move it on by the memory of earlier gradients. What `tx` counts are an entry's own moves.
  """

  def init(params):
    return jax.vmap(tx.init)(params)

  def update(updates, state, params=None):
    moves = jax.vmap(lambda one: jnp.any(jnp.stack([jnp.any(leaf != 0.0) for leaf in jax.tree.leaves(one)])))(updates)
    choose = lambda new, old: jnp.where(moves.reshape(-1, *[1] * (new.ndim - 1)), new, old)
    steps, after = jax.vmap(tx.update)(updates, state, params)
    still = jax.tree.map(jnp.zeros_like, steps)
    return jax.tree.map(choose, steps, still), jax.tree.map(choose, after, state)

  return optax.GradientTransformation(init, update)


# These take traced arrays for shares and ends, which optax's own schedules compare in Python.


def constant_then_exponential(rounds: int, hold: Number = 0.5, end: Number = 0.01) -> optax.Schedule:
  """1 for the share `hold` of `rounds`, then exponentially down to `end`, where it stays.

  Args:
    rounds: of the run.
    hold: in [0, 1]; with 1 it stays 1 up to the last round.
    end: above 0.
  """

  def schedule(step: Any) -> jax.Array:
    return jnp.maximum(jnp.power(end, _after(step, rounds, hold)), end)

  return schedule


def constant_then_linear(rounds: int, hold: Number = 0.5) -> optax.Schedule:
  """1 for the share `hold` of `rounds`, then linearly down to 0, where it stays. Zhu et al. 2017.

  Examples:
    >>> schedule = constant_then_linear(rounds=100, hold=0.5)
    >>> [float(schedule(step)) for step in (0, 50, 75, 100)]
    [1.0, 1.0, 0.5, 0.0]
  """

  def schedule(step: Any) -> jax.Array:
    # Compiled, the line ends within rounding of 0, and maybe below it.
    return jnp.where(step < rounds, 1.0 - jnp.minimum(_after(step, rounds, hold), 1.0), 0.0)

  return schedule


def geometric(start: Number, end: Number, rounds: int) -> optax.Schedule:
  """From `start` to `end`, both above 0, by equal factors in `rounds` rounds, then `end`.

  Examples:
    >>> schedule = geometric(start=1.0, end=0.01, rounds=100)
    >>> [round(float(schedule(step)), 4) for step in (0, 50, 100, 200)]
    [1.0, 0.1, 0.01, 0.01]
  """

  def schedule(step: Any) -> jax.Array:
    return jnp.where(step < rounds, start * jnp.power(end / start, step / rounds), end)

  return schedule


def _after(step: Any, rounds: int, hold: Number) -> jax.Array:
  """The part of what comes after the share `hold` of `rounds` that is over: 0 at its start, 1 at the end."""
  return jnp.maximum(step - hold * rounds, 0.0) / jnp.maximum((1.0 - hold) * rounds, 1e-6)
