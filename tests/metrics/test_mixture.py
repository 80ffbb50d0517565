"""The best Gaussian for a mixture: by moments where theory has it, and the f-GAN paper's own case."""

import functools

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from gan_jax.losses import divergences
from gan_jax.losses.divergences import integrate
from gan_jax.metrics import mixture

PAPER = {"weights": np.array([0.33, 0.67]), "means": np.array([-1.0, 2.0]), "scales": np.array([0.255, 1.415])}


NARROW = {"weights": np.array([0.5, 0.5]), "means": np.array([-2.0, 2.0]), "scales": np.array([0.2, 0.2])}


def best(name, data_first=True, truth=PAPER):
  with jax.enable_x64(True):
    found = mixture.best_gaussian(
      jax.jit(functools.partial(integrate, getattr(divergences, name)())), **truth, data_first=data_first
    )
  return [found[k] for k in ("mu_star", "sigma_star", "divergence_star")]


@pytest.mark.parametrize(("name", "data_first"), [("kl", True), ("reverse_kl", False)])
def test_kl_matches_the_moments(name, data_first):
  mean = PAPER["weights"] @ PAPER["means"]
  square = PAPER["weights"] @ (PAPER["scales"] ** 2 + PAPER["means"] ** 2)
  np.testing.assert_allclose(best(name, data_first), [mean, np.sqrt(square - mean**2), 0.2830], atol=1e-4)


def test_the_other_direction():
  np.testing.assert_allclose(best("reverse_kl"), [1.5779, 1.6318, 0.2481], atol=1e-4)


def test_narrow_modes():
  """Jeffreys leans on one of two narrow modes; with log ratios capped at 40 nats it seemed to cover both, at 16.8."""
  mu, sigma, divergence = best("jeffreys", truth=NARROW)
  np.testing.assert_allclose([abs(mu), sigma, divergence], [1.842, 0.761, 12.773], atol=2e-3)

  def jeffreys(x):
    log_p = np.logaddexp(norm.logpdf(x, -2.0, 0.2), norm.logpdf(x, 2.0, 0.2)) - np.log(2.0)
    log_q = norm.logpdf(x, mu, sigma)
    return (np.exp(log_p) - np.exp(log_q)) * (log_p - log_q)

  found = sum(quad(jeffreys, a, b, limit=200)[0] for a, b in ((-12, -2), (-2, 0), (0, 2), (2, 12)))
  np.testing.assert_allclose(divergence, found, rtol=1e-6)


def test_the_grid_resolves_a_narrow_component():
  truth = {"weights": np.array([0.3, 0.7]), "means": np.array([-5.0, 4.0]), "scales": np.array([0.01, 2.0])}
  x, log_p = mixture.grid(**truth)
  assert np.all(np.diff(x) > 0)
  moments = [np.trapezoid(np.exp(log_p) * x**k, x) for k in range(3)]
  np.testing.assert_allclose(moments, [1.0, 1.3, 0.3 * (25 + 1e-4) + 0.7 * (16 + 4)], rtol=1e-5)
