"""f-divergences: the algebra that ties f, f', f*, g_f together, for every member at once, and values by quadrature."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from scipy.special import erf, lambertw, ndtri

from gan_jax.losses import adversarial, divergences
from gan_jax.losses.divergences import (
  FDivergence,
  alpha,
  density_ratio,
  fgan,
  from_generator,
  gan,
  integrate,
  jeffreys,
  kl,
  log_lambert,
  neyman,
  pearson,
  primal,
  reverse_kl,
  squared_hellinger,
  swapped,
  total_variation,
  weighted_jensen_shannon,
)

PARAMETRISED = [weighted_jensen_shannon(0.2), weighted_jensen_shannon(0.5)] + [alpha(a) for a in (-0.5, 0.3, 1.5, 3.0)]
# Every function of the module that makes a divergence without an argument.
CLOSED = {
  name: function()
  for name, function in vars(divergences).items()
  if getattr(function, "__annotations__", {}).get("return") is FDivergence
  and not inspect.signature(function).parameters
}
FAMILY = [*CLOSED.values(), *PARAMETRISED]
SMOOTH = [d for d in FAMILY if d is not total_variation()]
ALL = pytest.mark.parametrize("d", FAMILY, ids=lambda d: d.name)
ALL_SMOOTH = pytest.mark.parametrize("d", SMOOTH, ids=lambda d: d.name)
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
  "neyman": (0.5, 0.75),
  "total_variation": (0.5, 0.5),
  "jeffreys": (np.log(2), 0.5 + np.log(2)),
  "weighted_jensen_shannon(0.2)": (0.4 * np.log(2) - 1.2 * np.log(1.2), 0.2 * np.log(2 / 1.2)),
  "weighted_jensen_shannon(0.5)": (np.log(2) - 1.5 * np.log(1.5), 0.5 * np.log(4 / 3)),
  "alpha(-0.5)": ((np.sqrt(0.5) - 0.5) / 0.75, (1 - 2**-1.5) / 1.5),
  "alpha(0.3)": ((1.3 - 2**0.3) / 0.21, (1 - 2**-0.7) / 0.7),
  "alpha(1.5)": ((2**1.5 - 2.5) / 0.75, 2 * (np.sqrt(2) - 1)),
  "alpha(3)": (4 / 6, 1.5),
}


@ALL
def test_f_by_hand(d):
  np.testing.assert_allclose(d.f(in_float64(2.0)), [BY_HAND[d.name][0]], rtol=1e-12)
  np.testing.assert_allclose(d.f_prime(in_float64(2.0)), [BY_HAND[d.name][1]], rtol=1e-12)


@ALL_SMOOTH
def test_f_is_convex_and_f_prime_is_its_derivative(d):
  u = jnp.geomspace(1e-3, 1e3, 400)
  np.testing.assert_allclose(jax.vmap(jax.grad(d.f))(u), d.f_prime(u), rtol=1e-8, atol=1e-8)
  assert np.all(np.diff(d.f_prime(u)) > 0)


@ALL
def test_conjugate_is_the_supremum(d):
  u = np.concatenate([[0.0, 1.0], np.geomspace(1e-12, 1e7, 400_001)])
  with np.errstate(all="ignore"):
    f = np.asarray(d.f(jnp.asarray(u)))
  top = min(d.bound - 0.02, 6.0)
  t = np.linspace(-5.0, top, 23)
  supremum = [np.max(np.where(np.isfinite(f), u * ti - f, -np.inf)) for ti in t]
  np.testing.assert_allclose(d.conjugate(jnp.asarray(t)), supremum, rtol=1e-6, atol=1e-6)


@ALL
def test_conjugate_is_infinite_above_its_domain(d):
  if np.isfinite(d.bound):
    assert np.all(np.isposinf(d.conjugate(in_float64(d.bound + 1e-9, d.bound + 0.5, 1e3))))
    assert np.isfinite(d.conjugate(in_float64(d.bound - 1e-6)))
    chex.assert_tree_all_finite(jax.vmap(jax.grad(d.conjugate))(in_float64(d.bound - 0.1, d.bound + 0.1)))


def test_pearson_below_its_edge():
  """f'(0+) = -2: the exact conjugate is -f(0) = -1 there, where the paper's t^2/4 + t turns upwards again."""
  np.testing.assert_allclose(pearson().conjugate(in_float64(-1.0, -2.0, -3.0, -50.0)), [-0.75, -1.0, -1.0, -1.0])
  np.testing.assert_allclose(pearson().conjugate_activation(in_float64(-50.0)), [-1.0])


@ALL_SMOOTH
def test_activation_lands_in_the_domain(d):
  v = jnp.linspace(-15.0, 15.0, 301) / (d.growth - 1.0)
  for parametrisation in PARAMETRISATIONS:
    t = np.asarray(sides(d, parametrisation)[0](v))
    assert np.all(t < d.bound) and np.all(np.diff(t) > 0)
  if np.isinf(d.bound):
    assert t.max() > 5.0
  else:
    assert t.max() > d.bound - 1e-2  # and comes near its end


def test_total_variation():
  """T is between -1/2 and 1/2, where f*(T) = T; below it is -1/2, above infinite; the log ratio has no gradient."""
  v = jnp.linspace(-15.0, 15.0, 101)
  t = total_variation().activation(v)
  assert np.all(np.abs(t) <= 0.5) and np.all(np.diff(t) > 0)
  np.testing.assert_array_equal(total_variation().conjugate_activation(v), t)
  np.testing.assert_array_equal(
    total_variation().conjugate(in_float64(-3.0, -0.5, 0.2, 0.5, 0.6)), [-0.5, -0.5, 0.2, 0.5, np.inf]
  )
  np.testing.assert_array_equal(total_variation().f_prime(in_float64(0.3, 4.0)), [-0.5, 0.5])
  with pytest.raises(ValueError, match="log_ratio has no gradient"):
    fgan(total_variation(), parametrisation="log_ratio")


@ALL_SMOOTH
def test_both_parametrisations_agree_with_the_conjugate(d):
  v = jnp.linspace(-6.0, 6.0, 121)
  for parametrisation in PARAMETRISATIONS:
    activation, conjugate = sides(d, parametrisation)
    np.testing.assert_allclose(conjugate(v), d.conjugate(activation(v)), rtol=1e-9, atol=1e-9)


@ALL_SMOOTH
def test_log_ratio_is_the_optimum(d):
  v = jnp.linspace(-4.0, 4.0, 81)
  u = jnp.exp(v)
  np.testing.assert_allclose(d.log_ratio(v), d.f_prime(u), rtol=1e-10, atol=1e-12)
  np.testing.assert_allclose(d.conjugate_log_ratio(v), u * d.f_prime(u) - d.f(u), rtol=1e-9, atol=1e-9)


@ALL_SMOOTH
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


@ALL_SMOOTH
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
  np.testing.assert_allclose(integral(Q * np.asarray(kl().f(jnp.asarray(P / Q)))), expected, rtol=1e-8)
  np.testing.assert_allclose(integral(P * np.asarray(reverse_kl().f(jnp.asarray(Q / P)))), expected, rtol=1e-8)


def log_gaussian(x, mean, scale):
  return jnp.asarray(-0.5 * ((x - mean) / scale) ** 2 - np.log(scale * np.sqrt(2 * np.pi)))


def test_integrate_against_closed_forms():
  """KL; Pearson's integral of p^2/q - 1; squared Hellinger 2 - 2 exp(-d^2/8) at equal scales; and SciPy for the
  rest."""
  x = jnp.asarray(np.linspace(-12.0, 12.0, 20_001))
  p, q = log_gaussian(x, 0.5, 1.0), log_gaussian(x, -0.5, 1.0)
  np.testing.assert_allclose(integrate(kl(), p, q, x), 0.5, rtol=1e-6)
  np.testing.assert_allclose(integrate(jeffreys(), p, q, x), 1.0, rtol=1e-6)
  np.testing.assert_allclose(integrate(pearson(), p, q, x), np.e - 1, rtol=1e-6)
  np.testing.assert_allclose(integrate(neyman(), p, q, x), np.e - 1, rtol=1e-6)
  np.testing.assert_allclose(integrate(squared_hellinger(), p, q, x), 2 - 2 * np.exp(-1 / 8), rtol=1e-6)
  np.testing.assert_allclose(integrate(total_variation(), p, q, x), erf(0.5 / np.sqrt(2)), rtol=1e-6)
  far = log_gaussian(x, 9.0, 0.1)
  np.testing.assert_allclose(
    integrate(CLOSED["jensen_shannon"], far, log_gaussian(x, -9.0, 0.1), x), 2 * np.log(2), rtol=1e-6
  )


def test_the_mixture_of_the_paper():
  """The best Gaussians for P = 0.33 N(-1, 0.255^2) + 0.67 N(2, 1.415^2), and the divergences there."""
  x = jnp.asarray(np.linspace(-25.0, 25.0, 100_001))
  p = jnp.logaddexp(np.log(0.33) + log_gaussian(x, -1.0, 0.255), np.log(0.67) + log_gaussian(x, 2.0, 1.415))
  table = {
    "kl": (1.0100, 1.8311, 0.2830),
    "reverse_kl": (1.5779, 1.6318, 0.2481),
    "jensen_shannon": (1.3068, 1.7545, 0.1280),
    "jeffreys": (1.3215, 1.7034, 0.5706),
    "pearson": (0.5736, 1.9277, 0.6456),
    "squared_hellinger": (1.3129, 1.7331, 0.1346),
    "neyman": (1.8246, 1.5193, 0.4051),
  }
  for name, (mu, sigma, expected) in table.items():
    at = lambda m, s: float(integrate(CLOSED[name], p, log_gaussian(x, m, s), x))
    np.testing.assert_allclose(at(mu, sigma), expected, atol=6e-5, err_msg=name)
    assert all(at(mu + dm, sigma + ds) > at(mu, sigma) for dm, ds in ((0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02)))


@ALL_SMOOTH
def test_exchanging_the_arguments(d):
  """D_f(P||Q) = D_swapped(Q||P)."""
  there = integral(Q * np.asarray(d.f(jnp.asarray(P / Q))))
  np.testing.assert_allclose(integral(P * np.asarray(swapped(d.f)(jnp.asarray(Q / P)))), there, rtol=1e-9)


def test_swapped_members():
  u = jnp.geomspace(0.1, 10.0, 30)
  for first, second in (
    (kl(), reverse_kl()),
    (pearson(), neyman()),
    (squared_hellinger(), squared_hellinger()),
    (jeffreys(), jeffreys()),
  ):
    np.testing.assert_allclose(swapped(first.f)(u), second.f(u), rtol=1e-10, atol=1e-12)


def test_relations_within_the_family():
  u = jnp.geomspace(0.1, 10.0, 30)
  np.testing.assert_allclose(2 * alpha(2.0).f(u), pearson().f(u), rtol=1e-9, atol=1e-12)
  np.testing.assert_allclose(2 * alpha(-1.0).f(u), neyman().f(u), rtol=1e-9, atol=1e-12)
  np.testing.assert_allclose(alpha(0.5).f(u), 2 * squared_hellinger().f(u), rtol=1e-9, atol=1e-12)
  np.testing.assert_allclose(
    2 * weighted_jensen_shannon(0.5).f(u), CLOSED["jensen_shannon"].f(u), rtol=1e-9, atol=1e-12
  )
  np.testing.assert_allclose(reverse_kl().f(u) + kl().f(u), jeffreys().f(u), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("y", [-700.0, -30.0, -1.0, 0.0, 0.5, 1.0, 1.5, 40.0, 1e6])
def test_log_lambert(y):
  s = log_lambert(in_float64(y))[0]
  np.testing.assert_allclose(s + np.exp(s), y, rtol=1e-14, atol=1e-14)
  np.testing.assert_allclose(jax.grad(log_lambert)(jnp.asarray(y)), 1 / (1 + np.exp(s)), rtol=1e-14)
  if abs(y) < 100:
    np.testing.assert_allclose(np.exp(s), lambertw(np.exp(y)).real, rtol=1e-12)


@pytest.mark.parametrize("d", SMOOTH, ids=lambda d: d.name)
def test_from_generator_reproduces_the_closed_forms(d):
  """f*, its first and second derivative, f' and the log ratio, from f alone."""
  built = from_generator(d.f, bound=d.bound, growth=d.growth)
  edge = float(d.f_prime(in_float64(1e-9))[0])  # f'(0+), or far enough down
  low, high = max(edge + 0.05, -6.0), min(d.bound - 0.05, 4.0)
  t = jnp.linspace(low, high, 40)
  close = lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
  close(built.conjugate(t), d.conjugate(t))
  close(jax.vmap(jax.grad(built.conjugate))(t), jax.vmap(jax.grad(d.conjugate))(t))
  close(jax.vmap(jax.grad(jax.grad(built.conjugate)))(t), jax.vmap(jax.grad(jax.grad(d.conjugate)))(t))
  v = jnp.linspace(-3.0, 3.0, 31)
  close(built.f_prime(jnp.exp(v)), d.f_prime(jnp.exp(v)))
  close(built.log_ratio(v), d.log_ratio(v))
  close(built.conjugate_log_ratio(v), d.conjugate_log_ratio(v))
  close(built.conjugate_activation(v), d.conjugate(built.activation(v)))
  with jax.enable_x64(False):  # and in float32, to 1e-4
    t32 = jnp.asarray(np.asarray(t), jnp.float32)
    np.testing.assert_allclose(built.conjugate(t32), d.conjugate(t32), rtol=1e-4, atol=1e-4)
    slope = jax.vmap(jax.grad(built.conjugate))(t32)
    np.testing.assert_allclose(slope, jax.vmap(jax.grad(d.conjugate))(t32), rtol=1e-4, atol=1e-4)


