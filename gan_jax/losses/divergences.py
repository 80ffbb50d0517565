"""f-divergences and the adversarial losses that they make, after Nowozin et al. 2016 (f-GAN).

D_f(P||Q) = E_q[f(p/q)] for a convex f with f(1) = 0. Its variational form (their eq. 4) is the largest value over
functions T of E_p[T(x)] - E_q[f*(T(x))], where f*(t) = sup over u >= 0 of u t - f(u); the largest value is reached at
T* = f'(p/q) (their eq. 5). A network's raw score v becomes T through an output activation that keeps it in the domain
of f*.

Two such activations are at hand. `activation` is g_f of their table 6. `log_ratio` reads v as log(p/q), so T =
f'(e^v): then f*(T) = e^v f'(e^v) - f(e^v), and every divergence has its optimum at the same v. Where T or f* grows
exponentially in v, scores beyond the point at which it is e^60 are bent, so that the exponential goes on as its
tangent there: any T in the domain of f* gives a lower bound, so the bound remains one, and it stays finite in float32.

Normalisation is that of their tables 1 and 6: the Jensen-Shannon divergence is twice the usual one, and GAN's f(1) is
-log 4. Where f'(0+) is finite the table's closed form of f* goes on below it; the exact conjugate is the constant -f(0)
there, and that is what `conjugate` gives: for Pearson below -2, total variation below -1/2, alpha > 1 below -1/(alpha
- 1). Values are in nats.

D_f(P_G||P_data), with the data second, is D_g(P_data||P_G) with g(u) = u f(1/u).
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid, softplus
from jax.scipy.special import xlogy

from gan_jax.errors import ConfigError
from gan_jax.losses.adversarial import AdversarialLoss

Function = Callable[[jax.Array], jax.Array]
Number = float | jax.Array

_LARGEST = 60.0  # an exponential goes on as its tangent from e^60; at scores of 1e4 that is below float32's e^88


def bend(below: Number = 0.0, above: Number = 0.0) -> Function:
  """Scores as they enter functions that grow like e^(below |v|) towards -inf and e^(above v) towards +inf.

  Beyond L = 60 / rate a score is L + log(1 + rate (|v| - L)) / rate, so that e^(rate |v|) goes on as its tangent; on a
  side whose rate is 0 it stays as it is. Smooth to first order, strictly increasing.
  """

  def side(x: jax.Array, rate: Number) -> jax.Array:
    safe = _select(rate > 0.0, rate, 1.0)
    return _tangent(x, _select(rate > 0.0, _LARGEST / safe, math.inf), safe)

  return lambda v: jnp.where(v > 0.0, side(v, above), -side(-v, below))


def _tangent(x: jax.Array, limit: Number, rate: Number) -> jax.Array:
  return jnp.minimum(x, limit) + jnp.log1p(rate * jnp.maximum(x - limit, 0.0)) / rate


class Variational(NamedTuple):
  """How a raw score v is read. All functions are elementwise, and take scores that `bend` has bent.

  Attributes:
    t: v -> T.
    conjugate: v -> f*(T), in one piece, because taking it in two overflows.
    log_ratio: v -> log(p/q) where this T is the best, (f*)'(T) = p/q; None where T does not say it.
    bend: v -> v, below the point from where `t` or `conjugate` would outgrow float32.
  """

  t: Function
  conjugate: Function
  log_ratio: Function | None
  bend: Function = lambda v: v


class FDivergence(NamedTuple):
  """A divergence D_f, and two ways to write its variational function in a raw score v. All functions are elementwise.

  Attributes:
    name: of its family.
    f: the generator function, on u >= 0.
    f_prime: its derivative, on u > 0.
    perspective: (log p, log q) -> q f(p/q), what D_f is the integral of, without overflow where p/q has one.
    conjugate: f*, exact on all of the real line: infinite above its domain, -f(0) below f'(0+).
    bound: where the domain of f* ends; above it f* is infinite.
    activation: T = g_f(v), their table 6.
    log_ratio: T = f'(e^v); None where that has no gradient.
  """

  name: str
  f: Function
  f_prime: Function
  perspective: Callable[[jax.Array, jax.Array], jax.Array]
  conjugate: Function
  bound: Number
  activation: Variational
  log_ratio: Variational | None

  def variational(self, parametrisation: str) -> Variational:
    """`activation` or `log_ratio`.

    Raises:
      ConfigError: if it is neither, or the log ratio has no gradient (total variation).
    """
    if parametrisation not in ("activation", "log_ratio"):
      raise ConfigError(f"parametrisation is 'activation' or 'log_ratio', not {parametrisation!r}")
    found = self.activation if parametrisation == "activation" else self.log_ratio
    if found is None:
      raise ConfigError(f"f' of {self.name} is a step, so its log_ratio has no gradient; take 'activation'")
    return found


def _below(bound: float, conjugate: Function, inside: float, at_bound: float = math.inf) -> Function:
  """f* as `conjugate` below `bound`, `at_bound` there and infinite above; `inside` is any point of the domain, for safe
  gradients."""

  def exact(t: jax.Array) -> jax.Array:
    end = jnp.where(t > bound, jnp.inf, at_bound)
    return jnp.where(t < bound, conjugate(jnp.where(t < bound, t, inside)), end)

  return exact


def _identity(v: jax.Array) -> jax.Array:
  return v


def _gap(v: jax.Array) -> jax.Array:
  """1 - e^-|v|: the larger of p and q times it is |p - q|, where v = log(p/q)."""
  return -jnp.expm1(-jnp.abs(v))


@functools.cache
def kl() -> FDivergence:
  """Kullback-Leibler, E_p[log(p/q)].

  Examples:
    >>> import jax.numpy as jnp
    >>> x = jnp.linspace(-10.0, 12.0, 2_001)
    >>> normal = lambda mean: -0.5 * jnp.square(x - mean) - 0.5 * jnp.log(2 * jnp.pi)
    >>> round(float(integrate(kl(), normal(0.0), normal(1.0), x)), 4)  # (0 - 1)^2 / 2
    0.5
  """
  return FDivergence(
    name="kl",
    f=lambda u: xlogy(u, u),
    f_prime=lambda u: 1.0 + jnp.log(u),
    perspective=lambda log_p, log_q: jnp.exp(log_p) * (log_p - log_q),
    conjugate=lambda t: jnp.exp(t - 1.0),
    bound=math.inf,
    activation=Variational(_identity, lambda v: jnp.exp(v - 1.0), lambda v: v - 1.0, bend(above=1.0)),
    log_ratio=Variational(lambda v: 1.0 + v, jnp.exp, _identity, bend(above=1.0)),
  )


@functools.cache
def reverse_kl() -> FDivergence:
  """Reverse Kullback-Leibler, E_q[log(q/p)]."""
  both = Variational(lambda v: -jnp.exp(-v), lambda v: v - 1.0, _identity, bend(below=1.0))
  return FDivergence(
    name="reverse_kl",
    f=lambda u: -jnp.log(u),
    f_prime=lambda u: -1.0 / u,
    perspective=lambda log_p, log_q: jnp.exp(log_q) * (log_q - log_p),
    conjugate=_below(0.0, lambda t: -1.0 - jnp.log(-t), inside=-1.0),
    bound=0.0,
    activation=both,
    log_ratio=both,
  )


def _pearson_conjugate(t: jax.Array) -> jax.Array:
  inner = jnp.maximum(t, -2.0)
  return inner * (0.25 * inner + 1.0)


@functools.cache
def pearson() -> FDivergence:
  """Pearson's chi-squared, E_q[(p/q - 1)^2]."""
  return FDivergence(
    name="pearson",
    f=lambda u: jnp.square(u - 1.0),
    f_prime=lambda u: 2.0 * (u - 1.0),
    perspective=lambda p, q: jnp.exp(q + 2.0 * jnp.maximum(p - q, 0.0)) * jnp.square(_gap(p - q)),
    conjugate=_pearson_conjugate,
    bound=math.inf,
    activation=Variational(_identity, _pearson_conjugate, lambda v: jnp.log1p(jnp.maximum(0.5 * v, -1.0))),
    log_ratio=Variational(lambda v: 2.0 * jnp.expm1(v), lambda v: jnp.expm1(2.0 * v), _identity, bend(above=2.0)),
  )


