"""How many different images a generator makes, by how often two of a batch are alike. Arora and Zhang 2017.

Of `size` equally frequent images a batch of n holds n (n - 1) / (2 size) equal pairs on average: one in a batch
of about 1.2 sqrt(size) is as likely as not. Where images are not equally frequent, `size` is the number of equally
frequent ones with as many pairs, 1 / sum of squared frequencies, which is at most the true number. What counts as alike
is a matter of a distance: see `threshold`.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from gan_jax.metrics import _pairs
from gan_jax.metrics.neighbours import nearest_others


class Support(NamedTuple):
  """An estimate from the pairs found.

  Attributes:
    pairs: how many are alike.
    size: of the support, n (n - 1) / (2 pairs); inf if there are none.
    low, high: the size's 95% interval, if pairs are few enough to be Poisson distributed. Without any pair `low` is all
      that is known.
    batch: how many samples hold a pair with probability 1/2.
  """

  pairs: int
  size: float
  low: float
  high: float
  batch: float


def threshold(data: np.ndarray, pairs: int = 10) -> float:
  """The distance within which so many pairs of real images lie: what is nearer is alike.

  Arora and Zhang look at the nearest pairs and judge by eye. With this threshold the estimate for `data` itself is
  N (N - 1) / (2 pairs), and that for a batch of samples is to be held against it: a generator as diverse as the data
  has the same.

  Args:
    data: features or pixels of real images, [N, d].
    pairs: a few, so that they are among the very nearest but no single one decides; less than N.

  Raises:
    ValueError: `pairs` does not fit, or features are not finite [N, d].
  """
  # A pair among the nearest so many is among the nearest so many of each of the two, and counted with both.
  return float(np.sort(nearest_others(data, pairs)[0], axis=None)[2 * pairs - 1])


def support(samples: np.ndarray, threshold: float) -> Support:
  """The size of the support from pairs of samples that are no further apart than `threshold`.

  Args:
    samples: features or pixels, [N, d].
    threshold: of their Euclidean distance; 0 counts equal ones.

  Raises:
    ValueError: there are fewer than two samples, or features are not finite [N, d].
  """
  (samples,) = _pairs.checked(samples)
  n = len(samples)
  if n < 2:
    raise ValueError("there are no pairs of a single sample")
  within = sum(np.count_nonzero(squared <= threshold**2) for _, squared in _pairs.squared_distances(samples, samples))
  pairs, all_pairs = int(within - n) // 2, n * (n - 1) / 2
  size = all_pairs / pairs if pairs else math.inf
  most = chi2.ppf(0.975, 2 * pairs + 2) / 2
  high = all_pairs / (chi2.ppf(0.025, 2 * pairs) / 2) if pairs else math.inf
  return Support(pairs, size, float(all_pairs / most), float(high), 0.5 + math.sqrt(0.25 + 2 * math.log(2) * size))
