"""f-divergences: the algebra that ties f, f', f*, g_f together, for every member at once, and values by quadrature."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from scipy.optimize import minimize
from scipy.special import erf, lambertw, ndtr, ndtri

from gan_jax.losses import adversarial, divergences
from gan_jax.losses.divergences import (
  FDivergence,
  alpha,
  density_ratio,
  fgan,
  from_perspective,
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
  total_variation,
  weighted_jensen_shannon,
)

PARAMETRISED = {f"weighted_jensen_shannon({pi:g})": weighted_jensen_shannon(pi) for pi in (0.2, 0.5)}
PARAMETRISED |= {f"alpha({a:g})": alpha(a) for a in (-1.0, -0.5, 0.0, 0.3, 0.9, 0.97, 1.0, 1.01, 1.5, 3.0)}
# Every function of the module that makes a divergence without an argument.
CLOSED = {
  name: function()
  for name, function in vars(divergences).items()
  if getattr(function, "__annotations__", {}).get("return") is FDivergence
  and not inspect.signature(function).parameters
}
FAMILY = CLOSED | PARAMETRISED
SMOOTH = {name: d for name, d in FAMILY.items() if d is not total_variation()}
ALL = pytest.mark.parametrize("name", FAMILY)
ALL_SMOOTH = pytest.mark.parametrize("d", SMOOTH.values(), ids=SMOOTH)
PARAMETRISATIONS = ("activation", "log_ratio")


@pytest.fixture(autouse=True)
def float64():
  with jax.enable_x64(True):
    yield


def in_float64(*values):
  return jnp.asarray(values, jnp.float64)


def sides(d, parametrisation):
  """v -> T and v -> f*(T) of a parametrisation, without bending scores."""
  variational = d.variational(parametrisation)
  return variational.t, variational.conjugate


@ALL
def test_f_of_one(name):
  expected, d = -np.log(4.0) if name == "gan" else 0.0, FAMILY[name]
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
  "alpha(-1)": (0.25, 0.375),
  "alpha(-0.5)": ((np.sqrt(0.5) - 0.5) / 0.75, (1 - 2**-1.5) / 1.5),
  "alpha(0)": (1 - np.log(2), 0.5),
  "alpha(0.3)": ((1.3 - 2**0.3) / 0.21, (1 - 2**-0.7) / 0.7),
  "alpha(0.9)": ((1.9 - 2**0.9) / 0.09, (1 - 2**-0.1) / 0.1),
  "alpha(0.97)": ((1.97 - 2**0.97) / 0.0291, (1 - 2**-0.03) / 0.03),
  "alpha(1)": (2 * np.log(2) - 1, np.log(2)),
  "alpha(1.01)": ((2**1.01 - 2.01) / 0.0101, (2**0.01 - 1) / 0.01),
  "alpha(1.5)": ((2**1.5 - 2.5) / 0.75, 2 * (np.sqrt(2) - 1)),
  "alpha(3)": (4 / 6, 1.5),
}


@ALL
def test_f_by_hand(name):
  d, (value, slope) = FAMILY[name], BY_HAND[name]
  np.testing.assert_allclose(d.f(in_float64(2.0)), [value], rtol=1e-12)
  np.testing.assert_allclose(d.f_prime(in_float64(2.0)), [slope], rtol=1e-12)


@ALL_SMOOTH
def test_f_is_convex_and_f_prime_is_its_derivative(d):
  u = jnp.geomspace(1e-3, 1e3, 400)
  np.testing.assert_allclose(jax.vmap(jax.grad(d.f))(u), d.f_prime(u), rtol=1e-8, atol=1e-8)
  assert np.all(np.diff(d.f_prime(u)) > 0)


@ALL
def test_conjugate_is_the_supremum(name):
  d = FAMILY[name]
  u = np.concatenate([[0.0, 1.0], np.geomspace(1e-12, 1e7, 400_001)])
  with np.errstate(all="ignore"):
    f = np.asarray(d.f(jnp.asarray(u)))
  top = min(d.bound - 0.02, 6.0)
  t = np.linspace(-5.0, top, 23)
  supremum = [np.max(np.where(np.isfinite(f), u * ti - f, -np.inf)) for ti in t]
  np.testing.assert_allclose(d.conjugate(jnp.asarray(t)), supremum, rtol=1e-6, atol=1e-6)


@ALL
def test_conjugate_is_infinite_above_its_domain(name):
  d = FAMILY[name]
  if np.isfinite(d.bound):
    assert np.all(np.isposinf(d.conjugate(in_float64(d.bound + 1e-9, d.bound + 0.5, 1e3))))
    assert np.isfinite(d.conjugate(in_float64(d.bound - 1e-6)))
    chex.assert_tree_all_finite(jax.vmap(jax.grad(d.conjugate))(in_float64(d.bound - 0.1, d.bound + 0.1)))


def test_pearson_below_its_edge():
  """f'(0+) = -2: the exact conjugate is -f(0) = -1 there, where the paper's t^2/4 + t turns upwards again."""
  np.testing.assert_allclose(pearson().conjugate(in_float64(-1.0, -2.0, -3.0, -50.0)), [-0.75, -1.0, -1.0, -1.0])
  np.testing.assert_allclose(pearson().activation.conjugate(in_float64(-50.0)), [-1.0])


@ALL_SMOOTH
def test_activation_lands_in_the_domain(d):
  v = jnp.linspace(-15.0, 15.0, 301)
  for parametrisation in PARAMETRISATIONS:
    activation, _ = sides(d, parametrisation)
    t, last = np.asarray(activation(v)), activation(in_float64(1e3))
    assert np.all(t < d.bound) and np.all(np.diff(t) > 0)
    assert last > (5.0 if np.isinf(d.bound) else d.bound - 1e-2)  # and comes near its end


def test_total_variation():
  """T is between -1/2 and 1/2, where f*(T) = T; below it is -1/2, above infinite; the log ratio has no gradient."""
  v = jnp.linspace(-15.0, 15.0, 101)
  t = total_variation().activation.t(v)
  assert np.all(np.abs(t) <= 0.5) and np.all(np.diff(t) > 0)
  np.testing.assert_array_equal(total_variation().activation.conjugate(v), t)
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
  np.testing.assert_allclose(d.log_ratio.t(v), d.f_prime(u), rtol=1e-10, atol=1e-12)
  np.testing.assert_allclose(d.log_ratio.conjugate(v), u * d.f_prime(u) - d.f(u), rtol=1e-9, atol=1e-9)


@ALL_SMOOTH
def test_derivative_of_the_conjugate_gives_the_ratio_back(d):
  """(f*)' is the inverse of f', so (f*)'(T*) = p/q."""
  u = in_float64(0.1, 0.5, 1.0, 3.0, 20.0)
  np.testing.assert_allclose(jax.vmap(jax.grad(d.conjugate))(d.f_prime(u)), u, rtol=1e-9)


