"""The Fréchet distance of two sets of features, as if both were Gaussian. Dowson and Landau 1982; Heusel et al. 2017.

On the host, in float64. Of features of InceptionV3 it is the FID; of others it is not comparable with published
numbers. State the features and the numbers of samples with it.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigvalsh, get_lapack_funcs

from gan_jax.metrics import _pairs


class Moments(NamedTuple):
  """What the distance needs to know of features: a pytree whose parts from several batches or hosts can be merged.

  Attributes:
    count: of samples.
    mean: [d] float64.
    scatter: the sum of squared deviations from the mean, [d, d] float64: (count - 1) times the covariance.
  """

  count: int
  mean: np.ndarray
  scatter: np.ndarray


class Extrapolation(NamedTuple):
  """The distance of infinitely many samples, and the points [K] of the line that gives it."""

  distance: float
  sizes: np.ndarray
  distances: np.ndarray


def moments(features: np.ndarray) -> Moments:
  """The moments of features [N, d]. Raises ValueError if there are none or they are not finite."""
  (features,) = _pairs.checked(features)
  mean = np.mean(features, axis=0)
  deviations = features - mean
  return Moments(len(features), mean, deviations.T @ deviations)


def merge(a: Moments, b: Moments) -> Moments:
  """The moments of both sets together, without loss of digits. Chan et al. 1979.

  It costs d^2, as much as the moments of a few samples: `functools.reduce(merge, map(moments, batches))`.
  """
  count = a.count + b.count
  apart = b.mean - a.mean
  scatter = a.scatter + b.scatter + np.outer(apart, apart * (a.count * b.count / count))
  return Moments(count, a.mean + apart * (b.count / count), scatter)


def distance(a: Moments, b: Moments) -> float:
  """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), with covariances that divide by N - 1; at least 0.

  Exact for singular covariances too, of fewer samples than features. As an estimate from N samples it is biased upwards
  by the order of 1/N: compare only distances from equal numbers, and with that of real images to other real ones.

  Raises:
    ValueError: a side has fewer than two samples, or their features are not equally many.

  Examples:
    >>> import numpy as np
    >>> a, b = np.array([[-1.0], [1.0]]), np.array([[1.0], [5.0]])  # means 0 and 3, variances 2 and 8
    >>> round(distance(moments(a), moments(b)), 6)  # 9 + (sqrt 2 - sqrt 8)^2
    11.0
  """
  if a.mean.shape != b.mean.shape or min(a.count, b.count) < 2:
    raise ValueError(
      f"moments are of {a.count} and {b.count} samples of {len(a.mean)} and {len(b.mean)} features;"
      " a distance needs two samples on each side and equally many features"
    )
  s, t = (m.scatter / (m.count - 1) for m in (a, b))
  apart = a.mean - b.mean
  return max(float(apart @ apart + np.trace(s) + np.trace(t) - 2.0 * _root_trace(s, t)), 0.0)


def infinity(features: np.ndarray, reference: Moments, halvings: int = 3, seed: int = 0) -> Extrapolation:
  """The distance that infinitely many samples would have: without the bias of N samples. Chong and Forsyth 2020.

  The bias is proportional to 1/N once N is well above the number of features, so a line through the distances of fewer
  and fewer samples, over 1/N, is at 0 what is sought. Chong and Forsyth draw 15 sizes at random; here the samples are
  shuffled and cut into 2^halvings parts, whose moments are merged two by two, and each size is the mean over its parts:
  all samples serve at every size, and their moments are taken once. The reference's own bias stays.

  Args:
    features: of samples, [N, d].
    reference: moments of as many real images as there are.
    halvings: the smallest size is N / 2^halvings; with d features 2^(halvings + 1) - 1 distances are computed.
    seed: of the shuffling.

  Returns:
    The extrapolated distance, which near 0 may be negative, the sizes, and the mean distance at each.

  Raises:
    ValueError: there are no halvings, or fewer than two samples in a part.
  """
  (features,) = _pairs.checked(features)
  parts = 2**halvings
  if halvings < 1 or len(features) < 2 * parts:
    raise ValueError(
      f"{len(features)} samples cannot be halved {halvings} times: it takes one halving, and two in a part"
    )
  order = np.random.RandomState(seed).permutation(len(features))[: len(features) // parts * parts]
  level = [moments(features[part]) for part in np.split(order, parts)]
  sizes, distances = [], []
  while level:
    sizes.append(level[0].count)
    distances.append(np.mean([distance(part, reference) for part in level]))
    level = [merge(*pair) for pair in zip(level[::2], level[1::2])]
  sizes, distances = np.array(sizes), np.array(distances)
  return Extrapolation(float(np.polyfit(1.0 / sizes, distances, 1)[1]), sizes, distances)


def _root_trace(s: np.ndarray, t: np.ndarray) -> float:
  """tr (S T)^(1/2), the sum of the singular values of F^T G for S = F F^T and T = G G^T.

  They are the roots of the eigenvalues of A = F^T G G^T F. Where S or T is singular, A may be, and the root of a
  rounding error is no small number. But A = H H^T, with H of full rank, has the eigenvalues of H^T H, less zeros.
  """
  f, g = sorted((_factor(s), _factor(t)), key=lambda factor: factor.shape[1])
  product = f.T @ g
  symmetric = product @ product.T
  if len(symmetric) < len(s):
    h = _factor(symmetric)
    symmetric = h.T @ h
  return float(np.sum(np.sqrt(np.maximum(eigvalsh(symmetric, overwrite_a=True), 0.0))))


def _factor(covariance: np.ndarray) -> np.ndarray:
  """F [d, rank] with F F^T = covariance: Cholesky with pivots, on correlations so that small features are not lost."""
  scale = np.sqrt(np.diag(covariance))
  divisor = np.where(scale > 0.0, scale, 1.0)
  correlation = covariance / divisor
  correlation /= divisor[:, None]
  (cholesky,) = get_lapack_funcs(["pstrf"], [correlation])
  # Transposed: LAPACK wants columns one after the other, and gets them without a copy.
  lower, pivots, rank, _ = cholesky(correlation.T, lower=True, overwrite_a=True)
  return scale[:, None] * np.tril(lower)[np.argsort(pivots), :rank]
