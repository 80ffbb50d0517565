"""Are samples like the data, and is all of the data there? Precision and recall, density and coverage.

Kynkaanniemi et al. 2019 (improved precision and recall); Naeem et al. 2020 (density and coverage).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.metrics import _pairs, neighbours


class PrecisionRecall(NamedTuple):
  """All of equal distributions near 1 (precision and recall less, the more the further apart neighbours are).

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
  return PrecisionRecall(*map(float, _pairs.in_float64(_evaluate, real, fake, k=k)))


@functools.partial(jax.jit, static_argnames="k")
def _evaluate(real, fake, k):
  centre = jnp.mean(real, axis=0, keepdims=True)
  real, fake = real - centre, fake - centre
  radius = lambda i, squared: neighbours.smallest(squared, k, i)[0][-1]
  real_radii, fake_radii = (_pairs.map_distances(radius, x, x) for x in (real, fake))
  share = lambda of: jnp.mean(of, dtype=real.dtype)
  held = _pairs.map_distances(lambda i, squared: jnp.sum(squared <= real_radii), fake, real)
  found, empty = _pairs.map_distances(
    lambda i, squared: (jnp.any(squared <= fake_radii), jnp.min(squared) > real_radii[i]), real, fake
  )
  return share(held > 0), share(found), share(held) / k, 1.0 - share(empty)