def inverse(activation, t):
  """The score at which an activation gives T, by bisection."""

  def halve(_, bracket):
    middle = 0.5 * (bracket[0] + bracket[1])
    too_low = activation(middle) < t
    return jnp.where(too_low, middle, bracket[0]), jnp.where(too_low, bracket[1], middle)

  ends = jnp.full(t.shape, -1e17), jnp.full(t.shape, 1e17)
  return 0.5 * sum(jax.jit(lambda ends: jax.lax.fori_loop(0, 120, halve, ends))(ends))


def gaussian(x, mean, scale):
  return np.exp(-0.5 * ((x - mean) / scale) ** 2) / (scale * np.sqrt(2 * np.pi))


X = np.linspace(-14.0, 14.0, 20_001)
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
  v_star = inverse(activation, t_star)
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


@ALL
def test_the_perspective_is_q_f_of_p_over_q(name):
  d, p, q = FAMILY[name], P[::50], Q[::50]
  p, q = p[p > 1e-40], q[p > 1e-40]
  expected = q * np.asarray(d.f(jnp.asarray(p / q)))
  np.testing.assert_allclose(d.perspective(jnp.log(p), jnp.log(q)), expected, rtol=1e-9, atol=1e-16)


def test_exchanging_the_arguments():
  p, q = jnp.log(jnp.geomspace(0.1, 10.0, 30)), jnp.log(0.7)
  for first, second in (
    (kl(), reverse_kl()),
    (pearson(), neyman()),
    (squared_hellinger(), squared_hellinger()),
    (jeffreys(), jeffreys()),
    (alpha(0.3), alpha(0.7)),
    (weighted_jensen_shannon(0.2), weighted_jensen_shannon(0.8)),
  ):
    np.testing.assert_allclose(first.perspective(p, q), second.perspective(q, p), rtol=1e-10, atol=1e-12)