@functools.cache
def squared_hellinger() -> FDivergence:
  """Squared Hellinger, E_q[(sqrt(p/q) - 1)^2]."""
  halves = lambda v: -jnp.expm1(-0.5 * v)
  return FDivergence(
    name="squared_hellinger",
    f=lambda u: jnp.square(jnp.sqrt(u) - 1.0),
    f_prime=lambda u: 1.0 - jax.lax.rsqrt(u),
    perspective=lambda p, q: jnp.exp(jnp.maximum(p, q)) * jnp.square(_gap(0.5 * (p - q))),
    conjugate=_below(1.0, lambda t: t / (1.0 - t), inside=0.0),
    bound=1.0,
    activation=Variational(lambda v: -jnp.expm1(-v), jnp.expm1, lambda v: 2.0 * v, bend(1.0, 1.0)),
    log_ratio=Variational(halves, lambda v: jnp.expm1(0.5 * v), _identity, bend(0.5, 0.5)),
  )


@functools.cache
def jensen_shannon() -> FDivergence:
  """Twice the usual Jensen-Shannon divergence, up to 2 log 2."""
  top = math.log(2.0)
  both = Variational(lambda v: top + log_sigmoid(v), lambda v: softplus(v) - top, _identity)
  return FDivergence(
    name="jensen_shannon",
    f=lambda u: xlogy(u, u) - (u + 1.0) * (jnp.log1p(u) - top),
    f_prime=lambda u: top + jnp.log(u) - jnp.log1p(u),
    perspective=lambda p, q: jnp.exp(p) * (top + log_sigmoid(p - q)) + jnp.exp(q) * (top + log_sigmoid(q - p)),
    conjugate=_below(top, lambda t: -jnp.log(2.0 - jnp.exp(t)), inside=0.0),
    bound=top,
    activation=both,
    log_ratio=both,
  )


