"""Nearest neighbours among feature vectors or pixels by Euclidean distance: exact, and without the [N, M] distances.

Everything is in float64. Vectors that differ by less than 1e-7 of their distance from the mean, which float32 could
hardly tell apart, count as equal: their distance is 0.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.metrics import _pairs


def nearest(x: np.ndarray, reference: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
  """The k nearest of `reference` to each x, the nearest first.

  Args:
    x: [N, d].
    reference: [M, d].
    k: how many.

  Returns:
    Their distances and their positions in `reference`, both [N, k].

  Raises:
    ValueError: there are fewer than k, or features are not finite [N, d].
  """
  x, reference = _pairs.checked(x, reference)
  return _checked_nearest(x, reference, k, others=False)


def nearest_others(x: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
  """The k nearest to each x among the others: an equal one counts, itself it does not. Otherwise as `nearest`."""
  (x,) = _pairs.checked(x)
  return _checked_nearest(x, x, k, others=True)


def smallest(squared: jax.Array, k: int, but: int | jax.Array = -1) -> tuple[jax.Array, jax.Array]:
  """The k smallest of [M], and where they are, leaving out the one at `but`."""
  negative, index = jax.lax.top_k(jnp.where(jnp.arange(len(squared)) == but, -jnp.inf, -squared), k)
  return -negative, index


def _checked_nearest(x, reference, k, others):
  if not 1 <= k <= len(reference) - others:
    raise ValueError(f"k is {k}; there are {len(reference) - others} to choose from")
  return _pairs.in_float64(_nearest, x, reference, k=k, others=others)


@functools.partial(jax.jit, static_argnames=("k", "others"))
def _nearest(x, reference, k, others):
  centre = jnp.mean(reference, axis=0, keepdims=True)
  choose = lambda i, squared: smallest(squared, k, i if others else -1)
  squared, index = _pairs.map_distances(choose, x - centre, reference - centre)
  return jnp.sqrt(squared), index