def test_relations_within_the_family():
  u = jnp.geomspace(0.1, 10.0, 30)
  np.testing.assert_allclose(2 * alpha(2.0).f(u), pearson().f(u), rtol=1e-9, atol=1e-12)
  np.testing.assert_allclose(2 * alpha(-1.0).f(u), neyman().f(u), rtol=1e-9, atol=1e-12)
  np.testing.assert_allclose(alpha(0.5).f(u), 2 * squared_hellinger().f(u), rtol=1e-9, atol=1e-12)
  np.testing.assert_allclose(
    2 * weighted_jensen_shannon(0.5).f(u), CLOSED["jensen_shannon"].f(u), rtol=1e-9, atol=1e-12
  )
  np.testing.assert_allclose(reverse_kl().f(u) + kl().f(u), jeffreys().f(u), rtol=1e-10, atol=1e-12)
  np.testing.assert_allclose(alpha(1.0).f(u), kl().f(u) - u + 1.0, rtol=1e-9, atol=1e-12)
  np.testing.assert_allclose(alpha(0.0).f(u), reverse_kl().f(u) + u - 1.0, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("y", [-700.0, -30.0, -1.0, 0.0, 0.5, 1.0, 1.5, 40.0, 1e6])
def test_log_lambert(y):
  s = log_lambert(in_float64(y))[0]
  np.testing.assert_allclose(s + np.exp(s), y, rtol=1e-14, atol=1e-14)
  np.testing.assert_allclose(jax.grad(log_lambert)(jnp.asarray(y)), 1 / (1 + np.exp(s)), rtol=1e-14)
  if abs(y) < 100:
    np.testing.assert_allclose(np.exp(s), lambertw(np.exp(y)).real, rtol=1e-12)


# q f(p/q) of log p and log q, term by term.
STRAIGHT = {
  "kl": lambda p, q: jnp.exp(p) * (p - q),
  "reverse_kl": lambda p, q: jnp.exp(q) * (q - p),
  "pearson": lambda p, q: jnp.exp(2 * p - q) - 2 * jnp.exp(p) + jnp.exp(q),
  "neyman": lambda p, q: jnp.exp(2 * q - p) - 2 * jnp.exp(q) + jnp.exp(p),
  "squared_hellinger": lambda p, q: jnp.exp(p) - 2 * jnp.exp(0.5 * (p + q)) + jnp.exp(q),
  "jensen_shannon": divergences.jensen_shannon().perspective,
  "jeffreys": lambda p, q: jnp.exp(p) * (p - q) + jnp.exp(q) * (q - p),
}
EACH_STRAIGHT = pytest.mark.parametrize("name", STRAIGHT)


@EACH_STRAIGHT
def test_from_perspective_reproduces_the_closed_forms(name):
  """f*, its first and second derivative, f and f', from q f(p/q) alone."""
  d = FAMILY[name]
  built = from_perspective(STRAIGHT[name], bound=d.bound)
  edge = float(d.f_prime(in_float64(1e-9))[0])  # f'(0+), or far enough down
  low, high = max(edge + 0.05, -6.0), min(d.bound - 0.05, 4.0)
  t = jnp.linspace(low, high, 40)
  close = lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
  close(built.conjugate(t), d.conjugate(t))
  close(jax.vmap(jax.grad(built.conjugate))(t), jax.vmap(jax.grad(d.conjugate))(t))
  close(jax.vmap(jax.grad(jax.grad(built.conjugate)))(t), jax.vmap(jax.grad(jax.grad(d.conjugate)))(t))
  u = jnp.geomspace(0.05, 20.0, 31)
  close(built.f(u), d.f(u))
  close(built.f_prime(u), d.f_prime(u))
  for parametrisation in PARAMETRISATIONS:
    for mine, closed in zip(sides(built, parametrisation), sides(d, "log_ratio"), strict=True):
      close(mine(jnp.log(u)), closed(jnp.log(u)))


@EACH_STRAIGHT
def test_from_perspective_in_float32_at_large_scores(name):
  """Where u f' - f cancels: from f alone 1.13 was left of Jensen-Shannon's 17.3 at a score of 18."""
  d, v = FAMILY[name], np.array([-30.0, -18.0, -14.0, 14.0, 18.0, 30.0])
  exact = [np.asarray(side(jnp.asarray(v))) for side in sides(d, "log_ratio")]
  slopes = [np.asarray(jax.vmap(jax.grad(side))(jnp.asarray(v))) for side in sides(d, "log_ratio")]
  with jax.enable_x64(False):
    built, v32 = from_perspective(STRAIGHT[name]), jnp.asarray(v, jnp.float32)
    for side, value, slope in zip(sides(built, "log_ratio"), exact, slopes, strict=True):
      np.testing.assert_allclose(side(v32), value, rtol=3e-5, atol=3e-5)
      np.testing.assert_allclose(jax.vmap(jax.grad(side))(v32), slope, rtol=3e-5, atol=3e-5)


def test_from_perspective_below_the_edge():
  """Pearson below f'(0+) = -2: the exact conjugate is -f(0) = -1."""
  built = from_perspective(STRAIGHT["pearson"])
  np.testing.assert_allclose(built.conjugate(in_float64(-2.5, -40.0)), [-1.0, -1.0], atol=1e-9)
  np.testing.assert_allclose(jax.vmap(jax.grad(built.conjugate))(in_float64(-2.5, -40.0)), [0.0, 0.0], atol=1e-9)


def test_from_perspective_trains_a_game_of_its_own():
  """Its bound at the optimum is the divergence, for an f that no table has: f = u^2 log u - (u - 1)."""
  built = from_perspective(lambda p, q: jnp.exp(2.0 * p - q) * (p - q) - jnp.exp(p) + jnp.exp(q), rates=(2.0, 3.0))
  assert isinstance(built, FDivergence)
  v = jnp.asarray(np.log(P / Q))
  t, conjugate = sides(built, "activation")
  u = P / Q
  expected = integral(Q * (u**2 * np.log(u) - (u - 1.0)))
  np.testing.assert_allclose(
    integral(P * np.asarray(t(v))) - integral(Q * np.asarray(conjugate(v))), expected, rtol=1e-9
  )


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
  t = np.asarray(d.activation.t(scores))
  np.testing.assert_allclose(np.asarray(d.f_prime(ratio))[inside], t[inside], rtol=1e-6, atol=1e-9)
  np.testing.assert_allclose(ratio, jax.vmap(jax.grad(d.conjugate))(jnp.asarray(t)), rtol=1e-6)
  np.testing.assert_allclose(primal(d, scores), np.mean(d.f(ratio)), rtol=1e-6, atol=1e-9)


@ALL_SMOOTH
def test_density_ratio_of_large_scores_in_float32(d):
  v = np.array([-25.0, 18.0, 25.0])
  exact = [np.asarray(density_ratio(d, jnp.asarray(v), parametrisation)) for parametrisation in PARAMETRISATIONS]
  with jax.enable_x64(False):
    for parametrisation, ratio in zip(PARAMETRISATIONS, exact, strict=True):
      found = density_ratio(d, jnp.asarray(v, jnp.float32), parametrisation)
      np.testing.assert_allclose(found, ratio.astype(np.float32), rtol=2e-4, atol=1e-12)


def test_total_variation_says_no_ratio():
  for function in (density_ratio, primal):
    with pytest.raises(ValueError, match="says where p > q, and not what p/q is"):
      function(total_variation(), in_float64(0.1, 2.0))


def test_conjugate_at_the_end_of_its_domain():
  """sup over u of u f'(inf) - f(u), by hand: 2 for (1 - u)^2 / u, -1/a for a < 0, and infinite for the others."""
  for name, d in FAMILY.items():
    if np.isfinite(d.bound):
      expected = {"neyman": 2.0, "alpha(-1)": 1.0, "alpha(-0.5)": 2.0, "total_variation": 0.5}.get(name, np.inf)
      np.testing.assert_allclose(d.conjugate(in_float64(d.bound)), [expected], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1])
