"""f-divergences: the algebra that ties f, f', f*, g_f together, for every member at once, and values by quadrature."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from gan_jax.losses import adversarial
from gan_jax.losses.divergences import DIVERGENCES, GAN, KL, PEARSON, REVERSE_KL, fgan

ALL = pytest.mark.parametrize("d", DIVERGENCES.values(), ids=DIVERGENCES)
PARAMETRISATIONS = ("activation", "log_ratio")


@pytest.fixture(autouse=True)
def float64():
  with jax.enable_x64(True):
    yield


def in_float64(*values):
  return jnp.asarray(values, jnp.float64)


def sides(d, parametrisation):
  """v -> T and v -> f*(T) of a parametrisation."""
  if parametrisation == "activation":
    return d.activation, d.conjugate_activation
  return d.log_ratio, d.conjugate_log_ratio


@ALL
def test_f_of_one(d):
  expected = -np.log(4.0) if d.name == "gan" else 0.0
  np.testing.assert_allclose(d.f(in_float64(1.0)), [expected], atol=1e-15)


# f(2) and f'(2), worked by hand from the definitions.
BY_HAND = {
  "kl": (2 * np.log(2), 1 + np.log(2)),
  "reverse_kl": (-np.log(2), -0.5),
  "pearson": (1.0, 2.0),
  "squared_hellinger": (3 - 2 * np.sqrt(2), 1 - 1 / np.sqrt(2)),
  "jensen_shannon": (2 * np.log(2) - 3 * np.log(1.5), np.log(4 / 3)),
  "gan": (2 * np.log(2) - 3 * np.log(3), np.log(2 / 3)),
}


@ALL
def test_f_by_hand(d):
  np.testing.assert_allclose(d.f(in_float64(2.0)), [BY_HAND[d.name][0]], rtol=1e-12)
  np.testing.assert_allclose(d.f_prime(in_float64(2.0)), [BY_HAND[d.name][1]], rtol=1e-12)


@ALL
def test_f_is_convex_and_f_prime_is_its_derivative(d):
  u = jnp.geomspace(1e-3, 1e3, 400)
  np.testing.assert_allclose(jax.vmap(jax.grad(d.f))(u), d.f_prime(u), rtol=1e-8, atol=1e-8)
  assert np.all(np.diff(d.f_prime(u)) > 0)


@ALL
def test_conjugate_is_the_supremum(d):
  u = np.concatenate([[0.0], np.geomspace(1e-12, 1e7, 400_001)])
  f = np.asarray(d.f(jnp.asarray(u)))
  top = min(d.bound - 0.02, 6.0)
  t = np.linspace(-5.0, top, 23)
  supremum = [np.max(np.where(np.isfinite(f), u * ti - f, -np.inf)) for ti in t]
  np.testing.assert_allclose(d.conjugate(jnp.asarray(t)), supremum, rtol=1e-6, atol=1e-6)


@ALL
def test_conjugate_is_infinite_above_its_domain(d):
  if np.isfinite(d.bound):
    assert np.all(np.isposinf(d.conjugate(in_float64(d.bound, d.bound + 0.5, 1e3))))
    assert np.isfinite(d.conjugate(in_float64(d.bound - 1e-6)))
    chex.assert_tree_all_finite(jax.vmap(jax.grad(d.conjugate))(in_float64(d.bound - 0.1, d.bound + 0.1)))


def test_pearson_below_its_edge():
  """f'(0+) = -2: the exact conjugate is -f(0) = -1 there, where the paper's t^2/4 + t turns upwards again."""
  np.testing.assert_allclose(PEARSON.conjugate(in_float64(-1.0, -2.0, -3.0, -50.0)), [-0.75, -1.0, -1.0, -1.0])
  np.testing.assert_allclose(PEARSON.conjugate_activation(in_float64(-50.0)), [-1.0])


@ALL
def test_activation_lands_in_the_domain(d):
  v = jnp.linspace(-20.0, 20.0, 401)
  for parametrisation in PARAMETRISATIONS:
    t = np.asarray(sides(d, parametrisation)[0](v))
    assert np.all(t < d.bound) and np.all(np.diff(t) > 0)
  if np.isinf(d.bound):
    assert t.max() > 18.0
  else:
    assert t.max() > d.bound - 1e-3  # and comes near its end


@ALL
def test_both_parametrisations_agree_with_the_conjugate(d):
  v = jnp.linspace(-6.0, 6.0, 121)
  for parametrisation in PARAMETRISATIONS:
    activation, conjugate = sides(d, parametrisation)
    np.testing.assert_allclose(conjugate(v), d.conjugate(activation(v)), rtol=1e-9, atol=1e-9)


@ALL
def test_log_ratio_is_the_optimum(d):
  v = jnp.linspace(-4.0, 4.0, 81)
  u = jnp.exp(v)
  np.testing.assert_allclose(d.log_ratio(v), d.f_prime(u), rtol=1e-10, atol=1e-12)
  np.testing.assert_allclose(d.conjugate_log_ratio(v), u * d.f_prime(u) - d.f(u), rtol=1e-9, atol=1e-9)


@ALL
def test_derivative_of_the_conjugate_gives_the_ratio_back(d):
  """(f*)' is the inverse of f', so (f*)'(T*) = p/q."""
  u = in_float64(0.1, 0.5, 1.0, 3.0, 20.0)
  np.testing.assert_allclose(jax.vmap(jax.grad(d.conjugate))(d.f_prime(u)), u, rtol=1e-9)


