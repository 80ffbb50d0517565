"""Nearest neighbours against scikit-learn's, and whatever a matrix product could get wrong."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from gan_jax.metrics import _pairs
from gan_jax.metrics.neighbours import nearest, nearest_others


def points(seed, n, d=6):
  return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("k, block, offset", [(1, 1 << 22, 0.0), (4, 200, 1e7), (3, 10, -3.0)])
def test_against_scikit_learn(k, block, offset, monkeypatch):
  """In one block, in several and row by row; near zero and far from it."""
  monkeypatch.setattr(_pairs, "_BLOCK", block)
  x, reference = points(0, 31), points(1, 50)
  brute = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(reference)
  expected = brute.kneighbors(x)
  found = nearest(x + offset, reference + offset, k)
  np.testing.assert_allclose(found[0], expected[0], rtol=1e-7)
  np.testing.assert_array_equal(found[1], expected[1])
  found, expected = nearest_others(reference + offset, k), brute.kneighbors()
  np.testing.assert_allclose(found[0], expected[0], rtol=1e-7)
  np.testing.assert_array_equal(found[1], expected[1])


def test_equal_ones_are_neighbours_and_oneself_is_not():
  x = points(2, 12)[[0, 1, 2, 3, 3, 4, 4, 4]] + 100.0
  distance, index = nearest_others(x, 2)
  np.testing.assert_array_equal(distance[:, 0] == 0.0, [False] * 3 + [True] * 5)
  np.testing.assert_array_equal(distance[:, 1] == 0.0, [False] * 5 + [True] * 3)
  assert (index != np.arange(8)[:, None]).all()
  np.testing.assert_array_equal(nearest(x, x)[0], 0.0)


def test_small_distances_keep_their_digits():
  """Two points 1e-4 apart, among others of length one."""
  x = points(3, 20)
  near = x[7] + 1e-4 * np.array([0.6, 0.8, 0, 0, 0, 0])
  distance, index = nearest(near[None], x)
  assert index == [[7]] and distance[0, 0] == pytest.approx(1e-4, rel=1e-6)


def test_refusals():
  x = points(4, 5)
  for k in (0, 6):
    with pytest.raises(ValueError, match=f"k is {k}; there are 5"):
      nearest(x, x, k)
  with pytest.raises(ValueError, match="k is 5; there are 4"):
    nearest_others(x, 5)
  with pytest.raises(ValueError, match="one width"):
    nearest(x, x[:, :2])
  with pytest.raises(ValueError, match="not finite"):
    nearest(x, np.full_like(x, np.inf))
