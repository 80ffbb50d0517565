"""Distributions of the latent z: pure functions `(key, shape) -> z`, float32."""

from collections.abc import Callable

import jax

Prior = Callable[[jax.Array, tuple[int, ...]], jax.Array]


def normal(key: jax.Array, shape: tuple[int, ...], /) -> jax.Array:
  """Independent N(0, 1) entries."""
  return jax.random.normal(key, shape)


def uniform(key: jax.Array, shape: tuple[int, ...], /, *, low: float = -1.0, high: float = 1.0) -> jax.Array:
  """Independent entries, uniform in [low, high)."""
  return jax.random.uniform(key, shape, minval=low, maxval=high)