@functools.cache
def gan() -> FDivergence:
  """The GAN's, Jensen-Shannon less log 4: f(1) is -log 4."""
  both = Variational(log_sigmoid, softplus, _identity)
  return FDivergence(
    name="gan",
    f=lambda u: xlogy(u, u) - (u + 1.0) * jnp.log1p(u),
    f_prime=lambda u: jnp.log(u) - jnp.log1p(u),
    perspective=lambda p, q: jnp.exp(p) * log_sigmoid(p - q) + jnp.exp(q) * log_sigmoid(q - p),
    conjugate=_below(0.0, lambda t: -jnp.log(-jnp.expm1(t)), inside=-1.0),
    bound=0.0,
    activation=both,
    log_ratio=both,
  )


@functools.cache
def neyman() -> FDivergence:
  """Neyman's chi-squared, E_p[(q/p - 1)^2]."""
  squares = lambda v: -jnp.expm1(-2.0 * v)
  return FDivergence(
    name="neyman",
    f=lambda u: jnp.square(1.0 - u) / u,
    f_prime=lambda u: 1.0 - 1.0 / jnp.square(u),
    perspective=lambda p, q: jnp.exp(p + 2.0 * jnp.maximum(q - p, 0.0)) * jnp.square(_gap(p - q)),
    conjugate=_below(1.0, lambda t: 2.0 - 2.0 * jnp.sqrt(1.0 - t), inside=0.0, at_bound=2.0),
    bound=1.0,
    activation=Variational(
      lambda v: -jnp.expm1(-v), lambda v: -2.0 * jnp.expm1(-0.5 * v), lambda v: 0.5 * v, bend(below=1.0)
    ),
    log_ratio=Variational(squares, lambda v: -2.0 * jnp.expm1(-v), _identity, bend(below=2.0)),
  )