def gaussian(x, mean, scale):
  return np.exp(-0.5 * ((x - mean) / scale) ** 2) / (scale * np.sqrt(2 * np.pi))


X = np.linspace(-14.0, 14.0, 200_001)
P, Q = gaussian(X, 0.4, 0.9), gaussian(X, -0.3, 1.0)


def integral(y):
  return np.trapezoid(y, X)


@ALL
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("data_first", [True, False])
def test_bound_at_the_optimum_is_the_divergence(d, parametrisation, data_first):
  """Between two Gaussians, by quadrature: E_p[T*] - E_q[f*(T*)] = E_q[f(p/q)]; and less for any other T."""
  first, second = (P, Q) if data_first else (Q, P)
  ratio = jnp.asarray(first / second)
  divergence = integral(second * np.asarray(d.f(ratio)))
  activation, conjugate = sides(d, parametrisation)

  def bound(v):
    return integral(first * np.asarray(activation(v))) - integral(second * np.asarray(conjugate(v)))

  t_star = d.f_prime(ratio)
  # Invert the activation by bisection: the score at which it gives T*.
  low, high = jnp.full(X.shape, -1e15), jnp.full(X.shape, 1e15)
  for _ in range(110):
    middle = 0.5 * (low + high)
    too_low = activation(middle) < t_star
    low, high = jnp.where(too_low, middle, low), jnp.where(too_low, high, middle)
  v_star = 0.5 * (low + high)
  np.testing.assert_allclose(bound(v_star), divergence, atol=1e-4)
  for shift in (-0.3, 0.3):
    assert bound(v_star + shift) < divergence - 1e-3


def test_kl_between_gaussians_in_closed_form():
  """log(s2/s1) + (s1^2 + d^2) / (2 s2^2) - 1/2; and reverse KL is KL the other way round."""
  expected = np.log(1.0 / 0.9) + (0.9**2 + 0.7**2) / 2.0 - 0.5
  np.testing.assert_allclose(integral(Q * np.asarray(KL.f(jnp.asarray(P / Q)))), expected, rtol=1e-8)
  np.testing.assert_allclose(integral(P * np.asarray(REVERSE_KL.f(jnp.asarray(Q / P)))), expected, rtol=1e-8)


REAL, FAKE = np.array([0.3, -1.2, 2.5]), np.array([-0.7, 1.4, 0.1])
# -(E_p[T] - E_q[f*(T)]) as table 6 has it.
TABLE_6 = {
  "kl": (lambda v: v, lambda v: np.exp(v - 1)),
  "reverse_kl": (lambda v: -np.exp(-v), lambda v: -1 + v),
  "pearson": (lambda v: v, lambda v: np.where(v < -2, -1.0, v**2 / 4 + v)),
  "squared_hellinger": (lambda v: 1 - np.exp(-v), lambda v: (1 - np.exp(-v)) / np.exp(-v)),
  "jensen_shannon": (lambda v: np.log(2 / (1 + np.exp(-v))), lambda v: -np.log(2 - 2 / (1 + np.exp(-v)))),
  "gan": (lambda v: -np.log(1 + np.exp(-v)), lambda v: -np.log(1 - 1 / (1 + np.exp(-v)))),
}


