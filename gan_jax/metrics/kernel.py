"""The kernel distance of two sets of features (KID), which has no bias. Bińkowski et al. 2018."""

from typing import NamedTuple

import numpy as np

from gan_jax.metrics import _pairs


class Kid(NamedTuple):
  """An estimate and how far it is off.

  Attributes:
    value: the squared maximum mean discrepancy; for equal distributions 0 on average, and so negative at times.
    standard_error: of the value, by the jackknife, which is on average too large rather than too small (Efron and
      Stein 1981).
  """

  value: float
  standard_error: float


def kid(x: np.ndarray, y: np.ndarray) -> Kid:
  """The unbiased estimate of MMD^2 under the kernel (x.y / d + 1)^3, over all pairs, in float64.

  Papers report the mean over random subsets of 1,000 (Bińkowski et al. 2018), whose expectation is the same and whose
  spread is larger; this is that estimate for a single subset of everything. Its standard error comes from leaving out
  each sample in turn, so that neither a seed nor a size of subsets decides it.

  Args:
    x: features, [N, d].
    y: of the other set, [M, d].

  Raises:
    ValueError: a set has fewer than three samples, or features are not finite [N, d].
  """
  x, y = _pairs.checked(x, y)
  n, m = len(x), len(y)
  if min(n, m) < 3:
    raise ValueError(f"there are {n} and {m} samples; a standard error needs three on each side")
  xx, yy, (xy, yx) = _sums_within(x), _sums_within(y), _sums_between(x, y)
  value = np.sum(xx) / (n * (n - 1)) + np.sum(yy) / (m * (m - 1)) - 2.0 * np.sum(xy) / (n * m)
  # What the estimate without the i-th sample has to do with it, times (n - 1) / 2.
  left_x, left_y = xy / m - xx / (n - 2), yx / n - yy / (m - 2)
  return Kid(float(value), float(2.0 * np.sqrt(np.var(left_x) / (n - 1) + np.var(left_y) / (m - 1))))


def _kernel(x, y):
  root = x @ y.T
  root /= x.shape[1]
  root += 1.0
  kernel = np.square(root)
  kernel *= root
  return kernel


def _sums_within(x):
  """Of the kernel of each x with all others, [N]: each pair is computed once."""
  sums = -((np.sum(np.square(x), axis=1) / x.shape[1] + 1.0) ** 3)
  for rows in _pairs.blocks(len(x), len(x)):
    kernel = _kernel(x[rows], x[rows.start :])
    sums[rows] += np.sum(kernel, axis=1)
    sums[rows.stop :] += np.sum(kernel[:, rows.stop - rows.start :], axis=0)
  return sums


def _sums_between(x, y):
  """Of the kernel of each x with all y, [N], and of each y with all x, [M]."""
  of_x, of_y = np.empty(len(x)), np.zeros(len(y))
  for rows in _pairs.blocks(len(x), len(y)):
    kernel = _kernel(x[rows], y)
    of_x[rows] = np.sum(kernel, axis=1)
    of_y += np.sum(kernel, axis=0)
  return of_x, of_y
