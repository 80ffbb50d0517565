"""Precision, recall, density and coverage against brute force, and sets whose values are known."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gan_jax.metrics import _pairs
from gan_jax.metrics.precision_recall import precision_recall


def brute_force(real, fake, k):
  """With whole matrices, by sorting; the k-th neighbour but oneself is at place k."""
  radii = lambda x: np.sort(cdist(x, x), axis=1)[:, k]
  apart = cdist(real, fake)
  in_real, in_fake = apart <= radii(real)[:, None], apart <= radii(fake)[None]
  coverage = (apart.min(1) <= radii(real)).mean()
  return in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum(0).mean() / k, coverage


def points(seed, n, scale=1.0, d=3):
  return scale * np.random.default_rng(seed).normal(size=(n, d))


def test_by_hand():
  """With k = 1 the balls of real 0, 1, 3, 4 have radius 1, those of fake 0.5, 0.75, 10 have 0.25, 0.25 and 9.25."""
  found = precision_recall(np.array([[0.0], [1.0], [3.0], [4.0]]), np.array([[0.5], [0.75], [10.0]]), k=1)
  # Balls of 0 and 1 hold both 0.5 and 0.75, those of 3 and 4 none; the ball of 10 holds 1, 3 and 4.
  assert found == pytest.approx((2 / 3, 3 / 4, 4 / 3, 1 / 2), rel=1e-14)


@pytest.mark.parametrize("k, block", [(1, 1 << 22), (3, 300), (5, 10)])
def test_against_brute_force(k, block, monkeypatch):
  monkeypatch.setattr(_pairs, "_BLOCK", block)
  real, fake = points(0, 120), points(1, 90, 1.3) + 1.2
  expected = brute_force(real, fake, k)
  assert all(0.05 < each < 0.99 for each in expected)
  assert precision_recall(real, fake, k) == pytest.approx(expected, rel=1e-9)
  assert precision_recall(real + 1e3, fake + 1e3, k) == pytest.approx(expected, rel=1e-9)


def test_repeated_images_are_their_own_neighbours():
  """Each image three times: with k = 2 a ball is a point, which holds the fakes that are equal to it."""
  real = np.repeat(points(2, 30), 3, axis=0)
  fake = np.concatenate([real[:30], points(3, 60) + 9.0])
  assert precision_recall(real, fake, 2) == pytest.approx((1 / 3, 1 / 3, (1 / 3) * 3 / 2, 1 / 3), rel=1e-14)


def test_extremes():
  """A far generator has nothing; a collapsed one is precise, dense, and covers little; the data itself has most."""
  real = points(4, 200)
  assert precision_recall(real, points(5, 150) + 100.0) == (0, 0, 0, 0)
  collapsed = precision_recall(real, np.zeros((150, 3)) + 1e-3 * points(6, 150))
  assert collapsed.precision == 1.0 and collapsed.density > 1.0
  assert collapsed.recall == 0.0 and collapsed.coverage < 0.2
  itself = precision_recall(real, points(7, 200))
  assert itself.precision > 0.8 and itself.recall > 0.8 and itself.coverage > 0.9
  assert itself.density == pytest.approx(1.0, abs=0.2)


def test_refusals():
  x = points(8, 6)
  for k in (0, 5):
    with pytest.raises(ValueError, match=f"k is {k}; 6 real features and 5"):
      precision_recall(x, x[:5], k)
  with pytest.raises(ValueError, match="not finite"):
    precision_recall(x, np.full_like(x, np.nan), 1)