@functools.cache
def total_variation() -> FDivergence:
  """Total variation, E_q|p/q - 1| / 2, up to 1. Its T* is 1/2 where p > q and -1/2 elsewhere, and says no ratio."""
  half_tanh = lambda v: 0.5 * jnp.tanh(v)
  return FDivergence(
    name="total_variation",
    f=lambda u: 0.5 * jnp.abs(u - 1.0),
    f_prime=lambda u: 0.5 * jnp.sign(u - 1.0),
    perspective=lambda p, q: 0.5 * jnp.exp(jnp.maximum(p, q)) * _gap(p - q),
    conjugate=lambda t: jnp.where(t <= 0.5, jnp.maximum(t, -0.5), jnp.inf),
    bound=0.5,
    activation=Variational(half_tanh, half_tanh, None),
    log_ratio=None,  # f' is a step
  )


@jax.custom_jvp
def log_lambert(y: jax.Array) -> jax.Array:
  """log W(e^y), the root s of s + e^s = y; Lambert's W without its overflow, to machine precision, any shape.

  Newton's method from the right of the root of a convex function comes down to it without a step too far; the
  derivative is implicit, ds/dy = 1 / (1 + e^s).
  """

  def newton(_, s):
    return s - (s + jnp.exp(s) - y) / (1.0 + jnp.exp(s))

  return jax.lax.fori_loop(0, 12, newton, jnp.where(y > 1.0, jnp.log(jnp.maximum(y, 1.0)), y))


@log_lambert.defjvp
def _log_lambert_jvp(primals, tangents):
  s = log_lambert(*primals)
  return s, jax.nn.sigmoid(-s) * tangents[0]


def _jeffreys_conjugate(t: jax.Array) -> jax.Array:
  s = log_lambert(1.0 - t)  # u = e^-s solves f'(u) = t
  return jnp.exp(s) + jnp.exp(-s) + t - 2.0


@functools.cache
def jeffreys() -> FDivergence:
  """Jeffreys, KL and reverse KL together."""
  return FDivergence(
    name="jeffreys",
    f=lambda u: (u - 1.0) * jnp.log(u),
    f_prime=lambda u: 1.0 - 1.0 / u + jnp.log(u),
    perspective=lambda p, q: jnp.exp(jnp.maximum(p, q)) * _gap(p - q) * jnp.abs(p - q),
    conjugate=_jeffreys_conjugate,
    bound=math.inf,
    activation=Variational(_identity, _jeffreys_conjugate, lambda v: -log_lambert(1.0 - v), bend(above=1.0)),
    log_ratio=Variational(lambda v: 1.0 + v - jnp.exp(-v), lambda v: jnp.exp(v) + v - 1.0, _identity, bend(1.0, 1.0)),
  )


def weighted_jensen_shannon(pi: Number) -> FDivergence:
  """The Jensen-Shannon divergence of a mixture pi P + (1 - pi) Q: pi KL(P||M) + (1 - pi) KL(Q||M), with 0 < pi < 1.

  Raises:
    ConfigError: if pi is a number that is not between 0 and 1; a traced one is not looked at.
  """
  if not isinstance(pi, jax.Array) and not 0.0 < pi < 1.0:
    raise ConfigError(f"the weight of a Jensen-Shannon divergence lies between 0 and 1; it is {pi}")
  log_pi, log_rest = (lambda: jnp.log(pi)), (lambda: jnp.log1p(-pi))  # functions, for the precision of their caller
  top = lambda: -pi * log_pi()

  def conjugate(t):
    inside = jnp.where(t < top(), t, top() - 1.0)
    value = (1.0 - pi) * (log_rest() - jnp.log(-jnp.expm1((inside - top()) / pi)))
    return jnp.where(t < top(), value, jnp.inf)

  def log_complement(v):
    """log(1 - s^(1/pi)), s the sigmoid of v."""
    y = softplus(-v) / pi
    return _log_softplus(-v) - log_pi() + jnp.log(_slope(-y))

  t = lambda v: -pi * jnp.logaddexp(log_pi(), log_rest() - v)
  conjugate_log_ratio = lambda v: (1.0 - pi) * jnp.logaddexp(log_rest(), log_pi() + v)
  return FDivergence(
    name="weighted_jensen_shannon",
    f=lambda u: pi * xlogy(u, u) - (1.0 - pi + pi * u) * jnp.log(1.0 - pi + pi * u),
    f_prime=lambda u: pi * (jnp.log(u) - jnp.log(1.0 - pi + pi * u)),
    perspective=lambda p, q: jnp.exp(p) * t(p - q) - jnp.exp(q) * conjugate_log_ratio(p - q),
    conjugate=conjugate,
    bound=-pi * jnp.log(pi) if isinstance(pi, jax.Array) else -pi * math.log(pi),
    activation=Variational(
      lambda v: top() + log_sigmoid(v),
      lambda v: (1.0 - pi) * (log_rest() - log_complement(v)),
      lambda v: -softplus(-v) / pi - log_complement(v) + log_rest() - log_pi(),
    ),
    log_ratio=Variational(t, conjugate_log_ratio, _identity),
  )


