"""Modes: hand-built samples whose measures are known, and the data itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from gan_jax.data import synthetic
from gan_jax.metrics import modes

CORNERS = jnp.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def at(counts, offset=(0.0, 0.0)):
  """So many samples at each corner, a little beside it."""
  return jnp.repeat(CORNERS, jnp.array(counts), axis=0) + jnp.array([offset])


def evaluate(*arguments):
  return {k: float(v) for k, v in jax.jit(modes.evaluate)(*arguments).items()}


def test_by_hand():
  """Three samples at the first mode, one at the second, one between: q = (3/4, 1/4, 0, 0)."""
  found = evaluate(jnp.concatenate([at([3, 1, 0, 0]), jnp.array([[5.0, 5.0]])]), CORNERS, 1.0)
  kl = 0.75 * np.log(0.75 * 4) + 0.25 * np.log(0.25 * 4)
  # Half a share is 5 / 8 of a sample.
  expected = {"modes": 2, "modes_half_share": 2, "high_quality": 4 / 5, "mode_kl": kl, "spread": 0}
  assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
  "counts, poor, half_share",
  [
    ([4, 4, 4, 4], 0, 4),  # 16 samples: half a share is 2
    ([2, 1, 11, 2], 0, 3),
    ([2, 2, 2, 1], 9, 3),
    ([2, 2, 2, 2], 9, 0),  # 17 samples: half a share is more than 2
    ([3, 2, 2, 2], 8, 1),
    ([0, 0, 1, 1], 30, 0),
  ],
)
def test_half_a_share_by_hand(counts, poor, half_share):
  """A mode needs an eighth of all samples, the poor ones included."""
  samples = jnp.concatenate([at(counts), jnp.full((poor, 2), 5.0)])
  assert evaluate(samples, CORNERS, 1.0)["modes_half_share"] == half_share


@pytest.mark.parametrize(
  "counts, covered, kl",
  [
    ([5, 5, 5, 5], 4, 0.0),
    ([7, 7, 0, 0], 2, np.log(2)),
    ([0, 0, 9, 0], 1, np.log(4)),
    ([1, 2, 3, 4], 4, np.log(4) + 0.1 * np.log(0.1) + 0.2 * np.log(0.2) + 0.3 * np.log(0.3) + 0.4 * np.log(0.4)),
  ],
)
def test_coverage_and_balance(counts, covered, kl):
  found = evaluate(at(counts), CORNERS, 1.0)
  assert found["modes"] == covered
  assert found["mode_kl"] == pytest.approx(kl, abs=1e-6)


@pytest.mark.parametrize("distance, quality", [(2.99, 1.0), (3.01, 0.0)])
def test_high_quality_ends_at_three_deviations(distance, quality):
  for scale in (1.0, 0.2):
    found = evaluate(at([1, 1, 1, 1], (0.6 * distance * scale, -0.8 * distance * scale)), CORNERS, scale)
    assert found["high_quality"] == quality and found["modes"] == 4 * quality


def test_only_high_quality_samples_count():
  """Ninety poor samples at the fourth corner change neither balance nor spread, and do not cover it.

  Of 96 samples half a share is 12, and each mode has 2.
  """
  good = at([2, 2, 2, 0], (1.0, 1.0))
  poor = jnp.tile(jnp.array([[14.0, 10.0], [jnp.inf, 0.0], [jnp.nan, 10.0]]), (30, 1))
  alone, together = evaluate(good, CORNERS, 1.0), evaluate(jnp.concatenate([good, poor]), CORNERS, 1.0)
  assert together == pytest.approx(alone | {"high_quality": 6 / 96, "modes_half_share": 0}, abs=1e-6)
  assert alone["modes"] == 3 and alone["mode_kl"] == pytest.approx(np.log(4 / 3))


def test_spread_by_hand():
  """Each sample lies 0.3 away in one direction and 0.4 in the other: the mean square a direction is 0.125."""
  assert evaluate(at([2, 1, 1, 0], (0.3, 0.4)), CORNERS, 0.25)["spread"] == pytest.approx(np.sqrt(0.125) / 0.25)


def test_nothing_of_quality():
  found = evaluate(jnp.full((6, 2), 100.0), CORNERS, 1.0)
  assert found == pytest.approx(
    {"modes": 0, "modes_half_share": 0, "high_quality": 0, "mode_kl": np.log(4), "spread": 0}
  )


def test_each_mode_may_have_its_own_scale():
  """x = 4 lies 4 deviations from the narrow mode at 0 and 2 from the wide one at 10."""
  found = evaluate(jnp.array([[4.0], [4.0]]), jnp.array([[0.0], [10.0]]), jnp.array([1.0, 3.0]))
  expected = {"modes": 1, "modes_half_share": 1, "high_quality": 1, "mode_kl": np.log(2), "spread": 2}
  assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("make", [synthetic.ring8, synthetic.grid25])
def test_the_data_itself(make):
  """In the plane 1 - exp(-9/2) of a Gaussian is of high quality, with a spread of 0.9744; over eight seeds at once."""
  dataset, n = make(), 20_000
  means, scales = dataset.arrays["means"], dataset.arrays["scales"]
  x = jax.vmap(lambda key: dataset.draw(key, n)["x"])(jax.random.split(jax.random.key(0), 8))
  found = jax.jit(jax.vmap(modes.evaluate, (0, None, None)))(x, means, scales)
  np.testing.assert_array_equal(found["modes"], len(means))
  np.testing.assert_array_equal(found["modes_half_share"], len(means))
  quality = 1 - np.exp(-4.5)
  np.testing.assert_allclose(found["high_quality"], quality, atol=5 * np.sqrt(quality * (1 - quality) / n))
  np.testing.assert_allclose(found["spread"], np.sqrt(chi2.cdf(9, 4) / chi2.cdf(9, 2)), rtol=5 / np.sqrt(4 * n))
  assert np.sqrt(chi2.cdf(9, 4) / chi2.cdf(9, 2)) == pytest.approx(0.9744, abs=1e-4)
  np.testing.assert_allclose(found["mode_kl"].mean(), (len(means) - 1) / (2 * n), rtol=0.5)
  one_scale = 0.02 if len(means) == 8 else 0.05
  np.testing.assert_allclose(found["spread"][0], modes.evaluate(x[0], means, one_scale)["spread"], rtol=1e-6)


@pytest.mark.parametrize("make, quality", [(synthetic.ring8, 0.0053), (synthetic.grid25, 0.0257)])
def test_noise_covers_modes_and_has_half_the_share_of_none(make, quality):
  """2,500 uniform samples on the square that just holds the modes: quality is the share of the square's area.

  A mode is covered with probability 1 - (1 - quality / K)^2500: 6.5 of 8 and 23.1 of 25 on average.
  """
  means, scales = (make().arrays[name] for name in ("means", "scales"))
  side = jnp.max(means) + 3.0 * scales[0]
  assert quality == pytest.approx(float(len(means) * jnp.pi * (3.0 * scales[0]) ** 2 / (2.0 * side) ** 2), abs=1e-4)
  x = jax.random.uniform(jax.random.key(0), (16, 2_500, 2), minval=-side, maxval=side)
  found = jax.jit(jax.vmap(modes.evaluate, (0, None, None)))(x, means, scales)
  np.testing.assert_array_equal(found["modes_half_share"], 0)
  np.testing.assert_allclose(found["high_quality"].mean(), quality, rtol=5 / np.sqrt(16 * 2_500 * quality))
  expected = len(means) * (1 - (1 - quality / len(means)) ** 2_500)
  np.testing.assert_allclose(found["modes"].mean(), expected, rtol=0.05)


def test_shapes_are_checked():
  with pytest.raises(AssertionError):
    modes.evaluate(jnp.zeros((5, 3)), CORNERS, 1.0)
  with pytest.raises(AssertionError):
    modes.evaluate(jnp.zeros(5), CORNERS, 1.0)


def test_stacked_by_hand():
  """Two classes in two channels, of shares 3/4 and 1/4: the data's modes have 9/16, 3/16, 3/16 and 1/16."""
  labels = np.array([[0, 0], [0, 0], [1, 0], [0, 1]])
  expected = 0.5 * np.log(0.5 / (9 / 16)) + 2 * 0.25 * np.log(0.25 / (3 / 16))
  assert modes.stacked(labels, np.array([0.75, 0.25])) == pytest.approx({"modes": 3, "mode_kl": expected}, rel=1e-12)
  assert modes.stacked(labels[2:3], np.array([0.5, 0.5])) == pytest.approx({"modes": 1, "mode_kl": np.log(4)})