def test_weights_beyond_their_limits_are_refused(value):
  with pytest.raises(ValueError, match="between 0 and 1"):
    weighted_jensen_shannon(value)


@pytest.mark.parametrize("a", [0.8, 0.9, 0.95, 0.97, 0.999, 1.0, 1.001, 1.2])
def test_score_0_of_alpha_is_the_ratio_1(a):
  """Where a is just below 1, too: there the table's activation gave losses from 3e3 up to infinity."""
  with jax.enable_x64(False):
    scores = jnp.zeros(3, jnp.float32)
    value, slopes = jax.value_and_grad(fgan(alpha(a)).discriminator, (0, 1))(scores, scores)
    np.testing.assert_allclose(value, 0.0, atol=1e-6)
    np.testing.assert_allclose(density_ratio(alpha(a), scores), 1.0, rtol=1e-6)
    steepness = float(-jnp.sum(slopes[0]))  # T'(0)
    np.testing.assert_allclose(steepness, 1.0 if a >= 1 else -np.expm1(-1 / (1 - a)), rtol=1e-5)
    np.testing.assert_allclose(jnp.sum(slopes[1]), steepness, rtol=1e-5)


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_alpha_is_continuous_and_may_be_traced(parametrisation):
  """Through 0 and 1, under vmap and jit, in float32 against float64; and so is the weight of Jensen-Shannon."""
  v = np.linspace(-4.0, 4.0, 17)
  values = np.array([-1e-3, -1e-6, 0.0, 1e-6, 1e-3, 0.5, 1 - 1e-3, 1 - 1e-6, 1.0, 1 + 1e-6, 1 + 1e-3, 2.0])
  both = lambda d, v: jnp.stack([side(v) for side in sides(d, parametrisation)])
  exact = np.stack([both(alpha(float(a)), jnp.asarray(v)) for a in values])
  with jax.enable_x64(False):
    a, scores = jnp.asarray(values, jnp.float32), jnp.asarray(v, jnp.float32)
    found = jax.jit(jax.vmap(lambda a: both(alpha(a), scores)))(a)
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=2e-5)
    loss = lambda scores, a: fgan(alpha(a), parametrisation=parametrisation).discriminator(scores, scores)
    chex.assert_tree_all_finite(jax.vmap(jax.grad(loss), (None, 0))(scores, a))
  for left, right in ((0, 2), (2, 4), (6, 8), (8, 10)):
    assert np.abs(exact[left] - exact[right]).max() < 0.05 * np.abs(exact).max()
  closed = both(kl(), jnp.asarray(v) + (1.0 if parametrisation == "activation" else 0.0)) - 1.0
  np.testing.assert_allclose(exact[8], closed, rtol=1e-9, atol=1e-12)
  pis = np.array([0.01, 0.3, 0.99])
  exact = np.stack([both(weighted_jensen_shannon(float(pi)), jnp.asarray(v)) for pi in pis])
  with jax.enable_x64(False):
    traced = jax.jit(jax.vmap(lambda pi: both(weighted_jensen_shannon(pi), jnp.asarray(v, jnp.float32))))
    np.testing.assert_allclose(traced(jnp.asarray(pis, jnp.float32)), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("a", [0.9, 0.97, 1.0, 1.1])
def test_training_alpha_near_1_in_the_papers_activation(a):
  """V, a cubic, of N(0.5, 1) against N(0, 1) from 0: E_q[(p/q)^a] is exp(a (a - 1) / 8), so D is near 1/8."""
  x = jnp.linspace(-10.0, 10.0, 1_001)
  p, q = log_gaussian(x, 0.5, 1.0), log_gaussian(x, 0.0, 1.0)
  powers = jnp.stack([jnp.ones_like(x), x, x**2, x**3])
  loss = jax.jit(jax.value_and_grad(lambda w: -divergences.integrate_bound(alpha(a), w @ powers, p, q, x)))
  trained = minimize(lambda w: [np.asarray(each) for each in loss(jnp.asarray(w))], np.zeros(4), jac=True)
  exact = np.expm1(a * (a - 1) / 8) / (a * (a - 1)) if a != 1 else 0.125
  np.testing.assert_allclose(integrate(alpha(a), p, q, x), exact, rtol=1e-9)
  assert exact * 0.995 < -trained.fun <= exact


REAL, FAKE = np.array([0.3, -1.2, 2.5]), np.array([-0.7, 1.4, 0.1])


def w(t):
  return lambertw(np.exp(1 - t)).real


def weighted_table(pi):
  t = lambda v: -pi * np.log(pi) - np.log(1 + np.exp(-v))
  return t, lambda v: (1 - pi) * np.log((1 - pi) / (1 - pi * np.exp(t(v) / pi)))


def alpha_table(a):
  """With its scores shifted so that T(0) = 0."""
  shift = np.log(np.expm1(1 / (1 - a))) if a < 1 else 0.0
  t = (lambda v: 1 / (1 - a) - np.log(1 + np.exp(shift - v))) if a < 1 else (lambda v: v)
  if a in (0.0, 1.0):
    return t, (lambda v: np.exp(v) - 1) if a else (lambda v: -np.log(1 - t(v)))
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
} | {f"alpha({a:g})": alpha_table(a) for a in (-1.0, -0.5, 0.0, 0.3, 0.9, 0.97, 1.0, 1.01, 1.5, 3.0)}