@ALL
def test_fgan_losses_and_gradients(d):
  t, conjugate = TABLE_6[d.name]
  real, fake = jnp.asarray(REAL), jnp.asarray(FAKE)
  expected = {
    (True, "minimax"): (conjugate(FAKE).mean() - t(REAL).mean(), lambda f: -conjugate(f).mean()),
    (True, "alternative"): (conjugate(FAKE).mean() - t(REAL).mean(), lambda f: -t(f).mean()),
    (False, "minimax"): (conjugate(REAL).mean() - t(FAKE).mean(), lambda f: t(f).mean()),
    (False, "alternative"): (conjugate(REAL).mean() - t(FAKE).mean(), lambda f: conjugate(f).mean()),
  }
  for (data_first, step), (discriminator, generator) in expected.items():
    loss = fgan(d, data_first, step)
    np.testing.assert_allclose(loss.discriminator(real, fake), discriminator, rtol=1e-9)
    np.testing.assert_allclose(loss.generator(fake, real), generator(FAKE), rtol=1e-9)
    gradient = jax.grad(loss.generator)(fake, real)
    numerical = [(generator(FAKE + h) - generator(FAKE - h)) / 2e-6 for h in 1e-6 * np.eye(3)]
    np.testing.assert_allclose(gradient, numerical, rtol=1e-6)


def test_fgan_gan_is_the_minimax_game():
  """Nowozin et al. section 2.3: their GAN divergence with its activation is the original objective."""
  ours, original = fgan(GAN), adversarial.minimax()
  real, fake = jnp.asarray(REAL), jnp.asarray(FAKE)
  np.testing.assert_allclose(ours.discriminator(real, fake), original.discriminator(real, fake), rtol=1e-12)
  np.testing.assert_allclose(ours.generator(fake, real), original.generator(fake, real), rtol=1e-12)
  alternative = fgan(GAN, generator="alternative")
  non_saturating = adversarial.non_saturating()
  np.testing.assert_allclose(alternative.generator(fake, real), non_saturating.generator(fake, real), rtol=1e-12)


@ALL
@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_extreme_scores_are_finite(d, parametrisation):
  with jax.enable_x64(False):
    loss = fgan(d, parametrisation=parametrisation)
    for real in (-500.0, 500.0):
      for fake in (-500.0, 500.0):
        for function, scores in ((loss.discriminator, (real, fake)), (loss.generator, (fake, real))):
          arguments = [jnp.full(4, s, jnp.float32) for s in scores]
          chex.assert_tree_all_finite(jax.value_and_grad(function, (0, 1))(*arguments))


def test_scores_within_the_limit_are_not_bent():
  loss, v = fgan(KL), in_float64(-29.0, 29.0)
  np.testing.assert_allclose(loss.generator(v, v), -np.mean(np.exp(np.asarray(v) - 1.0)), rtol=1e-14)


def test_unknown_words_are_refused():
  with pytest.raises(ValueError, match="'minimax' or 'alternative', not 'other'"):
    fgan(KL, generator="other")
  with pytest.raises(ValueError, match="'activation' or 'log_ratio', not 'other'"):
    fgan(KL, parametrisation="other")


class Variants(chex.TestCase, parameterized.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*DIVERGENCES)
  def test_jit_and_vmap_agree(self, name):
    t, conjugate = TABLE_6[name]
    loss = fgan(DIVERGENCES[name])
    with jax.enable_x64(True):
      real, fake = np.stack([REAL, FAKE]), np.stack([FAKE, REAL + 0.1])
      value = self.variant(jax.vmap(loss.discriminator))(jnp.asarray(real), jnp.asarray(fake))
    np.testing.assert_allclose(value, conjugate(fake).mean(1) - t(real).mean(1), rtol=1e-9)
