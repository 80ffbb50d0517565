"""Distributions of the latent z, pure functions `(key, shape) -> z`, float32; and the path between two latents."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Prior = Callable[[jax.Array, tuple[int, ...]], jax.Array]


def normal(key: jax.Array, shape: tuple[int, ...], /) -> jax.Array:
  """Independent N(0, 1) entries."""
  return jax.random.normal(key, shape)


def uniform(key: jax.Array, shape: tuple[int, ...], /, *, low: float = -1.0, high: float = 1.0) -> jax.Array:
  """Independent entries, uniform in [low, high)."""
  return jax.random.uniform(key, shape, minval=low, maxval=high)


def slerp(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
  """Spherical interpolation: along the great circle through a and b, with a length that changes linearly. White 2016.

  Latents of many entries nearly all have the same length, and points on the straight line between two of them are
  shorter: nothing that the generator was trained on. Where b points away from a, any of the great circles is taken.

  Args:
    a: where t is 0, [d].
    b: where t is 1, [d].
    t: a scalar in [0, 1].

  Returns:
    [d]; a and b themselves at the ends.

  Examples:
    >>> import jax.numpy as jnp
    >>> slerp(jnp.array([3.0, 0.0]), jnp.array([0.0, 3.0]), jnp.array(1 / 3))  # at 30 degrees
    Array([2.598..., 1.5...], dtype=float32)
  """
  (u, of_a), (v, of_b) = _direction(a), _direction(b)
  beside, sin = _direction(v - (u @ v) * u)
  angle = jnp.arctan2(sin, u @ v)
  # Where v is u or -u, which leaves nothing beside it, any axis but u's.
  axis = jnp.zeros_like(u).at[jnp.argmin(jnp.abs(u))].set(1.0)
  beside = jnp.where(sin > 1e-6, beside, axis)
  beside, _ = _direction(beside - (beside @ u) * u)  # a second time: near u and -u much of it is rounding
  point = ((1.0 - t) * of_a + t * of_b) * (jnp.cos(t * angle) * u + jnp.sin(t * angle) * beside)
  return jnp.where(t == 0.0, a, jnp.where(t == 1.0, b, point))  # rounding would leave the ends a little off


def _direction(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """A vector of length one, or zero, and the length of x."""
  length = jnp.linalg.norm(x)
  return x / jnp.maximum(length, 1e-30), length