@ALL
def test_fgan_losses_and_gradients(name):
  d, (t, conjugate) = FAMILY[name], TABLE_6[name]
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


EXTREME = FAMILY | {f"alpha({a:g})": alpha(a) for a in (-6.0, 0.05, 6.0)}


@pytest.mark.parametrize(
  ("name", "parametrisation"),
  [(name, p) for name, d in EXTREME.items() for p in PARAMETRISATIONS if p == "activation" or d.log_ratio],
)
def test_extreme_scores_in_float32_are_those_of_float64(name, parametrisation):
  """Value and gradient, finite, at +-1e3 and on the way there; and so are the losses made of them."""
  variational, loss = EXTREME[name].variational(parametrisation), fgan(EXTREME[name], parametrisation=parametrisation)

  def found(v, real, fake):  # without jit: the operations are compiled once for all members
    sides = [jax.vmap(jax.value_and_grad(lambda v, side=side: side(variational.bend(v)))) for side in variational[:2]]
    losses = [
      jax.value_and_grad(f, (0, 1)) for f in (loss.discriminator, lambda real, fake: loss.generator(fake, real))
    ]
    return [side(v) for side in sides], [jax.vmap(each)(real, fake) for each in losses]

  v = np.array([-1e3, -200.0, -60.0, -31.0, -20.0, 20.0, 31.0, 60.0, 200.0, 1e3])
  real, fake = np.repeat(np.array([[-1e3, -1e3, 1e3, 1e3], [-1e3, 1e3, -1e3, 1e3]])[..., None], 3, 2)
  exact = found(*map(jnp.asarray, (v, real, fake)))
  with jax.enable_x64(False):
    single = found(*(jnp.asarray(each, jnp.float32) for each in (v, real, fake)))
  chex.assert_tree_all_finite((exact, single))
  for each, reference in zip(jax.tree.leaves(single), jax.tree.leaves(exact), strict=True):
    np.testing.assert_allclose(each, reference, rtol=3e-4, atol=1e-5)


