"""Nearest neighbours among feature vectors or pixels by Euclidean distance, without the distances of all pairs.

In float64, the distances that are returned to its full precision. Which of two is nearer is decided up to 1e-7 of the
features' spread.
"""

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
  return _nearest(x, reference, k, others=False)


def nearest_others(x: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
  """The k nearest to each x among the others: an equal one counts, itself it does not. Otherwise as `nearest`."""
  (x,) = _pairs.checked(x)
  return _nearest(x, x, k, others=True)


def _nearest(x, reference, k, others):
  if not 1 <= k <= len(reference) - others:
    raise ValueError(f"k is {k}; there are {len(reference) - others} to choose from")
  distance, index = np.empty((len(x), k)), np.empty((len(x), k), np.int64)
  for rows, squared in _pairs.squared_distances(x, reference):
    if others:
      np.fill_diagonal(squared[:, rows.start :], np.inf)
    index[rows] = _pairs.smallest(squared, k)[1]
    distance[rows] = np.linalg.norm(x[rows, None] - reference[index[rows]], axis=-1)
  return distance, index
