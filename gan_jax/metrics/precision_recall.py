"""Are samples like the data, and is all of the data there? Precision and recall, density and coverage.

Kynkäänniemi et al. 2019 (improved precision and recall); Naeem et al. 2020 (density and coverage).
"""

from typing import NamedTuple

import numpy as np

from gan_jax.metrics import _pairs


class PrecisionRecall(NamedTuple):
  """Of equal distributions density is 1 on average, coverage of equally many samples about 1 - 2^-k.

  Attributes:
    precision: the share of samples inside the ball of some real image, which reaches to its k-th real neighbour.
    recall: the share of real images inside the ball of some sample.
    density: how many real balls hold a sample, on average, over k: an outlier among the real images weighs little.
      It may exceed 1.
    coverage: the share of real images whose ball holds some sample.
  """

  precision: float
  recall: float
  density: float
  coverage: float


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 5) -> PrecisionRecall:
  """How well the balls around real images hold samples, and the other way round.

  A ball around an image is closed, and reaches to the k-th nearest of the others of its set, equal ones included. They
  depend on the numbers of images and on k: papers use 3 for precision and recall and 5 for density and coverage.

  Args:
    real: features, [N, d].
    fake: features of samples, [M, d].
    k: less than N and M.

  Raises:
    ValueError: k does not fit, or features are not finite [N, d].
  """
  real, fake = _pairs.checked(real, fake)
  if not 1 <= k < min(len(real), len(fake)):
    raise ValueError(f"k is {k}; {len(real)} real features and {len(fake)} of samples allow 1 to fewer than each")
  real_radii, fake_radii = _radii(real, k), _radii(fake, k)
  held, found, nearest = np.empty(len(fake)), np.zeros(len(real), bool), np.full(len(real), np.inf)
  for rows, squared in _pairs.squared_distances(fake, real):
    held[rows] = np.count_nonzero(squared <= real_radii, axis=1)
    found |= np.any(squared <= fake_radii[rows, None], axis=0)
    np.minimum(nearest, np.min(squared, axis=0), out=nearest)
  shares = np.mean(held > 0), np.mean(found), np.mean(held) / k, np.mean(nearest <= real_radii)
  return PrecisionRecall(*map(float, shares))


def _radii(x, k):
  """The squared distance of each x to its k-th neighbour: it is itself the one before the first, at 0."""
  return np.concatenate([_pairs.smallest(squared, k + 1)[0][:, k] for _, squared in _pairs.squared_distances(x, x)])
