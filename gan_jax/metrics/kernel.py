"""The kernel distance of two sets of features (KID), which has no bias. Binkowski et al. 2018."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
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

  Papers report the mean over random subsets of 1,000 (Binkowski et al. 2018), whose expectation is the same and whose
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
  xx, yy, xy, yx = _pairs.in_float64(_sums, x, y)
  value = np.sum(xx) / (n * (n - 1)) + np.sum(yy) / (m * (m - 1)) - 2.0 * np.sum(xy) / (n * m)
  # What the estimate without the i-th sample has to do with it, times (n - 1) / 2.
  left_x, left_y = xy / m - xx / (n - 2), yx / n - yy / (m - 2)
  return Kid(float(value), float(2.0 * np.sqrt(np.var(left_x) / (n - 1) + np.var(left_y) / (m - 1))))


@jax.jit
def _sums(x, y):
  """Sums of the kernel of each x with all other x [N], each y with all other y, each x with y, each y with x."""
  kernel = lambda products: (products / x.shape[1] + 1.0) ** 3
  total = lambda i, row, products: jnp.sum(kernel(products))
  others = lambda i, row, products: jnp.sum(kernel(products)) - kernel(row @ row)
  maps = ((others, x, x), (others, y, y), (total, x, y), (total, y, x))
  return tuple(_pairs.map_products(*arguments) for arguments in maps)
