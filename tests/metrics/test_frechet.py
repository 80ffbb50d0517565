"""The Fréchet distance against closed forms, SciPy's sqrtm, and singular values of the features themselves."""

import functools

import numpy as np
import pytest
from scipy.linalg import sqrtm

from gan_jax.metrics import frechet
from gan_jax.metrics.frechet import Moments, distance, infinity, merge, moments


def exact(mean, covariance):
  """The moments of a Gaussian whose covariance is known."""
  return Moments(2, np.asarray(mean, float), np.asarray(covariance, float))


def features(seed, n, d):
  """Correlated, not centred, not negative: like those of a network."""
  rng = np.random.default_rng(seed)
  return np.maximum(rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d) + rng.uniform(0, 2, d), 0.0)


def by_singular_values(x, y):
  """With centred features X and Y, tr (S T)^(1/2) is the sum of the singular values of X Y^T, over (N - 1)."""
  a, b = ((z - z.mean(0)) / np.sqrt(len(z) - 1) for z in (x, y))
  apart = x.mean(0) - y.mean(0)
  return apart @ apart + np.sum(a**2) + np.sum(b**2) - 2 * np.linalg.norm(a @ b.T, "nuc")


def by_sqrtm(x, y):
  s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
  apart = x.mean(0) - y.mean(0)
  return apart @ apart + np.trace(s + t - 2 * sqrtm(s @ t).real)


def test_moments():
  x = features(0, 50, 7)
  found = moments(x.astype(np.float32))
  assert found.count == 50 and found.scatter.dtype == np.float64
  np.testing.assert_allclose(found.mean, x.mean(0), rtol=1e-6)
  np.testing.assert_allclose(found.scatter / 49, np.cov(x.astype(np.float32).astype(float), rowvar=False), rtol=1e-12)


@pytest.mark.parametrize("cuts", [[1, 2, 3], [100], [150, 299], list(range(20, 300, 20))])
def test_moments_do_not_depend_on_batches(cuts):
  """Even where the mean is a million times the spread."""
  x = features(1, 300, 5) + np.array([0.0, 1e6, -1e6, 3.0, 1e3])
  whole, parts = moments(x), functools.reduce(merge, map(moments, np.split(x, cuts)))
  assert parts.count == 300
  np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-14)
  np.testing.assert_allclose(parts.scatter, whole.scatter, rtol=1e-8)
  assert distance(parts, moments(x[::2] + 1)) == pytest.approx(distance(whole, moments(x[::2] + 1)), rel=1e-9)


def test_gaussians_in_closed_form():
  """On the line (m - n)^2 + (s - t)^2; in the plane tr (ST)^(1/2) = (tr ST + 2 (det ST)^(1/2))^(1/2), not commuting."""
  assert distance(exact([1.0], [[4.0]]), exact([3.0], [[25.0]])) == pytest.approx(4 + 9, rel=1e-14)
  s, t = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, -0.5], [-0.5, 2.0]])
  root = np.sqrt(np.trace(s @ t) + 2 * np.sqrt(np.linalg.det(s @ t)))
  assert not np.allclose(s @ t, t @ s)
  assert distance(exact([0, 0], s), exact([3, 4], t)) == pytest.approx(25 + 5 + 3 - 2 * root, rel=1e-13)
  a, b = np.arange(1.0, 9.0), np.arange(8.0, 0.0, -1)
  expected = np.sum((np.sqrt(a) - np.sqrt(b)) ** 2)
  assert distance(exact(a, np.diag(a)), exact(a, np.diag(b))) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("n, m", [(400, 300), (300, 2000)])
def test_against_sqrtm(n, m):
  x, y = features(2, n, 64), features(3, m, 64)
  assert distance(moments(x), moments(y)) == pytest.approx(by_sqrtm(x, y), rel=1e-9)
  assert distance(moments(x), moments(y)) == pytest.approx(by_singular_values(x, y), rel=1e-11)
  assert distance(moments(x.astype(np.float32)), moments(y.astype(np.float32))) == pytest.approx(
    by_sqrtm(x, y), rel=1e-6
  )


