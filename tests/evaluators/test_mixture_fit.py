"""The fitted Gaussian of an f-GAN on the line: whose weights each number is of, and the bound of a V that is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from experiments.lab.build import build
from gan_jax import train

NUMBERS = ("mu", "sigma", "bound")


@pytest.fixture(scope="module")
def fitted():
  config = tiny.config_of("fgan_mixture:kl")
  config.eval.evaluators = ("mixture_fit",)
  experiment = build(config)
  state = jax.jit(functools.partial(train.init, experiment.game))(jax.random.key(0))
  return jax.jit(experiment.evaluation.measure), state


def test_numbers_are_of_the_average_and_raw_ones_of_the_raw_weights(fitted):
  measure, state = fitted
  before = measure(state)
  shifted = jax.tree.map(lambda leaf: leaf + 0.5, state.ema)
  averaged = measure(state.replace(ema=shifted))
  raw = measure(state.replace(params={**state.params, "generator": shifted["generator"]["params"]}))
  for name in NUMBERS:
    assert before[name] == before[f"raw_{name}"] == averaged[f"raw_{name}"] == raw[name]
    assert averaged[name] == raw[f"raw_{name}"] != before[name]
  np.testing.assert_allclose(averaged["mu"] - before["mu"], 0.5, rtol=1e-5)
  np.testing.assert_allclose(averaged["sigma"] / before["sigma"], np.exp(0.5), rtol=1e-5)  # its logarithm is shifted
  assert {f"{name}_star" for name in ("mu", "sigma", "divergence")} <= set(before)


def test_the_bound_of_a_score_that_is_constant_by_hand(fitted):
  """KL by log ratios: T = 1 + c and f*(T) = e^c for the score c everywhere, so the bound is 1 + c - e^c."""
  measure, state = fitted
  nothing = jax.tree.map(jnp.zeros_like, state.params["discriminator"])
  for c in (0.0, 0.5, -1.0):
    (path, _) = [found for found in jax.tree.leaves_with_path(nothing) if found[1].shape == (1,)][-1]
    scores = jax.tree_util.tree_map_with_path(lambda at, leaf: leaf + c * (at == path), nothing)
    found = measure(state.replace(params={**state.params, "discriminator": scores}))
    np.testing.assert_allclose(found["bound"], 1.0 + c - np.exp(c), atol=1e-3)
