"""Products and distances of all pairs of feature vectors: on the host, in float64, a block of rows at a time.

Distances are small differences of large numbers, and float64 is what processors have and most accelerators lack;
NumPy's BLAS multiplies twice as fast as XLA on a CPU, which also sorts a whole row to find its smallest.
"""

from collections.abc import Iterator

import jax
import numpy as np

_BLOCK = 1 << 19  # pairs held at once: 4 MiB, which caches hold
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


def blocks(rows: int, columns: int) -> Iterator[slice]:
  """Slices of the rows, as many at a time as `_BLOCK` allows with so many columns, at least one."""
  size = max(1, _BLOCK // columns)
  return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def squared_distances(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
  """Blocks of rows of the squared distances between x [N, d] and y [M, d], [B, M]; exactly 0 between equal vectors.

  |x|^2 + |y|^2 - 2 xy has few digits where it is small next to |x|^2 and |y|^2, so they are taken from y's mean.
  """
  centre = np.mean(y, axis=0)
  x, y = x - centre, y - centre
  of_x, of_y = ((1.0 - _EQUAL) * np.sum(np.square(z), axis=1) for z in (x, y))
  for rows in blocks(len(x), max(y.shape)):
    squared = (-2.0 * x[rows]) @ y.T
    squared += of_x[rows, None]
    squared += of_y
    yield rows, np.maximum(squared, 0.0, out=squared)


def smallest(squared: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
  """The k smallest of each row [B, M] and their columns, both [B, k], in order. It overwrites them.

  For the few neighbours that one asks for, k searches for the least take a fraction of the time of a partition.
  """
  values, columns, rows = np.empty((len(squared), k)), np.empty((len(squared), k), np.int64), np.arange(len(squared))
  for j in range(k):
    columns[:, j] = np.argmin(squared, axis=1)
    values[:, j] = squared[rows, columns[:, j]]
    squared[rows, columns[:, j]] = np.inf
  return values, columns
