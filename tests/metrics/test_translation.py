"""Measures of translations by hand, and structural similarity against scikit-image's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from gan_jax.metrics import translation

RANDOM = np.random.default_rng(3)
X = np.tanh(RANDOM.normal(size=(3, 20, 17, 3))).astype(np.float32)
Y = np.clip(0.7 * X + 0.3 * RANDOM.normal(size=X.shape), -1.0, 1.0).astype(np.float32)


def reference(x, y, channel_axis=-1):
  return structural_similarity(
    x.astype(np.float64),
    y.astype(np.float64),
    gaussian_weights=True,
    sigma=1.5,
    use_sample_covariance=False,
    data_range=2.0,
    channel_axis=channel_axis,
  )


def test_l1_by_hand():
  """|1 - 0|, |-1 - 1|, |0.5 - 0.5|, |0 + 0.25|: 3.25 / 4."""
  x, y = jnp.array([[1.0, -1.0], [0.5, 0.0]]), jnp.array([[0.0, 1.0], [0.5, -0.25]])
  assert float(translation.l1(x, y)) == float(translation.l1(y, x)) == 3.25 / 4
  assert float(translation.l1(x, x)) == 0.0
  assert float(translation.l1(jnp.ones((2, 4, 4, 3)), -jnp.ones((2, 4, 4, 3)))) == 2.0
  with pytest.raises(AssertionError):
    translation.l1(x, y[:1])


@pytest.mark.parametrize("pair", [(X, Y), (X, X[::-1]), (X, -X), (0.01 * X, 0.01 * Y), (0.9 + 0.1 * X, 0.9 + 0.1 * Y)])
def test_ssim_against_scikit_image(pair):
  """Of one image, of the batch, of grey; bright flat images, too, whose variance is a small difference."""
  x, y = pair
  each = [reference(a, b) for a, b in zip(x, y)]
  np.testing.assert_allclose(translation.ssim(x, y), np.mean(each), rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(translation.ssim(x[1:2], y[1:2]), each[1], rtol=1e-4, atol=1e-5)
  grey = reference(x[0, :, :, 0], y[0, :, :, 0], None)
  np.testing.assert_allclose(translation.ssim(x[:1, :, :, :1], y[:1, :, :, :1]), grey, rtol=1e-4, atol=1e-5)


def test_ssim_of_the_smallest_image():
  """One window: a weighted mean, variance and covariance, written out."""
  x, y = X[:1, :11, :11, :1], Y[:1, :11, :11, :1]
  weights = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
  weights = np.outer(weights, weights) / weights.sum() ** 2
  a, b = x[0, :, :, 0].astype(np.float64), y[0, :, :, 0].astype(np.float64)
  mean = lambda v: np.sum(weights * v)
  mu_a, mu_b = mean(a), mean(b)
  top = (2 * mu_a * mu_b + 0.0004) * (2 * mean((a - mu_a) * (b - mu_b)) + 0.0036)
  bottom = (mu_a**2 + mu_b**2 + 0.0004) * (mean((a - mu_a) ** 2) + mean((b - mu_b) ** 2) + 0.0036)
  np.testing.assert_allclose(translation.ssim(x, y), top / bottom, rtol=1e-5)


def test_ssim_of_equal_and_of_flat_images():
  """Equal images 1. Flat ones a and b have no variance: (2ab + c1) / (a^2 + b^2 + c1), c1 = 0.0004."""
  assert float(translation.ssim(X, X)) == pytest.approx(1.0, abs=1e-6)
  flat = lambda value: jnp.full((1, 16, 16, 1), value)
  expected = (2 * 0.5 * 0.25 + 0.0004) / (0.5**2 + 0.25**2 + 0.0004)
  np.testing.assert_allclose(translation.ssim(flat(0.5), flat(0.25)), expected, rtol=1e-4)


def test_ssim_refuses_what_is_smaller_than_its_window():
  with pytest.raises(ValueError, match="images are 10x17; ssim's window needs 11 pixels each way"):
    translation.ssim(X[:, :10], Y[:, :10])
  with pytest.raises(AssertionError):
    translation.ssim(X, Y[:2])


def test_label_agreement_by_hand():
  """Largest logits 2, 0, 1, 1 against labels 2, 0, 0, 1."""
  logits = jnp.array([[0.0, -1.0, 3.0], [-1.0, -2.0, -3.0], [0.0, 1.0, 0.5], [7.0, 8.0, -9.0]])
  assert float(translation.label_agreement(logits, jnp.array([2, 0, 0, 1]))) == 0.75
  with pytest.raises(AssertionError):
    translation.label_agreement(logits, jnp.array([2, 0, 0]))


def test_jit_and_vmap_agree():
  def both(x, y):
    return jnp.stack([translation.l1(x, y), translation.ssim(x, y)])

  many = jax.jit(jax.vmap(both))(X[:, None], Y[:, None])
  for i in range(3):
    np.testing.assert_allclose(many[i], both(X[i : i + 1], Y[i : i + 1]), rtol=1e-5)