def test_an_exponential_goes_on_as_its_tangent():
  """e^v from e^60 on; and no score is bent towards the side on which nothing is exponential."""
  for kept, bent in ((-1e3, 70.0), (-61.0, 1e3)):
    v = divergences.bend(above=1.0)(in_float64(kept, 59.0, bent))
    np.testing.assert_allclose(v[:2], [kept, 59.0], rtol=1e-15)
    np.testing.assert_allclose(np.exp(v[2]), np.exp(60.0) * (1.0 + bent - 60.0), rtol=1e-12)
  v = divergences.bend(below=3.0)(in_float64(-19.0, -50.0, 1e3))
  np.testing.assert_allclose(np.exp(-3.0 * v[1]), np.exp(60.0) * (1.0 + 3.0 * 30.0), rtol=1e-12)
  np.testing.assert_array_equal(v[::2], [-19.0, 1e3])
  np.testing.assert_array_equal(pearson().activation.bend(in_float64(-1e6, 1e6)), [-1e6, 1e6])


@pytest.mark.parametrize(
  ("d", "exact"),
  [(pearson(), np.expm1(4.0)), (alpha(3.0), None), (alpha(-1.0), np.expm1(4.0) / 2), (neyman(), np.expm1(4.0))],
  ids=["pearson", "alpha(3)", "alpha(-1)", "neyman"],
)
def test_bounds_of_far_gaussians_are_tight_at_the_best_score(d, exact):
  """N(2, 1) against N(0, 1) in the paper's activation, whose best scores are in the hundreds: 53.6 for Pearson, where
  bending gave 12.7. alpha(3) is of N(1, 1), (e^3 - 1) / 6 = 3.18."""
  x = jnp.linspace(-12.0, 14.0, 8_001)
  mean = 1.0 if exact is None else 2.0
  exact = np.expm1(3.0) / 6 if exact is None else exact
  p, q = log_gaussian(x, mean, 1.0), log_gaussian(x, 0.0, 1.0)
  best = inverse(d.activation.t, d.log_ratio.t(p - q))
  np.testing.assert_allclose(divergences.integrate_bound(d, best, p, q, x), exact, rtol=1e-6)
  np.testing.assert_allclose(integrate(d, p, q, x), exact, rtol=1e-9)