def alpha(a: Number) -> FDivergence:
  """The alpha divergence, f(u) = (u^a - 1 - a (u - 1)) / (a (a - 1)), and its limits at a = 0 and 1, through which it
  is continuous: u - 1 - log u, reverse KL, and u log u - u + 1, KL.

  Half of Pearson at a = 2, half of Neyman at a = -1, twice the squared Hellinger distance at a = 1/2. The activation
  for a < 1 is that of table 6, 1 / (1 - a) - log(1 + e^-v), with its scores shifted so that 0 stands for the ratio 1,
  as it does for a > 1: without the shift it stands for a ratio beyond float32 where a is just below 1.
  """
  conjugate, bound, activation = _alpha_activation(a)

  def f(u):
    log_u = jnp.log(jnp.where(u > 0.0, u, 1.0))
    at_zero = jnp.where(a > 0.0, 1.0 / _select(a > 0.0, a, 1.0), jnp.inf)
    return jnp.where(u > 0.0, u * _box_cox(log_u, a - 1.0) - _box_cox(log_u, a), at_zero)

  return FDivergence(
    name="alpha",
    f=f,
    f_prime=lambda u: _box_cox(jnp.log(u), a - 1.0),
    perspective=lambda p, q: _box_cox(p - q, a - 1.0, p) - _box_cox(p - q, a, q),
    conjugate=conjugate,
    bound=bound,
    activation=activation,
    log_ratio=Variational(
      lambda v: _box_cox(v, a - 1.0),
      lambda v: _box_cox(v, a),
      _identity,
      bend(_select(a < 1.0, 1.0 - a, 0.0), _select(a > 0.0, a, 0.0)),
    ),
  )


def _alpha_activation(a: Number) -> tuple[Function, Number, Variational]:
  """f*, the end of its domain, and the shifted activation of table 6."""
  rest = _select(a < 1.0, 1.0 - a, 1.0)  # 1 - a where the domain of f* ends, at 1 / (1 - a)
  bound = _select(a < 1.0, 1.0 / rest, math.inf)
  end = _select(a < 1.0, bound, 0.0)
  shift = lambda: jnp.log1p(-jnp.exp(-1.0 * jnp.asarray(bound)))  # log(e^bound - 1) - bound

  def activation(v):
    """bound - softplus(bound + shift - v), which is v for a >= 1."""
    return -jnp.logaddexp(-1.0 * jnp.asarray(bound), shift() - v)

  def log_distance(v):
    """log(bound - activation(v)), for a < 1."""
    return _log_softplus(end + shift() - v)

  def log_ratio_of(t, log_distance):
    """log u where f'(u) = t, -inf below f'(0+), and anything for t beyond the bound."""
    y = (a - 1.0) * t
    near = t * _log_slope(jnp.where(y > -1.0, y, 0.0))
    far = -(jnp.log(rest) + log_distance) / rest
    return jnp.where((y < -0.5) & (a < 1.0), far, near), (y <= -1.0) & (a > 1.0)

  def conjugate_of(t, log_distance):
    log_u, below = log_ratio_of(t, log_distance)
    return jnp.where(below, -1.0 / _select(a > 1.0, a, 1.0), _box_cox(log_u, a))

  def conjugate(t):
    inside = jnp.where(t < bound, t, 0.0)
    value = conjugate_of(inside, jnp.log(_select(a < 1.0, bound, 1.0 + jnp.abs(inside)) - inside))
    at_bound = jnp.where(a < 0.0, -1.0 / _select(a < 0.0, a, -1.0), jnp.inf)
    return jnp.where(t < bound, value, jnp.where(t > bound, jnp.inf, at_bound))

  def log_ratio(v):
    log_u, below = log_ratio_of(activation(v), log_distance(v))
    return jnp.where(below, -jnp.inf, log_u)

  def bend_activation(v):
    """Where f* = e^60: a log u = 60, and with it T and v."""
    positive = _select(a > 0.0, a, 1.0)
    log_w = (a - 1.0) * _LARGEST / positive  # of 1 + (a - 1) T
    log_s = log_w - jnp.log(rest)  # of bound - T
    s = jnp.exp(log_s)
    limit = jnp.where(
      a < 1.0, end + shift() - (s + log_s + jnp.log(_slope(-s))), _box_cox(_LARGEST / positive, a - 1.0)
    )
    rate = positive * jnp.where(a < 1.0, _slope(-s) / rest, jnp.exp(-log_w))  # of log f* there
    return _tangent(v, jnp.where(a > 0.0, limit, jnp.inf), rate)

  value = lambda v: conjugate_of(activation(v), log_distance(v))
  return conjugate, bound, Variational(activation, value, log_ratio, bend_activation)


