"""Wasserstein-1 distances between sets of samples: exact for small ones, with entropy for larger ones.

Both sets weigh their samples equally, and the cost of moving a sample is the Euclidean distance: all values are in the
units of the data. Villani 2009, Optimal Transport: Old and New, def. 6.1; Peyre and Cuturi 2019, Computational Optimal
Transport.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance


def w1(x: np.ndarray, y: np.ndarray) -> float:
  """The exact Wasserstein-1 distance of two sets of samples, computed in float64.

  On the line it is the area between the two distribution functions (Peyre and Cuturi 2019), found by
  sorting. Elsewhere it is the cheapest one-to-one assignment, whose time grows with N^3: 2,000 points
  in the plane take a few seconds at most. As an estimate of the distance of two distributions it is biased upwards, by
  the order of N^(-1/D) for D > 2.

  Args:
    x: [N, D].
    y: [M, D]; beyond one dimension M has to be N.

  Raises:
    ValueError: the sets are of different size in more than one dimension.

  Examples:
    >>> import numpy as np
    >>> w1(np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]]))
    2.0
  """
  x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
  _check_samples(x, y)
  if x.shape[1] == 1:
    return float(wasserstein_distance(x[:, 0], y[:, 0]))
  if len(x) != len(y):
    raise ValueError(
      f"in {x.shape[1]} dimensions w1 assigns samples one to one, but there are {len(x)} and {len(y)} of them;"
      " give it sets of equal size, or use sinkhorn"
    )
  cost = cdist(x, y)
  return float(cost[linear_sum_assignment(cost)].mean())


@jax.jit
def sinkhorn(
  x: jax.Array,
  y: jax.Array,
  regularisation: float | jax.Array,
  tolerance: float | jax.Array = 1e-3,
  iterations: int | jax.Array = 10_000,
) -> tuple[jax.Array, jax.Array]:
  """Transport with an entropy bonus: the plan P that minimises `<P, C> - regularisation * H(P)`, and its cost `<P, C>`.

  Up to the tolerance the cost is at least `w1`, which it approaches as the regularisation falls, while the iterations
  that are needed grow. Cuturi 2013; on logarithms, Peyre and Cuturi 2019.

  Args:
    x: [N, D].
    y: [M, D].
    regularisation: positive, in the units of the data; a hundredth of a typical distance is a fair choice.
    tolerance: the iteration ends when the plan's marginals are wrong by less than this, summed over samples.
    iterations: or after so many.

  Returns:
    The cost, in the units of the data, and the plan [N, M], whose rows sum to 1/N and whose columns to 1/M.
  """
  _check_samples(x, y)
  cost = jnp.linalg.norm(x[:, None] - y[None], axis=-1)

  def rows(g):
    return -regularisation * logsumexp((g[None] - cost) / regularisation, axis=1, b=1 / len(y))

  def columns(f):
    return -regularisation * logsumexp((f[:, None] - cost) / regularisation, axis=0, b=1 / len(x))

  def improve(loop):
    f, _, _, count = loop
    g = columns(f)
    better = rows(g)
    # With f and g the columns are right, and the i-th row sums to exp((f - better) / regularisation) / N.
    return better, g, jnp.mean(jnp.abs(jnp.expm1((f - better) / regularisation))), count + 1

  def unfinished(loop):
    return (loop[2] > tolerance) & (loop[3] < iterations)

  start = (jnp.zeros_like(cost[:, 0]), jnp.zeros_like(cost[0]), jnp.asarray(jnp.inf, cost.dtype), 0)
  f, g, _, _ = jax.lax.while_loop(unfinished, improve, start)
  plan = jnp.exp((f[:, None] + g[None] - cost) / regularisation) / cost.size
  return jnp.sum(plan * cost), plan


def _check_samples(x: np.ndarray | jax.Array, y: np.ndarray | jax.Array) -> None:
  chex.assert_rank([x, y], 2)
  chex.assert_equal_shape_suffix([x, y], 1)
