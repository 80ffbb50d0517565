"""The toy experiments against theory: where a fit ends, and what the laboratory's metrics say of known states."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.evaluators import Context, modes
from experiments.lab import configs, members
from experiments.lab.build import build
from gan_jax import shard, train

ROOT = Path(__file__).parent.parent.parent


def played(config, seeds: int):
  """The metrics of a few seeds at the end, by name, [seeds]."""
  dataset, (stage,) = build(config).dataset, configs.stages(config)
  keys = jax.vmap(jax.random.key)(np.arange(seeds))
  state, _ = members.play(stage, dataset, keys, {}, members.vectorized_map, shard.mesh())
  return members.evaluate(config, dataset, state, [{}], seeds, members.vectorized_map, shard.mesh())[0]


def short_mixture(rounds=1_200, **game):
  config = configs.load("fgan_mixture:kl")
  config.game.update(game)
  config.train.rounds, config.train.chunk, config.data.batch_size = rounds, 400, 512
  return config


@pytest.mark.usefixtures("runs_long")
def test_the_minimax_step_finds_the_optimum_and_the_alternative_does_not():
  """KL's best Gaussian has mu* = 1.0100, sigma* = 1.8311, reverse KL's 1.5779: the alternative step ends towards
  that."""
  found = played(short_mixture(), 3)
  np.testing.assert_allclose(found["mu_star"], 1.0100, atol=1e-3)
  np.testing.assert_allclose(np.median(found["mu"]), 1.0100, rtol=0.03)
  np.testing.assert_allclose(np.median(found["sigma"]), 1.8311, rtol=0.02)
  np.testing.assert_allclose(np.median(found["bound"]), 0.2830, rtol=0.01)
  other = played(short_mixture(800, generator_step="alternative"), 3)
  assert np.all(other["mu"] > 1.3)


def test_the_bound_is_below_the_divergence_of_that_very_generator():
  """Before any training as after: it is a lower bound, and at mu = 0, sigma = 1 the divergence is large."""
  config = short_mixture()
  experiment = build(config)
  state = train.init(experiment.game, jax.random.key(0))
  found = jax.jit(experiment.evaluation.measure)(state)
  assert (float(found["mu"]), float(found["sigma"])) == (0.0, 1.0)
  assert float(found["bound"]) < 1.0
  np.testing.assert_allclose(found["divergence_star"], 0.2830, atol=1e-4)


def test_modes_of_a_perfect_and_of_a_collapsed_generator():
  config = configs.load("grid25")
  experiment = build(config)
  state = train.init(experiment.game, jax.random.key(0))
  data = jnp.asarray(experiment.dataset.test["x"])
  measured = {}
  for name, samples in (("data", data[:2_500]), ("collapsed", jnp.full((2_500, 2), 2.0))):
    game = experiment.game._replace(sample=lambda params, stats, key, n, samples=samples: samples)
    measured[name] = modes.make(Context(game, experiment.dataset, {})).measure(state)
  assert float(measured["data"]["modes"]) == 25 and float(measured["collapsed"]["modes"]) == 1
  np.testing.assert_allclose(measured["data"]["high_quality"], 0.9889, atol=0.008)
  np.testing.assert_allclose(measured["collapsed"]["mode_kl"], np.log(25), rtol=1e-5)
  assert float(measured["data"]["raw_modes"]) == 25


@pytest.mark.usefixtures("runs_long")
def test_dirac_non_saturating_cycles_at_its_radius():
  """Simultaneous steps of h = 0.1 settle on a cycle of radius sqrt(2 h) = 0.447."""
  config = configs.load("dirac:nonsaturating")
  config.train.rounds, config.train.chunk = 4_000, 4_000
  config.log.every = 4_000
  np.testing.assert_allclose(played(config, 1)["raw_radius"], np.sqrt(0.2), rtol=0.05)


@pytest.mark.parametrize(
  ("variant", "low", "high"), [("r1", 0, 1e-4), ("noise", 0, 0.05), ("wgan", 180, 220), ("extra_gradient", 0, 0.6)]
)
def test_dirac_settles_or_does_not(variant, low, high):
  """WGAN's radius grows by sqrt(1 + h^2) a step: 1.01^500 sqrt(2) = 204.7 after 1,000.

  Under instance noise of 0.7 the mean of 64 draws pushes psi by 0.1 * 0.5 * 0.7 * sqrt(2 / 64) = 0.006 a step, so the
  radius comes down to that order, not to 0.
  """
  assert low <= played(configs.load(f"dirac:{variant}"), 1)["raw_radius"][0] <= high


@pytest.mark.usefixtures("runs_long")
def test_parallel_lines():
  """Jensen-Shannon's bound comes to its top, 2 log 2, and theta stays; the Wasserstein game brings the lines
  together."""
  config = configs.load("parallel_lines:jensen_shannon")
  config.train.rounds = 300
  assert played(config, 1)["raw_theta"][0] > 0.98
  config = configs.load("parallel_lines:wgan_gp")
  config.train.rounds = 700
  assert abs(played(config, 1)["raw_theta"][0]) < 0.2