def _box_cox(log_u: Any, c: Number, log_scale: Any = 0.0) -> jax.Array:
  """e^log_scale (u^c - 1) / c, and e^log_scale log u for c = 0: the transform of Box and Cox."""
  x = c * log_u
  return log_u * jnp.exp(log_scale + jnp.maximum(x, 0.0)) * _slope(-jnp.abs(x))


def _slope(x: Any) -> jax.Array:
  """(e^x - 1) / x, and 1 at 0."""
  flat = jnp.abs(x) < 1e-15  # where the derivative's x^2 would vanish in float32
  safe = jnp.where(flat, 1.0, x)
  return jnp.where(flat, 1.0, jnp.expm1(safe) / safe)


def _log_slope(y: Any) -> jax.Array:
  """log(1 + y) / y, and 1 at 0."""
  flat = jnp.abs(y) < 1e-15
  safe = jnp.where(flat, 1.0, y)
  return jnp.where(flat, 1.0, jnp.log1p(safe) / safe)


def _log_softplus(x: jax.Array) -> jax.Array:
  """log log(1 + e^x), which is x where e^x vanishes."""
  return jnp.where(x > -40.0, jnp.log(softplus(jnp.maximum(x, -40.0))), x)


def _select(condition: Any, yes: Any, no: Any) -> Any:
  """`jnp.where`; a number that is not traced stays one, for the precision of whoever uses it."""
  return jnp.where(condition, yes, no) if isinstance(condition, jax.Array) else (yes if condition else no)


def from_perspective(
  perspective: Callable[[jax.Array, jax.Array], jax.Array],
  name: str = "custom",
  bound: float = math.inf,
  rates: tuple[float, float] = (2.0, 2.0),
) -> FDivergence:
  """Builds a divergence from q f(p/q) alone, for one that has no closed forms.

  T = f'(p/q) and -f*(T) are its derivatives in p and in q, by `jax.grad`. It is a function of log p and log q,
  elementwise, and not f(u), because u f'(u) - f(u) of an f(u) cancels where u is large: in float32 nothing is left of
  it beyond u = e^16. f*(t) is read off at the root of f'(u) = t, found by bisection of log u in [-60, 60]; its
  derivative is u, and u's is implicit. The activation is the log ratio.

  Args:
    perspective: (log p, log q) -> q f(p/q), smooth, of a convex f with f(1) = 0; best as a sum of what is large where
      p is and what is large where q is. Pearson's is `lambda p, q: exp(2 * p - q) - 2 * exp(p) + exp(q)`.
    name: what to call it.
    bound: where the domain of f* ends, the limit of f'(u) for large u.
    rates: as `bend` takes them, of f'(e^v) and f*(f'(e^v)).
  """
  zero = jnp.zeros_like
  slope = lambda place: jax.grad(lambda *logs: jnp.sum(perspective(*logs)), place)
  t = lambda v: slope(0)(zero(v), -v)  # where p = 1
  conjugate_log_ratio = lambda v: -slope(1)(v, zero(v))  # where q = 1
  root = _inverse(t)

  @jax.custom_jvp
  def conjugate(t):
    return conjugate_log_ratio(root(t))

  @conjugate.defjvp
  def _(primals, tangents):
    return conjugate(*primals), jnp.exp(root(*primals)) * tangents[0]

  variational = Variational(t, conjugate_log_ratio, _identity, bend(*rates))
  return FDivergence(
    name=name,
    f=lambda u: perspective(jnp.log(u), zero(u)),
    f_prime=lambda u: t(jnp.log(u)),
    perspective=perspective,
    conjugate=conjugate if math.isinf(bound) else _below(bound, conjugate, inside=bound - 1.0),
    bound=bound,
    activation=variational,
    log_ratio=variational,
  )


