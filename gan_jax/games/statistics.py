"""What a move makes of the statistics of a network that it used more than once."""

from typing import Any

import jax
import jax.numpy as jnp


def mean(first: Any, *others: Any) -> Any:
  """The mean of statistics that began as the same ones: each use counts alike, and none sees what another left.

  Args:
    first: a pytree of arrays.
    others: pytrees of the same structure. Of entries that are no floating-point numbers, the first stays.
  """

  def leaf(a, *b):
    return sum(b, a) / (1 + len(b)) if jnp.issubdtype(a.dtype, jnp.floating) else a

  return jax.tree.map(leaf, first, *others)