@pytest.mark.parametrize("n, m", [(2, 2), (30, 20), (20, 500), (500, 20), (100, 101)])
def test_fewer_samples_than_features(n, m):
  x, y = features(4, n, 100), features(5, m, 100)
  assert distance(moments(x), moments(y)) == pytest.approx(by_singular_values(x, y), rel=1e-9)
  assert distance(moments(y), moments(x)) == pytest.approx(by_singular_values(x, y), rel=1e-9)


def test_dead_and_repeated_features_and_features_of_any_scale():
  """A classifier's features are dead for some sets of images, its discriminator's of any size."""
  x, y = features(6, 200, 40), features(7, 150, 40)
  x[:, :10], y[:, 5:20], x[:, 30], y[:, 31] = 0.0, 0.5, x[:, 29], y[:, 29] + y[:, 28]
  assert distance(moments(x), moments(y)) == pytest.approx(by_singular_values(x, y), rel=1e-12)
  scale = 10.0 ** np.random.default_rng(0).uniform(-6, 6, 40)
  x, y = x * scale, y * scale
  assert distance(moments(x), moments(y)) == pytest.approx(by_singular_values(x, y), rel=1e-7)
  a, b = np.diag([1e8, 1e-8, 0.0]), np.diag([1e8, 4e-8, 0.0])
  assert frechet._root_trace(a, b) - 1e8 == pytest.approx(2e-8, abs=1e-7)
  assert frechet._root_trace(np.diag([1e-8, 0]), np.diag([4e-8, 9.0])) == pytest.approx(2e-8, rel=1e-12)


def test_nothing_between_equal_sets_and_only_the_shift_between_moved_ones():
  for n in (20, 500):
    x = features(8, n, 50)
    assert 0.0 <= distance(moments(x), moments(x)) < 1e-10
    assert 0.0 <= distance(moments(x), moments(x[::-1])) < 1e-10
    assert distance(moments(x), moments(x + 0.3)) == pytest.approx(50 * 0.09, rel=1e-9)
    constant = np.ones((n, 50))
    assert distance(moments(constant), moments(constant)) == 0.0
    assert distance(moments(x), moments(constant)) == pytest.approx(by_singular_values(x, constant), rel=1e-12)


def test_rotation_and_scale():
  x, y = features(9, 300, 12), features(10, 300, 12)
  rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
  plain = distance(moments(x), moments(y))
  assert distance(moments(x @ rotation), moments(y @ rotation)) == pytest.approx(plain, rel=1e-11)
  assert distance(moments(7 * x), moments(7 * y)) == pytest.approx(49 * plain, rel=1e-11)


def test_infinity_takes_the_bias_away():
  """N samples of the reference itself: the distance is biased by more than d / N, its extrapolation by far less."""
  d, n = 10, 1600
  reference, biased, free = exact(np.zeros(d), np.eye(d)), [], []
  for seed in range(8):
    found = infinity(np.random.default_rng(seed).normal(size=(n, d)), reference, seed=seed)
    np.testing.assert_array_equal(found.sizes, [200, 400, 800, 1600])
    biased.append(found.distances[-1])
    free.append(found.distance)
  assert np.mean(biased) > d / n
  assert abs(np.mean(free)) < 0.15 * np.mean(biased)


def test_infinity_is_the_line_through_means_over_parts():
  x, reference = features(11, 43, 3), moments(features(12, 90, 3))
  found = infinity(x, reference, halvings=1, seed=5)
  order = np.random.RandomState(5).permutation(43)[:42]
  halves = [distance(moments(x[part]), reference) for part in (order[:21], order[21:])]
  whole = distance(moments(x[order]), reference)
  np.testing.assert_allclose(found.distances, [np.mean(halves), whole], rtol=1e-10)
  assert found.distance == pytest.approx(2 * whole - np.mean(halves), rel=1e-9)


def test_refusals():
  x = features(0, 10, 3)
  for wrong in (x[0], x[:0], np.where(x > 1, np.nan, x), np.full((3, 2), np.inf)):
    with pytest.raises(ValueError, match="features"):
      moments(wrong)
  with pytest.raises(ValueError, match="10 and 1 samples"):
    distance(moments(x), moments(x[:1]))
  with pytest.raises(ValueError, match="of 3 and 2 features"):
    distance(moments(x), moments(x[:, :2]))
  for halvings in (0, 3):
    with pytest.raises(ValueError, match=f"10 samples cannot be halved {halvings} times"):
      infinity(x, moments(x), halvings)