def _inverse(increasing: Function) -> Function:
  """t -> the root v of increasing(v) = t, by bisection in [-60, 60]."""

  @jax.custom_jvp
  def root(t):
    def halve(_, bracket):
      low, high = bracket
      middle = 0.5 * (low + high)
      below = increasing(middle) < t
      return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, 60, halve, (jnp.full_like(t, -60.0), jnp.full_like(t, 60.0)))
    return 0.5 * (low + high)

  @root.defjvp
  def _(primals, tangents):
    v = root(*primals)
    return v, tangents[0] / jax.grad(lambda v: jnp.sum(increasing(v)))(v)

  return root


def density_ratio(divergence: FDivergence, scores: jax.Array, parametrisation: str = "activation") -> jax.Array:
  """What a variational function takes p/q for, (f*)'(T) at T of raw scores; any shape, the same comes back.

  Raises:
    ConfigError: if T does not say it (total variation).

  Examples:
    >>> import jax.numpy as jnp
    >>> density_ratio(kl(), jnp.log(jnp.array([1.0, 2.0])), "log_ratio").round(4).tolist()
    [1.0, 2.0]
  """
  return jnp.exp(_log_density_ratio(divergence, scores, parametrisation))


def _log_density_ratio(divergence: FDivergence, scores: jax.Array, parametrisation: str) -> jax.Array:
  variational = divergence.variational(parametrisation)
  if variational.log_ratio is None:
    raise ConfigError(f"the variational function of {divergence.name} says where p > q, and not what p/q is")
  return variational.log_ratio(variational.bend(scores))


def primal(divergence: FDivergence, fake: jax.Array, parametrisation: str = "activation") -> jax.Array:
  """E_q[f(p/q)] with the ratio read off the scores [B] of samples of q: an estimate of D_f without its conjugate, in
  nats.

  It equals the dual at the optimum, and is no bound elsewhere. It is a measure, not a generator's loss: how q's samples
  move D_f is said by -f*(T), which is not the gradient of f(p/q).

  Raises:
    ConfigError: if T does not say the ratio (total variation).
  """
  chex.assert_rank(fake, 1)
  log_u = jnp.maximum(_log_density_ratio(divergence, fake, parametrisation), -1e3)  # f(0) as at e^-1000
  return jnp.mean(divergence.perspective(log_u, jnp.zeros_like(log_u)))


def integrate(divergence: FDivergence, log_p: jax.Array, log_q: jax.Array, x: jax.Array) -> jax.Array:
  """D_f(P||Q) of known densities on the line, by the trapezoid rule, in nats.

  It is inf where D_f is, where its integrand overflows, and where x is too narrow for it: where at an end of x the
  integrand still has a millionth of its largest value. Where one density is 0 the integrand is its limit: q f(0), or
  p times the limit of f(u) / u.

  Args:
    divergence: which f.
    log_p: log density of P at x, [N].
    log_q: log density of Q at x, [N].
    x: increasing, [N].
  """
  chex.assert_rank([log_p, log_q, x], 1)
  y = _perspective(divergence, log_p, log_q)
  y = jnp.where(jnp.isfinite(y), y, jnp.inf)
  ends = jnp.maximum(jnp.abs(y[0]), jnp.abs(y[-1]))
  return jnp.where(ends <= 1e-6 * jnp.max(jnp.abs(y)), jnp.trapezoid(y, x), jnp.inf)


