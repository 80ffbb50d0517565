"""Transport: by hand, by brute force, in closed form, and the entropic cost against the exact one."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics.transport import sinkhorn, w1


def column(*values):
  return np.array(values, np.float64)[:, None]


def cloud(seed, n=30, dimensions=2):
  return jax.random.normal(jax.random.key(seed), (n, dimensions))


@pytest.mark.parametrize(
  "x, y, expected",
  [
    (column(3, 0, 1), column(2, 7, 0), (0 + 1 + 4) / 3),  # sorted: 0-0, 1-2, 3-7
    (column(0, 1), column(5), 4.5),
    (column(0, 0, 3), column(0, 3), 3 * (2 / 3 - 1 / 2)),  # a sixth of the mass moves by 3
    (np.array([[0, 0], [1, 0], [5, 0]]), np.array([[0, 3], [1, 0], [5, 4]]), 7 / 3),
    # To take the nearest first, (2, 0) to (1, 0), would leave (0, 0) to go to (6, 0): 7 / 2, not 5 / 2.
    (np.array([[0, 0], [2, 0]]), np.array([[1, 0], [6, 0]]), 5 / 2),
    (np.array([[0, 0], [3, 0], [0, 4]]), np.array([[0, 4], [3, 4], [0, 0]]), 4 / 3),  # only (3, 0) moves
  ],
)
def test_exact_by_hand(x, y, expected):
  assert w1(x, y) == pytest.approx(expected, rel=1e-14)
  assert w1(y, x) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 7])
def test_exact_is_the_best_of_all_permutations(dimensions):
  x, y = np.random.default_rng(dimensions).normal(size=(2, 5, dimensions))
  costs = [np.linalg.norm(x - y[list(p)], axis=1).mean() for p in itertools.permutations(range(5))]
  assert w1(x, y) == pytest.approx(min(costs), rel=1e-13)
  assert min(costs) < 0.95 * np.median(costs)


def test_line_agrees_with_plane():
  """The same points on a line in the plane are assigned, not sorted."""
  x, y = np.random.default_rng(0).normal(size=(2, 50, 1))
  direction = np.array([[0.6, 0.8]])
  assert w1(x @ direction, y @ direction) == pytest.approx(w1(x, y), rel=1e-12)


def test_gaussians_of_equal_variance():
  """W1 is the distance of the means. The standard error of a mean of n samples is 1 / sqrt(n)."""
  rng = np.random.default_rng(1)
  x, y = rng.normal(size=(100_000, 1)), rng.normal(-1.7, size=(50_000, 1))
  assert w1(x, y) == pytest.approx(1.7, abs=5 * np.sqrt(1 / 100_000 + 1 / 50_000))
  shift = np.array([3.0, -4.0])
  assert w1(rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2)) + shift) == pytest.approx(5.0, abs=0.2)


def test_translation_is_exact_and_scale_is_linear():
  x = np.random.default_rng(2).normal(size=(40, 3))
  assert w1(x, x[::-1]) == 0.0
  assert w1(x, x[::-1] + np.array([1.0, 2.0, 2.0])) == pytest.approx(3.0, rel=1e-12)
  y = np.random.default_rng(3).normal(size=(40, 3))
  assert w1(10 * x, 10 * y) == pytest.approx(10 * w1(x, y), rel=1e-12)


def test_unequal_sizes_in_the_plane_are_refused():
  with pytest.raises(ValueError, match="in 2 dimensions .* there are 3 and 4 of them; .* sinkhorn"):
    w1(np.zeros((3, 2)), np.zeros((4, 2)))
  for x, y in [(np.zeros(3), np.zeros(3)), (np.zeros((3, 2)), np.zeros((3, 1)))]:
    with pytest.raises(AssertionError):
      w1(x, y)


@pytest.mark.parametrize("regularisation", [0.1, 0.5, 2.0])
def test_entropic_cost_of_two_points_in_closed_form(regularisation):
  """P is proportional to exp(-C / regularisation), and already has the marginals: cost 1 / (1 + exp(1 / reg))."""
  x = jnp.array([[0.0], [1.0]])
  cost, plan = sinkhorn(x, x, regularisation)
  away = 0.5 / (1 + np.exp(1 / regularisation))
  np.testing.assert_allclose(plan, [[0.5 - away, away], [away, 0.5 - away]], rtol=1e-4)
  assert cost == pytest.approx(2 * away, rel=1e-4)


def test_entropic_plan_is_the_minimiser():
  """log P + C / regularisation is a sum of a row's and a column's potential: the condition of first order."""
  x, y = cloud(0, 7), cloud(1, 9)
  plan = np.asarray(sinkhorn(x, y, 0.7, 1e-5)[1], np.float64)
  excess = np.log(plan) + np.linalg.norm(x[:, None] - y[None], axis=-1) / 0.7
  np.testing.assert_allclose(excess - excess[:1] - excess[:, :1] + excess[0, 0], 0.0, atol=1e-4)


@pytest.mark.parametrize("n, m", [(30, 30), (20, 45)])
def test_entropic_plan_has_the_marginals(n, m):
  cost, plan = sinkhorn(cloud(0, n), cloud(1, m), 0.05, 1e-4)
  chex.assert_shape(plan, (n, m))
  assert (plan >= 0).all()
  np.testing.assert_allclose(plan.sum(1), 1 / n, rtol=1e-4)
  assert np.abs(plan.sum(0) - 1 / m).sum() < 1e-4
  assert cost == pytest.approx(float((plan * np.linalg.norm(cloud(0, n)[:, None] - cloud(1, m)[None], axis=-1)).sum()))


def test_entropic_cost_falls_to_the_exact_one():
  x, y = cloud(0), cloud(1) + jnp.array([[0.5, 0.0]])
  costs = [float(sinkhorn(x, y, regularisation)[0]) for regularisation in (100.0, 1.0, 0.3, 0.1, 0.03, 0.01)]
  exact, mean = w1(x, y), np.linalg.norm(x[:, None] - y[None], axis=-1).mean()
  assert costs == sorted(costs, reverse=True)
  assert costs[0] == pytest.approx(mean, rel=0.01)
  assert costs[-2] > 1.01 * exact and costs[-1] == pytest.approx(exact, rel=0.005)


def test_entropic_cost_for_sets_of_unequal_size():
  x, y = cloud(2, 25, 1), cloud(3, 40, 1)
  assert sinkhorn(x, y, 0.01)[0] == pytest.approx(w1(x, y), rel=0.01)


def test_iterations_end_the_search():
  x, y = cloud(0), cloud(1)
  rough, fine = (sinkhorn(x, y, 0.01, 1e-3, iterations)[1] for iterations in (2, 10_000))
  assert np.abs(rough.sum(0) - 1 / 30).sum() > 0.05 > np.abs(fine.sum(0) - 1 / 30).sum()


def test_extreme_scales_stay_finite():
  """exp(-C / regularisation) alone would underflow to zero in every entry."""
  cost, plan = sinkhorn(cloud(0) * 1e3, cloud(1) * 1e3 + 1e4, 10.0)
  chex.assert_tree_all_finite((cost, plan))
  assert cost == pytest.approx(w1(np.asarray(cloud(0)) * 1e3, np.asarray(cloud(1)) * 1e3 + 1e4), rel=0.01)


def test_sinkhorn_over_a_batch_of_sets():
  x, y = jnp.stack([cloud(0), cloud(2)]), jnp.stack([cloud(1), cloud(3)])
  together = jax.vmap(sinkhorn, (0, 0, None))(x, y, 0.1)[0]
  np.testing.assert_allclose(together, [sinkhorn(a, b, 0.1)[0] for a, b in zip(x, y)], rtol=1e-5)