def test_from_generator_below_the_edge():
  """Pearson below f'(0+) = -2: the exact conjugate is -f(0) = -1."""
  built = from_generator(pearson().f)
  np.testing.assert_allclose(built.conjugate(in_float64(-2.5, -40.0)), [-1.0, -1.0], atol=1e-9)
  np.testing.assert_allclose(jax.vmap(jax.grad(built.conjugate))(in_float64(-2.5, -40.0)), [0.0, 0.0], atol=1e-9)


def test_from_generator_trains_a_game_of_its_own():
  """Its bound at the optimum is the divergence, for an f that no table has: f = u^2 log u - (u - 1)."""
  built = from_generator(lambda u: u**2 * jnp.log(u) - (u - 1.0), growth=3.0)
  assert isinstance(built, FDivergence)
  v = jnp.asarray(np.log(P / Q))
  bound = integral(P * np.asarray(built.log_ratio(v))) - integral(Q * np.asarray(built.conjugate_log_ratio(v)))
  np.testing.assert_allclose(bound, integral(Q * np.asarray(built.f(jnp.exp(v)))), rtol=1e-9)


@ALL_SMOOTH
def test_density_ratio_and_primal_at_the_optimum(d):
  """At scores that are the log ratio the primal is the divergence, by importance-free sums over a grid of quantiles."""
  quantiles = (np.arange(200_000) + 0.5) / 200_000
  x = -0.3 + ndtri(quantiles)  # equally likely points of Q
  v = jnp.asarray(np.log(gaussian(x, 0.4, 0.9) / gaussian(x, -0.3, 1.0)))
  np.testing.assert_allclose(density_ratio(d, v, "log_ratio"), np.exp(v), rtol=1e-9)
  np.testing.assert_allclose(primal(d, v, "log_ratio"), integral(Q * np.asarray(d.f(jnp.asarray(P / Q)))), atol=2e-3)
  scores = jnp.linspace(-3.0, 3.0, 13)
  ratio = density_ratio(d, scores)
  inside = np.asarray(ratio) > 1e-6
  t = np.asarray(d.activation(scores))
  np.testing.assert_allclose(np.asarray(d.f_prime(ratio))[inside], t[inside], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
  ("make", "value"), [(alpha, 0.0), (alpha, 1.0), (weighted_jensen_shannon, 0.0), (weighted_jensen_shannon, 1.0)]
)
def test_limits_of_the_parameters_are_refused(make, value):
  with pytest.raises(ValueError, match="limit|between 0 and 1"):
    make(value)


