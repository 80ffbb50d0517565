"""Products and distances of all pairs of feature vectors, in float64, a block of rows at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_BLOCK = 1 << 22  # pairs held at once: 32 MiB
_EQUAL = 1e-14  # of the squared lengths: a distance of 1e-7, what float32 can tell apart


def checked(*features: np.ndarray | jax.Array) -> tuple[np.ndarray, ...]:
  """The features [N, d] in float64.

  Raises:
    ValueError: they are not of rank 2 and one width, there are none, or a value is not finite.
  """
  found = tuple(np.asarray(x, np.float64) for x in features)
  if any(x.ndim != 2 or x.shape[1:] != found[0].shape[1:] or not x.size for x in found):
    raise ValueError(f"features must be [N, d], at least one and of one width, not {[list(x.shape) for x in found]}")
  if not all(np.isfinite(x).all() for x in found):
    raise ValueError("features hold values that are not finite")
  return found


def in_float64(function: Callable[..., Any], *arrays: np.ndarray, **static: int) -> Any:
  """The function's arrays, computed in float64 on the default device whatever JAX's setting, as NumPy's."""
  with jax.enable_x64(True):
    return jax.tree.map(np.asarray, function(*(jnp.asarray(x, jnp.float64) for x in arrays), **static))


def map_products(use: Callable[..., Any], x: jax.Array, y: jax.Array) -> Any:
  """`use(i, x_i [d], products of x_i with each y [M])` for each row of x, stacked: [N, M] never exists."""
  row = lambda indexed: use(*indexed, y @ indexed[1])
  return jax.lax.map(row, (jnp.arange(len(x)), x), batch_size=max(1, _BLOCK // len(y)))


def map_distances(use: Callable[..., Any], x: jax.Array, y: jax.Array) -> Any:
  """`use(i, squared distances of x_i to each y [M])` for each row of x, stacked.

  |x|^2 + |y|^2 - 2 xy keeps few digits of a distance that is small next to x and y, so both ought to be centred.
  """
  lengths = jnp.sum(jnp.square(y), axis=1)

  def row(i, x, products):
    both = jnp.sum(jnp.square(x)) + lengths
    squared = both - 2.0 * products
    return use(i, jnp.where(squared > _EQUAL * both, squared, 0.0))

  return map_products(row, x, y)
