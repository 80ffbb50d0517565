"""The closed form of the KL against quadrature and gradients by hand; draws against their moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from gan_jax.losses import variational

KEY = jax.random.key(1)


@pytest.mark.parametrize(("mean", "log_variance"), [(0.0, 0.0), (1.5, 0.0), (-0.3, 2.0), (0.7, -3.0)])
def test_kl_is_the_integral(mean, log_variance):
  q, p = stats.norm(mean, np.exp(log_variance / 2)), stats.norm()
  truth, _ = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), mean - 20, mean + 20, points=[mean])
  found = variational.kl_to_standard_normal(jnp.full((1, 1), mean), jnp.full((1, 1), log_variance))
  np.testing.assert_allclose(found, [truth], rtol=1e-5, atol=1e-6)


def test_kl_adds_up_over_entries_and_not_over_examples():
  mean = jnp.array([[1.0, 2.0], [0.0, 0.5]])
  np.testing.assert_allclose(variational.kl_to_standard_normal(mean, 0.0), [2.5, 0.125], rtol=1e-6)
  maps = mean.reshape(2, 1, 2, 1)
  np.testing.assert_allclose(variational.kl_to_standard_normal(maps, jnp.zeros_like(maps)), [2.5, 0.125], rtol=1e-6)


def test_kl_near_a_variance_of_one_keeps_its_digits():
  """1/2 (e^s - 1 - s) is s^2 / 4 there: 2.5e-9 at 1e-4, where e^s - 1 in float32 would be off by a hundredth."""
  found = variational.kl_to_standard_normal(jnp.zeros((1, 1)), jnp.full((1, 1), 1e-2))
  np.testing.assert_allclose(found, [0.5 * (np.expm1(1e-2) - 1e-2)], rtol=1e-3)


def test_gradients_of_the_kl():
  """mu, and (sigma^2 - 1) / 2."""
  mean, log_variance = jnp.array([[0.5, -2.0]]), jnp.array([[1.0, -1.0]])
  of_mean, of_variance = jax.grad(lambda *q: variational.kl_to_standard_normal(*q).sum(), (0, 1))(mean, log_variance)
  np.testing.assert_allclose(of_mean, mean, rtol=1e-6)
  np.testing.assert_allclose(of_variance, 0.5 * np.expm1(np.asarray(log_variance)), rtol=1e-5)


def test_draws_have_their_moments_and_carry_gradients():
  mean, log_variance = jnp.full((40_000, 1), 0.3), jnp.full((40_000, 1), np.log(4.0))
  z = variational.reparameterised(KEY, mean, log_variance)
  np.testing.assert_allclose([z.mean(), z.std()], [0.3, 2.0], atol=0.03)
  noise = (z - mean) / 2.0
  slopes = jax.grad(lambda m, s: variational.reparameterised(KEY, m, s).sum(), (0, 1))(mean, log_variance)
  np.testing.assert_allclose(slopes[0], 1.0)
  np.testing.assert_allclose(slopes[1], noise, rtol=1e-4, atol=1e-5)  # of exp(s / 2) noise: half of itself
  assert np.array_equal(z, variational.reparameterised(KEY, mean, log_variance))


def test_likelihood_of_a_gaussian_of_unit_variance():
  x, mean = np.array([[[0.5, -1.0]], [[2.0, 0.0]]]), np.array([[[0.0, 1.0]], [[2.0, 3.0]]])
  found = variational.gaussian_negative_log_likelihood(jnp.asarray(x, jnp.float32), jnp.asarray(mean, jnp.float32))
  truth = -stats.norm(mean, 1.0).logpdf(x).sum((1, 2)) - np.log(2 * np.pi)
  np.testing.assert_allclose(found, truth, rtol=1e-6)
  with pytest.raises(AssertionError):
    variational.gaussian_negative_log_likelihood(jnp.zeros((2, 3)), jnp.zeros((2, 1)))