def test_stacked_digits():
  """All 1,000 once each: nothing is missing. 26,000 of the data: nearly all, at a KL of 999 / 52,000."""
  shares = np.full(10, 0.1)
  every = np.stack(np.unravel_index(np.arange(1_000), (10, 10, 10)), axis=1)
  assert modes.stacked(every, shares) == pytest.approx({"modes": 1_000, "mode_kl": 0.0}, abs=1e-12)
  assert modes.stacked(every[:100], shares) == pytest.approx({"modes": 100, "mode_kl": np.log(10)})
  shares = np.arange(1, 11) / 55
  draws = np.random.default_rng(0).choice(10, (26_000, 3), p=shares)
  found = modes.stacked(draws, shares)
  assert 950 < found["modes"] < 1_000
  assert found["mode_kl"] == pytest.approx(999 / 52_000, rel=0.15)


def test_stacked_refusals_and_what_the_data_lacks():
  assert modes.stacked(np.array([[1, 1]]), np.array([1.0, 0.0])) == {"modes": 1, "mode_kl": np.inf}
  for labels in (np.array([[0, 2]]), np.array([[-1, 0]])):
    with pytest.raises(ValueError, match="coordinates"):
      modes.stacked(labels, np.array([0.5, 0.5]))
  for labels, shares in [(np.zeros((0, 3), int), np.ones(1)), (np.zeros((2, 3), int), np.ones(2))]:
    with pytest.raises(ValueError, match="shares sum to"):
      modes.stacked(labels, shares)