def test_integrate_has_no_cap_on_the_ratio():
  """KL(N(0, 1) || N(0, s^2)) = log s + 1 / (2 s^2) - 1/2, whose log ratios reach thousands, in closed form."""
  x = jnp.linspace(-12.0, 12.0, 40_001)
  wide = log_gaussian(x, 0.0, 1.0)
  for s in (0.1, 0.02, 0.003):
    narrow = log_gaussian(x, 0.0, s)
    expected = np.log(s) + 0.5 / s**2 - 0.5
    np.testing.assert_allclose(integrate(kl(), wide, narrow, x), expected, rtol=1e-9)
    np.testing.assert_allclose(integrate(reverse_kl(), narrow, wide, x), expected, rtol=1e-9)
  np.testing.assert_allclose(integrate(kl(), wide, log_gaussian(x, 0.0, 0.1), x), 47.19741, rtol=1e-6)


@pytest.mark.parametrize(
  ("d", "infinite"),
  [(pearson(), True), (alpha(3.0), True), (alpha(1.5), True), (neyman(), False), (kl(), False), (alpha(-0.5), False)],
  ids=["pearson", "alpha(3)", "alpha(1.5)", "neyman", "kl", "alpha(-0.5)"],
)
def test_a_divergence_that_is_infinite_is_inf(d, infinite):
  """P = N(0, 1) and Q = N(0, 0.1^2): E_p[p/q] has no tail. And where x is too narrow no number is given either."""
  for reach in (8.0, 12.0, 60.0):
    x = jnp.linspace(-reach, reach, 40_001)
    p, q = log_gaussian(x, 0.0, 1.0), log_gaussian(x, 0.0, 0.1)
    assert np.isposinf(integrate(d, p, q, x)) == infinite
  x = jnp.linspace(-2.0, 2.0, 4_001)
  assert np.isposinf(integrate(d, log_gaussian(x, 0.0, 1.0), log_gaussian(x, 0.5, 1.0), x))


