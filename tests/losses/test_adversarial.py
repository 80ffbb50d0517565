"""Adversarial losses: values by hand and in float64, gradients in closed form, extreme scores, jit and vmap."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from gan_jax.losses import adversarial

REAL = np.array([0.3, -1.2, 2.5, 0.0], np.float64)
FAKE = np.array([-0.7, 1.4, 0.1, -3.0], np.float64)


def sigmoid(x):
  return 1.0 / (1.0 + np.exp(-x))


N = len(REAL)
# name: (loss, discriminator and generator in float64 as their papers write them,
#        d discriminator/d real, d discriminator/d fake, d generator/d fake)
CASES = {
  "minimax": (
    adversarial.minimax(),
    lambda r, f: -np.mean(np.log(sigmoid(r))) - np.mean(np.log(1 - sigmoid(f))),
    lambda f, r: np.mean(np.log(1 - sigmoid(f))),
    (-sigmoid(-REAL) / N, sigmoid(FAKE) / N, -sigmoid(FAKE) / N),
  ),
  "non_saturating": (
    adversarial.non_saturating(),
    lambda r, f: -np.mean(np.log(sigmoid(r))) - np.mean(np.log(1 - sigmoid(f))),
    lambda f, r: -np.mean(np.log(sigmoid(f))),
    (-sigmoid(-REAL) / N, sigmoid(FAKE) / N, -sigmoid(-FAKE) / N),
  ),
  "minimax_smoothed": (
    adversarial.minimax(smoothing=0.1),
    lambda r, f: -np.mean(0.9 * np.log(sigmoid(r)) + 0.1 * np.log(1 - sigmoid(r)) + np.log(1 - sigmoid(f))),
    lambda f, r: np.mean(np.log(1 - sigmoid(f))),
    ((sigmoid(REAL) - 0.9) / N, sigmoid(FAKE) / N, -sigmoid(FAKE) / N),
  ),
  "non_saturating_smoothed": (
    adversarial.non_saturating(smoothing=0.1),
    lambda r, f: -np.mean(0.9 * np.log(sigmoid(r)) + 0.1 * np.log(1 - sigmoid(r)) + np.log(1 - sigmoid(f))),
    lambda f, r: -np.mean(np.log(sigmoid(f))),
    ((sigmoid(REAL) - 0.9) / N, sigmoid(FAKE) / N, -sigmoid(-FAKE) / N),
  ),
  "least_squares": (
    adversarial.least_squares(a=-1.0, b=0.5, c=0.25),
    lambda r, f: np.mean((r - 0.5) ** 2) / 2 + np.mean((f + 1.0) ** 2) / 2,
    lambda f, r: np.mean((f - 0.25) ** 2) / 2,
    ((REAL - 0.5) / N, (FAKE + 1.0) / N, (FAKE - 0.25) / N),
  ),
  "least_squares_unhalved": (
    adversarial.least_squares(a=-1.0, b=0.5, c=0.25, scale=1.0),
    lambda r, f: np.mean((r - 0.5) ** 2) + np.mean((f + 1.0) ** 2),
    lambda f, r: np.mean((f - 0.25) ** 2),
    (2 * (REAL - 0.5) / N, 2 * (FAKE + 1.0) / N, 2 * (FAKE - 0.25) / N),
  ),
  "hinge": (
    adversarial.hinge(),
    lambda r, f: np.mean(np.maximum(0, 1 - r)) + np.mean(np.maximum(0, 1 + f)),
    lambda f, r: -np.mean(f),
    (-1.0 * (REAL < 1) / N, (FAKE > -1) / N, -np.ones(N) / N),
  ),
  "wasserstein": (
    adversarial.wasserstein(),
    lambda r, f: np.mean(f) - np.mean(r),
    lambda f, r: -np.mean(f),
    (-np.ones(N) / N, np.ones(N) / N, -np.ones(N) / N),
  ),
  "relativistic": (
    adversarial.relativistic(),
    lambda r, f: -np.mean(np.log(sigmoid(r - f))),
    lambda f, r: -np.mean(np.log(sigmoid(f - r))),
    (-sigmoid(FAKE - REAL) / N, sigmoid(FAKE - REAL) / N, -sigmoid(REAL - FAKE) / N),
  ),
}


def f32(x):
  return jnp.asarray(x, jnp.float32)


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name):
  loss, discriminator, generator, (by_real, by_fake, by_fake_generator) = CASES[name]
  value, gradient = jax.value_and_grad(loss.discriminator, (0, 1))(f32(REAL), f32(FAKE))
  np.testing.assert_allclose(value, discriminator(REAL, FAKE), rtol=1e-6)
  np.testing.assert_allclose(gradient[0], by_real, rtol=1e-5, atol=1e-7)
  np.testing.assert_allclose(gradient[1], by_fake, rtol=1e-5, atol=1e-7)
  value, gradient = jax.value_and_grad(loss.generator)(f32(FAKE), f32(REAL))
  np.testing.assert_allclose(value, generator(FAKE, REAL), rtol=1e-6)
  np.testing.assert_allclose(gradient, by_fake_generator, rtol=1e-5, atol=1e-7)


# Worked by hand for real = [1, -1], fake = [0, 2]; e.g. minimax: softplus(-1) + softplus(1) = 1.626523, halved
# 0.813262; softplus(0) + softplus(2) = 2.820075, halved 1.410038; together 2.223299. Relativistic: softplus(-1) +
# softplus(3) = 3.361849.
BY_HAND = {
  "minimax": (2.2232995, -1.4100376),
  "non_saturating": (2.2232995, 0.4100376),
  "hinge": (1.0 + 2.0, -1.0),
  "wasserstein": (1.0 - 0.0, -1.0),
  "relativistic": (1.6809245, 0.6809245),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_worked_by_hand(name):
  loss, real, fake = CASES[name][0], f32([1.0, -1.0]), f32([0.0, 2.0])
  np.testing.assert_allclose(loss.discriminator(real, fake), BY_HAND[name][0], rtol=1e-6)
  np.testing.assert_allclose(loss.generator(fake, real), BY_HAND[name][1], rtol=1e-6)


def test_least_squares_by_hand():
  loss = adversarial.least_squares()
  assert float(loss.discriminator(f32([1.0, -1.0]), f32([0.0, 2.0]))) == 0.5 * 2.0 + 0.5 * 2.0
  assert float(loss.generator(f32([0.0, 2.0]), f32([1.0, -1.0]))) == 0.5 * 1.0


@pytest.mark.parametrize("name", CASES)
def test_extreme_scores_are_finite(name):
  loss = CASES[name][0]
  for real, fake in ((500.0, -500.0), (-500.0, 500.0), (500.0, 500.0), (-500.0, -500.0)):
    for function in loss:
      out = jax.value_and_grad(function, (0, 1))(jnp.full(3, real), jnp.full(3, fake))
      chex.assert_tree_all_finite(out)


def test_the_minimax_generator_saturates_and_the_other_does_not():
  sure = f32([-20.0])
  assert abs(float(jax.grad(adversarial.minimax().generator)(sure, sure)[0])) < 1e-8
  np.testing.assert_allclose(jax.grad(adversarial.non_saturating().generator)(sure, sure), [-1.0], rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_wrong_shapes_are_refused(name):
  for function in CASES[name][0]:
    with pytest.raises(AssertionError):
      function(jnp.zeros(3), jnp.zeros(4))
    with pytest.raises(AssertionError):
      function(jnp.zeros((3, 1)), jnp.zeros((3, 2)))


@pytest.mark.parametrize("name", CASES)
def test_scores_of_patches_count_like_scores_of_images(name):
  """[B, H, W, 1] gives what the same scores give as [B H W], gradients too."""
  real, fake = (jax.random.normal(jax.random.key(k), (2, 3, 4, 1)) for k in (0, 1))
  for function in CASES[name][0]:
    value, gradient = jax.value_and_grad(function)(real, fake)
    expected, slopes = jax.value_and_grad(function)(real.ravel(), fake.ravel())
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient.ravel(), slopes, rtol=1e-5, atol=1e-8)


class Variants(chex.TestCase, parameterized.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*CASES)
  def test_jit_and_vmap_agree(self, name):
    loss, discriminator, generator, _ = CASES[name]
    real, fake = f32(np.stack([REAL, FAKE, 2 * REAL])), f32(np.stack([FAKE, REAL, -FAKE]))
    for function, reference in zip(loss, (discriminator, generator), strict=True):
      batched = self.variant(jax.vmap(function))(real, fake)
      single = [reference(np.float64(r), np.float64(f)) for r, f in zip(real, fake, strict=True)]
      np.testing.assert_allclose(batched, single, rtol=1e-5)
