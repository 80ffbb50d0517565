import jax
import numpy as np
import pytest

from gan_jax.data import synthetic
from gan_jax.losses.adversarial import minimax
from gan_jax.metrics.transport import w1

N = 100_000
CASES = {
  "ring8": (lambda: synthetic.ring8(), synthetic.ring_modes(2.0), [0.02] * 8, [1 / 8] * 8),
  "small ring": (lambda: synthetic.ring8(radius=1.0, std=0.01), synthetic.ring_modes(1.0), [0.01] * 8, [1 / 8] * 8),
  "grid25": (lambda: synthetic.grid25(), synthetic.grid_modes(2.0), [0.05] * 25, [1 / 25] * 25),
  "wide grid": (lambda: synthetic.grid25(3.0, 0.2), synthetic.grid_modes(3.0), [0.2] * 25, [1 / 25] * 25),
  "mixture1d": (lambda: synthetic.mixture1d(), [[-1.0], [2.0]], [0.255, 1.415], [0.33, 0.67]),
  "three": (
    lambda: synthetic.mixture1d((1, 2, 5), (0, 4, 9), (1, 2, 3)),
    [[0], [4], [9]],
    [1, 2, 3],
    [1 / 8, 2 / 8, 5 / 8],
  ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
  make, means, scales, weights = CASES[request.param]
  return make(), np.asarray(means, np.float64), np.asarray(scales), np.asarray(weights)


def test_modes_of_the_ring():
  modes = synthetic.ring_modes(3.0)
  assert modes.shape == (8, 2) and modes.dtype == np.float32
  np.testing.assert_allclose(np.hypot(*modes.T), 3.0, rtol=1e-6)
  np.testing.assert_allclose(np.unwrap(np.arctan2(modes[:, 1], modes[:, 0])), np.arange(8) * np.pi / 4, atol=1e-6)


def test_modes_of_the_grid():
  expected = {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
  assert len(synthetic.grid_modes()) == 25 and set(map(tuple, synthetic.grid_modes().tolist())) == expected
  np.testing.assert_allclose(synthetic.grid_modes(0.5), synthetic.grid_modes() / 4)


def test_parameters_are_exposed(case):
  dataset, means, scales, weights = case
  for name, value in {"means": means, "scales": scales, "weights": weights}.items():
    np.testing.assert_allclose(dataset.arrays[name], value, rtol=1e-6, atol=1e-6)


def test_components_have_their_weight_mean_and_spread(case):
  """Within five standard errors of theory, component by component."""
  dataset, means, scales, weights = case
  batch = {k: np.asarray(v) for k, v in dataset.draw(jax.random.key(0), N).items()}
  share = np.bincount(batch["label"], minlength=len(weights)) / N
  assert (np.abs(share - weights) < 5 * np.sqrt(weights * (1 - weights) / N)).all()
  for k, (mean, scale, weight) in enumerate(zip(means, scales, weights)):
    z = (batch["x"][batch["label"] == k] - mean) / scale
    error = 5 / np.sqrt(weight * N)
    assert np.abs(z.mean(0)).max() < error
    np.testing.assert_allclose(np.cov(z.T).reshape(z.shape[1], -1), np.eye(z.shape[1]), atol=1.5 * error)
    assert abs((np.abs(z) < 1).mean() - 0.6827) < error  # as many within one deviation as for a Gaussian


def test_moments_of_the_whole(case):
  dataset, means, scales, weights = case
  x = np.asarray(dataset.draw(jax.random.key(1), N)["x"], np.float64)
  mean = weights @ means
  variance = weights @ (scales[:, None] ** 2 + means**2) - mean**2
  np.testing.assert_allclose(x.mean(0), mean, atol=5 * np.sqrt(variance.max() / N))
  np.testing.assert_allclose(x.var(0), variance, rtol=0.02)


def test_nearly_all_of_the_ring_is_of_high_quality():
  """Within three deviations of some mode lies 1 - exp(-9/2) of a Gaussian in the plane; every mode is covered."""
  x = np.asarray(synthetic.ring8().draw(jax.random.key(2), N)["x"])
  distance = np.linalg.norm(x[:, None] - synthetic.ring_modes()[None], axis=-1)
  good = distance.min(1) < 3 * 0.02
  assert abs(good.mean() - (1 - np.exp(-4.5))) < 0.002
  assert (np.bincount(distance.argmin(1)[good]) > 0.95 * N / 8).all()


def test_held_out_points_are_fixed_and_apart(case):
  dataset, means, _, weights = case
  x = dataset.test["x"]
  assert x.shape == (10_000, means.shape[1]) and dataset.size is None
  variance = np.trace(np.cov(x.T).reshape(means.shape[1], -1))
  assert np.linalg.norm(x.mean(0) - weights @ means) < 6 * np.sqrt(variance / 10_000)
  for seed in range(3):
    drawn = np.asarray(dataset.draw(jax.random.key(seed), 10_000)["x"])
    assert (drawn != x).mean() > 0.99


def test_held_out_points_are_the_same_each_time():
  first, second = synthetic.mixture1d(), synthetic.mixture1d()
  np.testing.assert_array_equal(first.test["x"], second.test["x"])


def test_weights_are_normalised():
  parts, whole = synthetic.mixture1d((1, 3)), synthetic.mixture1d((0.25, 0.75))
  np.testing.assert_array_equal(parts.test["label"], whole.test["label"])


@pytest.mark.parametrize(
  "arguments, message",
  [
    (dict(weights=(1.0,)), "as many weights as means and scales: 1, 2, 2"),
    (dict(means=(0.0, 1.0, 2.0)), "as many weights as means and scales: 2, 3, 2"),
    (dict(weights=(), means=(), scales=()), "as many weights as means and scales: 0, 0, 0"),
    (dict(weights=(1.0, 0.0)), "positive scales and weights"),
    (dict(scales=(1.0, -1.0)), "positive scales and weights"),
    (dict(scales=(1.0, float("nan"))), "positive scales and weights"),
  ],
)
def test_mixture_rejects(arguments, message):
  with pytest.raises(ValueError, match=message):
    synthetic.mixture1d(**arguments)


@pytest.mark.parametrize("make", [synthetic.ring8, synthetic.grid25])
def test_spread_must_be_positive(make):
  with pytest.raises(ValueError, match="positive scales"):
    make(std=0.0)


def test_swiss_roll_without_noise_is_the_spiral():
  """7.5 times the radius is the angle, up to whole turns, and is uniform from 3 pi / 2 to 9 pi / 2."""
  dataset = synthetic.swiss_roll(noise=0.0)
  assert dataset.shape == (2,) and dataset.classes == 0 and set(dataset.test) == {"x"}
  x = np.asarray(dataset.draw(jax.random.key(0), N)["x"], np.float64)
  t = 7.5 * np.hypot(*x.T)
  np.testing.assert_allclose(x, np.stack([np.cos(t), np.sin(t)], 1) * t[:, None] / 7.5, atol=1e-5)
  assert 4.71 < t.min() < 4.72 and 14.13 < t.max() < 14.14
  np.testing.assert_allclose(np.histogram(t, 10)[0], N / 10, rtol=0.05)


@pytest.mark.parametrize("noise", [0.05, 0.01])
def test_swiss_roll_has_its_noise(noise):
  """Across the arms, at the outer end where the curve is all but straight, lies the noise and nothing else."""
  x = np.asarray(synthetic.swiss_roll(noise).draw(jax.random.key(1), N)["x"], np.float64)
  angle = np.arctan2(x[:, 1], x[:, 0])
  t = 2 * np.pi * np.round((7.5 * np.hypot(*x.T) - angle) / (2 * np.pi)) + angle
  t = np.where((t > 11) & (t < 14), t, np.nan)
  curve = np.stack([np.cos(t), np.sin(t)], 1) * t[:, None] / 7.5
  normal = np.stack([np.sin(t) + t * np.cos(t), t * np.sin(t) - np.cos(t)], 1) / np.sqrt(1 + t**2)[:, None]
  across = ((x - curve) * normal).sum(1)
  assert np.nanstd(across) == pytest.approx(noise, rel=0.02)
  assert np.abs(np.nanmean(across)) < 0.02 * noise
  assert synthetic.swiss_roll(noise).arrays["noise"] == np.float32(noise)


def test_parallel_lines():
  dataset = synthetic.parallel_lines(-0.75)
  batch = {k: np.asarray(v) for k, v in dataset.draw(jax.random.key(0), N).items()}
  assert set(batch) == set(dataset.test) == {"x", "fake"} and dataset.shape == (2,) and dataset.classes == 0
  for name, position in {"x": 0.0, "fake": -0.75}.items():
    assert batch[name].shape == (N, 2) and batch[name].dtype == np.float32
    np.testing.assert_array_equal(batch[name][:, 0], position)
    np.testing.assert_allclose(np.histogram(batch[name][:, 1], 10, (0, 1))[0], N / 10, rtol=0.05)
  assert abs(np.corrcoef(batch["x"][:, 1], batch["fake"][:, 1])[0, 1]) < 5 / np.sqrt(N)


@pytest.mark.parametrize("distance", [-1.0, -0.1, 0.0, 0.01, 0.5, 2.0])
def test_parallel_lines_are_far_for_jensen_shannon_and_near_for_wasserstein(distance):
  """Every discriminator bounds 2 JS - 2 log 2 from below by minus its loss, and JS is at most log 2; W1 is |distance|.

  A score that is steep enough tells the lines apart, however near; where they coincide none beats a constant. The
  samples' heights differ, which adds to W1 no more than the W1 of the heights.
  """
  batch = synthetic.parallel_lines(distance).draw(jax.random.key(0), 1000)
  steepness = 20 / distance if distance else 1.0
  real, fake = (steepness * (distance / 2 - batch[name][:, 0]) for name in ("x", "fake"))
  bound = np.log(2) - minimax().discriminator(real, fake) / 2
  assert bound == pytest.approx(np.log(2) if distance else 0.0, abs=1e-3)
  heights = w1(batch["x"][:, 1:], batch["fake"][:, 1:])
  assert abs(distance) <= w1(batch["x"], batch["fake"]) + 1e-6 <= abs(distance) + heights + 2e-6
  assert heights < 0.03


def test_a_sweep_over_distances():
  draw = synthetic.parallel_lines().draw
  distances = np.array([0.0, 0.5, 2.0], np.float32)
  batch = jax.vmap(lambda d: draw.func({"distance": d}, jax.random.key(0), 5))(distances)
  np.testing.assert_array_equal(batch["fake"][:, :, 0], np.repeat(distances[:, None], 5, 1))


@pytest.mark.parametrize("noise", [-0.1, float("nan"), float("inf")])
def test_swiss_roll_rejects(noise):
  with pytest.raises(ValueError, match="finite noise of at least 0"):
    synthetic.swiss_roll(noise)


@pytest.mark.parametrize("distance", [float("inf"), float("nan")])
def test_parallel_lines_rejects(distance):
  with pytest.raises(ValueError, match="finite distance"):
    synthetic.parallel_lines(distance)