OUTSIDE = {  # f(0), and f(u) / u at infinity
  kl(): (0.0, np.inf),
  reverse_kl(): (np.inf, 0.0),
  pearson(): (1.0, np.inf),
  neyman(): (np.inf, 1.0),
  squared_hellinger(): (1.0, 1.0),
  divergences.jensen_shannon(): (np.log(2.0), np.log(2.0)),
  gan(): (0.0, 0.0),
  total_variation(): (0.5, 0.5),
  jeffreys(): (np.inf, np.inf),
  alpha(0.5): (2.0, 2.0),
  alpha(1.5): (2.0 / 3.0, np.inf),
  weighted_jensen_shannon(0.2): (-0.8 * np.log(0.8), -0.2 * np.log(0.2)),
}


@pytest.mark.parametrize("d", OUTSIDE)
def test_integrate_where_a_density_is_zero(d):
  """U(0, 1) and N(0, 1), either first: f itself within the unit interval, and its limits outside of it, where the
  normal has 0.6587 of its mass. KL(U || N) = log(2 pi) / 2 + 1 / 6 = 1.0856."""
  x = jnp.linspace(-12.0, 12.0, 240_001)
  normal, uniform = log_gaussian(x, 0.0, 1.0), jnp.where((x >= 0.0) & (x <= 1.0), 0.0, -jnp.inf)
  unit = jnp.linspace(0.0, 1.0, 2_001)
  density = jnp.exp(log_gaussian(unit, 0.0, 1.0))
  outside = 1.0 - (ndtr(1.0) - 0.5)
  for first, limit, within in zip((True, False), OUTSIDE[d], (density * d.f(1.0 / density), d.f(density))):
    expected = jnp.trapezoid(within, unit) + outside * limit if limit else jnp.trapezoid(within, unit)
    p, q = (uniform, normal) if first else (normal, uniform)
    np.testing.assert_allclose(integrate(d, p, q, x), expected, atol=2e-4)
  np.testing.assert_allclose(integrate(kl(), uniform, normal, x), 0.5 * np.log(2.0 * np.pi) + 1 / 6, atol=2e-4)


def test_unknown_words_are_refused():
  with pytest.raises(ValueError, match="'minimax' or 'alternative', not 'other'"):
    fgan(kl(), generator_step="other")
  with pytest.raises(ValueError, match="'activation' or 'log_ratio', not 'other'"):
    fgan(kl(), parametrisation="other")


class Variants(chex.TestCase, parameterized.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*FAMILY)
  def test_jit_and_vmap_agree(self, name):
    t, conjugate = TABLE_6[name]
    loss = fgan(FAMILY[name])
    with jax.enable_x64(True):
      real, fake = np.stack([REAL, FAKE]), np.stack([FAKE, REAL + 0.1])
      value = self.variant(jax.vmap(loss.discriminator))(jnp.asarray(real), jnp.asarray(fake))
    np.testing.assert_allclose(value, conjugate(fake).mean(1) - t(real).mean(1), rtol=1e-9)
