"""The best Gaussian for a mixture: by moments where theory has it, and the f-GAN paper's own case."""

import functools

import jax
import numpy as np
import pytest

from gan_jax.losses import divergences
from gan_jax.losses.divergences import integrate
from gan_jax.metrics import mixture

PAPER = {"weights": np.array([0.33, 0.67]), "means": np.array([-1.0, 2.0]), "scales": np.array([0.255, 1.415])}


def best(name, data_first=True):
  with jax.enable_x64(True):
    found = mixture.best_gaussian(
      jax.jit(functools.partial(integrate, getattr(divergences, name)())), **PAPER, data_first=data_first
    )
  return [found[k] for k in ("mu_star", "sigma_star", "divergence_star")]


@pytest.mark.parametrize(("name", "data_first"), [("kl", True), ("reverse_kl", False)])
def test_kl_matches_the_moments(name, data_first):
  mean = PAPER["weights"] @ PAPER["means"]
  square = PAPER["weights"] @ (PAPER["scales"] ** 2 + PAPER["means"] ** 2)
  np.testing.assert_allclose(best(name, data_first), [mean, np.sqrt(square - mean**2), 0.2830], atol=1e-4)


def test_the_other_direction():
  np.testing.assert_allclose(best("reverse_kl"), [1.5779, 1.6318, 0.2481], atol=1e-4)