def _perspective(divergence, log_p, log_q):
  """q f(p/q), at densities of 0 too: what it tends to there, by two steps towards it, or inf."""
  p_zero, q_zero = jnp.isneginf(log_p), jnp.isneginf(log_q)
  either, both = p_zero | q_zero, p_zero & q_zero

  def below(nats):  # a density of 0 is taken for one so much below the other
    p, q = (jnp.where(both, 0.0, log) for log in (log_p, log_q))
    return divergence.perspective(jnp.where(p_zero & ~both, q - nats, p), jnp.where(q_zero & ~both, p - nats, q))

  near, y = below(200.0), below(400.0)
  moves = jnp.abs(y - near) > 1e-6 * (jnp.abs(y) + jnp.exp(jnp.maximum(log_p, log_q)))
  return jnp.where(both, 0.0, jnp.where(either & moves, jnp.inf, y))


def integrate_bound(
  divergence: FDivergence,
  scores: jax.Array,
  log_p: jax.Array,
  log_q: jax.Array,
  x: jax.Array,
  data_first: bool = True,
  parametrisation: str = "activation",
) -> jax.Array:
  """The lower bound of D_f that a variational function gives between known densities on the line, in nats.

  Args:
    divergence: which f.
    scores: of the variational function at x, raw, [N].
    log_p: log density of the data at x, [N].
    log_q: log density of the generator at x, [N].
    x: increasing, [N].
    data_first: D_f(P||Q); otherwise D_f(Q||P).
    parametrisation: as in `fgan`.
  """
  chex.assert_rank([scores, log_p, log_q, x], 1)
  variational = divergence.variational(parametrisation)
  first, second = (log_p, log_q) if data_first else (log_q, log_p)
  v = variational.bend(scores)
  return jnp.trapezoid(jnp.exp(first) * variational.t(v) - jnp.exp(second) * variational.conjugate(v), x)


def fgan(
  divergence: FDivergence, data_first: bool = True, generator_step: str = "minimax", parametrisation: str = "activation"
) -> AdversarialLoss:
  """The f-GAN pair of losses; minus the discriminator's loss is a lower bound of the divergence.

  Args:
    divergence: which f.
    data_first: D_f(P_data||P_G), eq. 6; otherwise D_f(P_G||P_data), in which the generator minimises E[g_f(V(G(z)))].
    generator_step: "minimax" descends the bound itself; "alternative" is their section 3.2, which starts faster and has
      another fixed point: the generator maximises E[g_f(V(G(z)))] rather than E[f*(g_f(V(G(z))))]. With the data
      second it minimises E[f*(g_f(V(G(z))))] rather than E[g_f(V(G(z)))].
    parametrisation: how a score becomes T, "activation" (their table 6) or "log_ratio".

  Raises:
    ConfigError: if `generator_step` or `parametrisation` is none of these, or the log ratio has no gradient (total
      variation).

  Examples:
    >>> import jax.numpy as jnp
    >>> loss = fgan(pearson())  # T = v and f*(T) = T^2 / 4 + T
    >>> float(loss.discriminator(jnp.array([2.0]), jnp.array([1.0])))  # -(2 - (1 / 4 + 1))
    -0.75
  """
  if generator_step not in ("minimax", "alternative"):
    raise ConfigError(f"generator_step is 'minimax' or 'alternative', not {generator_step!r}")
  variational = divergence.variational(parametrisation)

  def first_term(scores):  # E[T] over the first distribution of D_f(first||second)
    return jnp.mean(variational.t(variational.bend(scores)))

  def second_term(scores):  # E[f*(T)] over the second
    return jnp.mean(variational.conjugate(variational.bend(scores)))

  def discriminator_loss(real, fake):
    chex.assert_equal_shape([real, fake])
    first, second = (real, fake) if data_first else (fake, real)
    return second_term(second) - first_term(first)

  def generator_loss(fake, real):
    chex.assert_equal_shape([fake, real])
    as_second = data_first == (generator_step == "minimax")
    value = second_term(fake) if as_second else first_term(fake)
    return -value if data_first else value

  return AdversarialLoss(discriminator_loss, generator_loss)