REAL, FAKE = np.array([0.3, -1.2, 2.5]), np.array([-0.7, 1.4, 0.1])


def w(t):
  return lambertw(np.exp(1 - t)).real


def weighted_table(pi):
  t = lambda v: -pi * np.log(pi) - np.log(1 + np.exp(-v))
  return t, lambda v: (1 - pi) * np.log((1 - pi) / (1 - pi * np.exp(t(v) / pi)))


def alpha_table(a):
  t = (lambda v: 1 / (1 - a) - np.log(1 + np.exp(-v))) if a < 1 else (lambda v: v)
  return t, lambda v: np.maximum(t(v) * (a - 1) + 1, 0) ** (a / (a - 1)) / a - 1 / a


# v -> g_f(v) and v -> f*(g_f(v)), as tables 2 and 6 have them.
TABLE_6 = {
  "kl": (lambda v: v, lambda v: np.exp(v - 1)),
  "reverse_kl": (lambda v: -np.exp(-v), lambda v: -1 + v),
  "pearson": (lambda v: v, lambda v: np.where(v < -2, -1.0, v**2 / 4 + v)),
  "squared_hellinger": (lambda v: 1 - np.exp(-v), lambda v: (1 - np.exp(-v)) / np.exp(-v)),
  "jensen_shannon": (lambda v: np.log(2 / (1 + np.exp(-v))), lambda v: -np.log(2 - 2 / (1 + np.exp(-v)))),
  "gan": (lambda v: -np.log(1 + np.exp(-v)), lambda v: -np.log(1 - 1 / (1 + np.exp(-v)))),
  "neyman": (lambda v: 1 - np.exp(-v), lambda v: 2 - 2 * np.sqrt(np.exp(-v))),
  "total_variation": (lambda v: 0.5 * np.tanh(v), lambda v: 0.5 * np.tanh(v)),
  "jeffreys": (lambda v: v, lambda v: w(v) + 1 / w(v) + v - 2),
  "weighted_jensen_shannon(0.2)": weighted_table(0.2),
  "weighted_jensen_shannon(0.5)": weighted_table(0.5),
  "alpha(-0.5)": alpha_table(-0.5),
  "alpha(0.3)": alpha_table(0.3),
  "alpha(1.5)": alpha_table(1.5),
  "alpha(3)": alpha_table(3.0),
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
  ours, original = fgan(gan()), adversarial.minimax()
  real, fake = jnp.asarray(REAL), jnp.asarray(FAKE)
  np.testing.assert_allclose(ours.discriminator(real, fake), original.discriminator(real, fake), rtol=1e-12)
  np.testing.assert_allclose(ours.generator(fake, real), original.generator(fake, real), rtol=1e-12)
  alternative = fgan(gan(), generator_step="alternative")
  non_saturating = adversarial.non_saturating()
  np.testing.assert_allclose(alternative.generator(fake, real), non_saturating.generator(fake, real), rtol=1e-12)


@ALL_SMOOTH
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
  loss, v = fgan(kl()), in_float64(-29.0, 29.0)
  np.testing.assert_allclose(loss.generator(v, v), -np.mean(np.exp(np.asarray(v) - 1.0)), rtol=1e-14)


def test_unknown_words_are_refused():
  with pytest.raises(ValueError, match="'minimax' or 'alternative', not 'other'"):
    fgan(kl(), generator_step="other")
  with pytest.raises(ValueError, match="'activation' or 'log_ratio', not 'other'"):
    fgan(kl(), parametrisation="other")


class Variants(chex.TestCase, parameterized.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*[d.name for d in FAMILY])
  def test_jit_and_vmap_agree(self, name):
    t, conjugate = TABLE_6[name]
    loss = fgan(next(d for d in FAMILY if d.name == name))
    with jax.enable_x64(True):
      real, fake = np.stack([REAL, FAKE]), np.stack([FAKE, REAL + 0.1])
      value = self.variant(jax.vmap(loss.discriminator))(jnp.asarray(real), jnp.asarray(fake))
    np.testing.assert_allclose(value, conjugate(fake).mean(1) - t(real).mean(1), rtol=1e-9)
