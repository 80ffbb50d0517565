"""f-divergences and the adversarial losses that they make, after Nowozin et al. 2016 (f-GAN).

D_f(P||Q) = E_q[f(p/q)] for a convex f with f(1) = 0. Its variational form (their eq. 4) is the largest value over
functions T of E_p[T(x)] - E_q[f*(T(x))], where f*(t) = sup over u >= 0 of u t - f(u); the largest value is reached at
T* = f'(p/q) (their eq. 5). A network's raw score v becomes T through an output activation that keeps it in the domain
of f*.

Two such activations are at hand. `activation` is g_f of their table 6. `log_ratio` reads v as log(p/q), so T =
f'(e^v): then f*(T) = e^v f'(e^v) - f(e^v), and every divergence has its optimum at the same v.

Normalisation is that of their tables 1 and 6: the Jensen-Shannon divergence is twice the usual one, and GAN's f(1) is
-log 4. Where f'(0+) is finite the table's closed form of f* goes on below it; the exact conjugate is the constant -f(0)
there, and that is what `conjugate` gives: for Pearson below -2, total variation below -1/2, alpha > 1 below -1/(alpha
- 1). Values are in nats.

D_f(P||Q) with the data second is the divergence of `swapped(f)`, u f(1/u), with the data first.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid, softplus
from jax.scipy.special import xlogy

from gan_jax.errors import ConfigError
from gan_jax.losses.adversarial import AdversarialLoss

Function = Callable[[jax.Array], jax.Array]


class FDivergence(NamedTuple):
  """A divergence D_f, and two ways to write its variational function in a raw score v. All functions are elementwise.

  Attributes:
    name: as configs spell it.
    f: the generator function, on u >= 0.
    f_prime: its derivative, on u > 0.
    conjugate: f*, exact on all of the real line: infinite above its domain, -f(0) below f'(0+).
    bound: where the domain of f* ends; above it f* is infinite.
    activation: v -> T = g_f(v), their table 6.
    conjugate_activation: v -> f*(g_f(v)), in one piece, because taking it in two overflows.
    log_ratio: v -> T = f'(e^v); None where that has no gradient.
    conjugate_log_ratio: v -> f*(f'(e^v)).
    growth: the largest c for which a function of v above grows like e^(c |v|).
  """

  name: str
  f: Function
  f_prime: Function
  conjugate: Function
  bound: float
  activation: Function
  conjugate_activation: Function
  log_ratio: Function | None
  conjugate_log_ratio: Function | None
  growth: float = 2.0


def _below(bound: float, conjugate: Function, inside: float) -> Function:
  """f* as `conjugate` below `bound` and infinite from there on; `inside` is any point of the domain, for safe
  gradients."""

  def exact(t: jax.Array) -> jax.Array:
    return jnp.where(t < bound, conjugate(jnp.where(t < bound, t, inside)), jnp.inf)

  return exact


@functools.cache
def kl() -> FDivergence:
  """Kullback-Leibler, E_p[log(p/q)]."""
  return FDivergence(
    name="kl",
    f=lambda u: xlogy(u, u),
    f_prime=lambda u: 1.0 + jnp.log(u),
    conjugate=lambda t: jnp.exp(t - 1.0),
    bound=math.inf,
    activation=lambda v: v,
    conjugate_activation=lambda v: jnp.exp(v - 1.0),
    log_ratio=lambda v: 1.0 + v,
    conjugate_log_ratio=jnp.exp,
  )


@functools.cache
def reverse_kl() -> FDivergence:
  """Reverse Kullback-Leibler, E_q[log(q/p)]."""
  return FDivergence(
    name="reverse_kl",
    f=lambda u: -jnp.log(u),
    f_prime=lambda u: -1.0 / u,
    conjugate=_below(0.0, lambda t: -1.0 - jnp.log(-t), inside=-1.0),
    bound=0.0,
    activation=lambda v: -jnp.exp(-v),
    conjugate_activation=lambda v: v - 1.0,
    log_ratio=lambda v: -jnp.exp(-v),
    conjugate_log_ratio=lambda v: v - 1.0,
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
    conjugate=_pearson_conjugate,
    bound=math.inf,
    activation=lambda v: v,
    conjugate_activation=_pearson_conjugate,
    log_ratio=lambda v: 2.0 * jnp.expm1(v),
    conjugate_log_ratio=lambda v: jnp.expm1(2.0 * v),
  )


@functools.cache
def squared_hellinger() -> FDivergence:
  """Squared Hellinger, E_q[(sqrt(p/q) - 1)^2]."""
  return FDivergence(
    name="squared_hellinger",
    f=lambda u: jnp.square(jnp.sqrt(u) - 1.0),
    f_prime=lambda u: 1.0 - jax.lax.rsqrt(u),
    conjugate=_below(1.0, lambda t: t / (1.0 - t), inside=0.0),
    bound=1.0,
    activation=lambda v: -jnp.expm1(-v),
    conjugate_activation=jnp.expm1,
    log_ratio=lambda v: -jnp.expm1(-0.5 * v),
    conjugate_log_ratio=lambda v: jnp.expm1(0.5 * v),
  )


@functools.cache
def jensen_shannon() -> FDivergence:
  """Twice the usual Jensen-Shannon divergence, up to 2 log 2."""
  return FDivergence(
    name="jensen_shannon",
    f=lambda u: xlogy(u, u) - (u + 1.0) * (jnp.log1p(u) - math.log(2.0)),
    f_prime=lambda u: math.log(2.0) + jnp.log(u) - jnp.log1p(u),
    conjugate=_below(math.log(2.0), lambda t: -jnp.log(2.0 - jnp.exp(t)), inside=0.0),
    bound=math.log(2.0),
    activation=lambda v: math.log(2.0) + log_sigmoid(v),
    conjugate_activation=lambda v: softplus(v) - math.log(2.0),
    log_ratio=lambda v: math.log(2.0) + log_sigmoid(v),
    conjugate_log_ratio=lambda v: softplus(v) - math.log(2.0),
  )


@functools.cache
def gan() -> FDivergence:
  """The GAN's, Jensen-Shannon less log 4: f(1) is -log 4."""
  return FDivergence(
    name="gan",
    f=lambda u: xlogy(u, u) - (u + 1.0) * jnp.log1p(u),
    f_prime=lambda u: jnp.log(u) - jnp.log1p(u),
    conjugate=_below(0.0, lambda t: -jnp.log(-jnp.expm1(t)), inside=-1.0),
    bound=0.0,
    activation=log_sigmoid,
    conjugate_activation=softplus,
    log_ratio=log_sigmoid,
    conjugate_log_ratio=softplus,
  )


@functools.cache
def neyman() -> FDivergence:
  """Neyman's chi-squared, E_p[(q/p - 1)^2]."""
  return FDivergence(
    name="neyman",
    f=lambda u: jnp.square(1.0 - u) / u,
    f_prime=lambda u: 1.0 - 1.0 / jnp.square(u),
    conjugate=_below(1.0, lambda t: 2.0 - 2.0 * jnp.sqrt(1.0 - t), inside=0.0),
    bound=1.0,
    activation=lambda v: -jnp.expm1(-v),
    conjugate_activation=lambda v: -2.0 * jnp.expm1(-0.5 * v),
    log_ratio=lambda v: -jnp.expm1(-2.0 * v),
    conjugate_log_ratio=lambda v: -2.0 * jnp.expm1(-v),
  )


@functools.cache
def total_variation() -> FDivergence:
  """Total variation, E_q|p/q - 1| / 2, up to 1."""
  return FDivergence(
    name="total_variation",
    f=lambda u: 0.5 * jnp.abs(u - 1.0),
    f_prime=lambda u: 0.5 * jnp.sign(u - 1.0),
    conjugate=lambda t: jnp.where(t <= 0.5, jnp.maximum(t, -0.5), jnp.inf),
    bound=0.5,
    activation=lambda v: 0.5 * jnp.tanh(v),
    conjugate_activation=lambda v: 0.5 * jnp.tanh(v),
    log_ratio=None,  # f' is a step
    conjugate_log_ratio=None,
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
    conjugate=_jeffreys_conjugate,
    bound=math.inf,
    activation=lambda v: v,
    conjugate_activation=_jeffreys_conjugate,
    log_ratio=lambda v: 1.0 + v - jnp.exp(-v),
    conjugate_log_ratio=lambda v: jnp.exp(v) + v - 1.0,
  )


def weighted_jensen_shannon(pi: float) -> FDivergence:
  """The Jensen-Shannon divergence of a mixture pi P + (1 - pi) Q: pi KL(P||M) + (1 - pi) KL(Q||M), with 0 < pi < 1.

  Raises:
    ConfigError: if pi is not between 0 and 1.
  """
  if not 0.0 < pi < 1.0:
    raise ConfigError(f"the weight of a Jensen-Shannon divergence lies between 0 and 1; it is {pi}")
  top, log_pi, log_rest = -pi * math.log(pi), math.log(pi), math.log1p(-pi)

  def conjugate_below(t):
    return (1.0 - pi) * (log_rest - jnp.log(-jnp.expm1((t - top) / pi)))

  return FDivergence(
    name=f"weighted_jensen_shannon({pi:g})",
    f=lambda u: pi * xlogy(u, u) - (1.0 - pi + pi * u) * jnp.log(1.0 - pi + pi * u),
    f_prime=lambda u: pi * (jnp.log(u) - jnp.log(1.0 - pi + pi * u)),
    conjugate=_below(top, conjugate_below, inside=top - 1.0),
    bound=top,
    activation=lambda v: top + log_sigmoid(v),
    conjugate_activation=lambda v: (1.0 - pi) * (log_rest - jnp.log(-jnp.expm1(log_sigmoid(v) / pi))),
    log_ratio=lambda v: -pi * jnp.logaddexp(log_pi, log_rest - v),
    conjugate_log_ratio=lambda v: (1.0 - pi) * jnp.logaddexp(log_rest, log_pi + v),
  )


def alpha(a: float) -> FDivergence:
  """The alpha divergence, f(u) = (u^a - 1 - a (u - 1)) / (a (a - 1)); a is neither 0 nor 1, which are reverse KL and
  KL.

  Half of Pearson at a = 2, half of Neyman at a = -1, twice the squared Hellinger distance at a = 1/2.

  Raises:
    ConfigError: if a is 0 or 1.
  """
  if a in (0.0, 1.0):
    raise ConfigError(f"alpha = {a:g} is a limit: take {'kl' if a == 1.0 else 'reverse_kl'}")
  bound = 1.0 / (1.0 - a) if a < 1.0 else math.inf

  def conjugate_below(t):
    return (jnp.power(jnp.maximum((a - 1.0) * t + 1.0, 0.0), a / (a - 1.0)) - 1.0) / a

  def conjugate_of_score(v):
    return (jnp.exp(a / (a - 1.0) * jnp.log((1.0 - a) * softplus(-v))) - 1.0) / a

  return FDivergence(
    name=f"alpha({a:g})",
    f=lambda u: (jnp.power(u, a) - 1.0 - a * (u - 1.0)) / (a * (a - 1.0)),
    f_prime=lambda u: (jnp.power(u, a - 1.0) - 1.0) / (a - 1.0),
    conjugate=_below(bound, conjugate_below, inside=bound - 1.0) if a < 1.0 else conjugate_below,
    bound=bound,
    activation=(lambda v: bound + log_sigmoid(v)) if a < 1.0 else (lambda v: v),
    conjugate_activation=conjugate_of_score if a < 1.0 else conjugate_below,
    log_ratio=lambda v: jnp.expm1((a - 1.0) * v) / (a - 1.0),
    conjugate_log_ratio=lambda v: jnp.expm1(a * v) / a,
    growth=max(2.0, abs(a), abs(a - 1.0), abs(a / (a - 1.0)) if a < 1.0 else 0.0),
  )


def from_generator(f: Function, name: str = "custom", bound: float = math.inf, growth: float = 2.0) -> FDivergence:
  """Builds a divergence from f alone, for one that has no closed forms.

  f' is `jax.grad` of f. f*(t) = u t - f(u) at the root u of f'(u) = t, found by bisection of log u in [-60, 60]; its
  derivative is u, and u's is 1 / f''(u), both implicit. The activation is the identity, or bound - softplus(-v).

  Args:
    f: convex, elementwise on u > 0, twice differentiable, f(1) = 0.
    name: what to call it.
    bound: where the domain of f* ends, the limit of f'(u) for large u.
    growth: as in `FDivergence`, of f'(e^v) and f(e^v).
  """
  f_prime = _elementwise_gradient(f)
  root = _inverse(f_prime)

  @jax.custom_jvp
  def conjugate(t):
    u = root(t)
    return u * t - f(u)

  @conjugate.defjvp
  def _(primals, tangents):
    return conjugate(*primals), root(*primals) * tangents[0]

  def log_ratio(v):
    return f_prime(jnp.exp(v))

  def conjugate_log_ratio(v):
    u = jnp.exp(v)
    return u * f_prime(u) - f(u)

  def activation(v):
    return v if math.isinf(bound) else bound - softplus(-v)

  return FDivergence(
    name=name,
    f=f,
    f_prime=f_prime,
    conjugate=conjugate if math.isinf(bound) else _below(bound, conjugate, inside=bound - 1.0),
    bound=bound,
    activation=activation,
    conjugate_activation=lambda v: conjugate(activation(v)),
    log_ratio=log_ratio,
    conjugate_log_ratio=conjugate_log_ratio,
    growth=growth,
  )


def _inverse(f_prime: Function) -> Function:
  """t -> the root u of f'(u) = t, by bisection of log u in [-60, 60]."""

  @jax.custom_jvp
  def root(t):
    def halve(_, bracket):
      low, high = bracket
      middle = 0.5 * (low + high)
      below = f_prime(jnp.exp(middle)) < t
      return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, 60, halve, (jnp.full_like(t, -60.0), jnp.full_like(t, 60.0)))
    return jnp.exp(0.5 * (low + high))

  @root.defjvp
  def _(primals, tangents):
    u = root(*primals)
    return u, tangents[0] / _elementwise_gradient(f_prime)(u)

  return root


def _elementwise_gradient(f: Function) -> Function:
  return lambda u: jax.grad(lambda w: jnp.sum(f(w)))(u)


def swapped(f: Function) -> Function:
  """u f(1/u), the generator of the divergence with its arguments exchanged: D_f(P||Q) = D_swapped(Q||P)."""
  return lambda u: u * f(1.0 / u)


def density_ratio(divergence: FDivergence, scores: jax.Array, parametrisation: str = "activation") -> jax.Array:
  """What a variational function takes p/q for, (f*)'(T) at T of raw scores; any shape, the same comes back."""
  if parametrisation == "log_ratio":
    return jnp.exp(_soft_clip(scores, divergence.growth))
  t = divergence.activation(_soft_clip(scores, divergence.growth))
  return _elementwise_gradient(divergence.conjugate)(t)


def primal(divergence: FDivergence, fake: jax.Array, parametrisation: str = "activation") -> jax.Array:
  """E_q[f(p/q)] with the ratio read off the scores [B] of samples of q: an estimate of D_f without its conjugate, in
  nats.

  It equals the dual at the optimum, and is no bound elsewhere. It is a measure, not a generator's loss: how q's samples
  move D_f is said by -f*(T), which is not the gradient of f(p/q).
  """
  chex.assert_rank(fake, 1)
  return jnp.mean(divergence.f(density_ratio(divergence, fake, parametrisation)))


def integrate(divergence: FDivergence, log_p: jax.Array, log_q: jax.Array, x: jax.Array) -> jax.Array:
  """D_f(P||Q) of known densities on the line, by the trapezoid rule, in nats.

  Args:
    divergence: which f.
    log_p: log density of P at x, [N].
    log_q: log density of Q at x, [N].
    x: increasing, [N]; wide enough to hold both.
  """
  chex.assert_rank([log_p, log_q, x], 1)
  v = jnp.clip(log_p - log_q, -40.0, 40.0)
  q = jnp.exp(jnp.maximum(log_q, log_p - 40.0))  # where q has vanished before p, u f(1/u) has come near its limit
  return jnp.trapezoid(q * divergence.f(jnp.exp(v)), x)


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
  paper = parametrisation == "activation"
  first, second = (log_p, log_q) if data_first else (log_q, log_p)
  v = _soft_clip(scores, divergence.growth)
  t = (divergence.activation if paper else divergence.log_ratio)(v)  # pyright: ignore[reportOptionalCall]
  conjugate = (divergence.conjugate_activation if paper else divergence.conjugate_log_ratio)(v)  # pyright: ignore[reportOptionalCall]
  return jnp.trapezoid(jnp.exp(first) * t - jnp.exp(second) * conjugate, x)


def fgan(
  divergence: FDivergence, data_first: bool = True, generator_step: str = "minimax", parametrisation: str = "activation"
) -> AdversarialLoss:
  """The f-GAN pair of losses; minus the discriminator's loss is a lower bound of the divergence.

  Scores beyond +-limit, 60 / growth (30 for most), enter as +-(limit + log(1 + excess)), so that the exponentials in f*
  stay finite in float32 for any score. Since any T in the domain of f* gives a lower bound, the bound remains one.

  Args:
    divergence: which f.
    data_first: D_f(P_data||P_G), eq. 6; otherwise D_f(P_G||P_data), the orientation of the VDM algorithm, in which the
      generator minimises E[g_f(V(G(z)))].
    generator_step: "minimax" descends the bound itself; "alternative" is their section 3.2, which starts faster and has
      another fixed point: the generator maximises E[g_f(V(G(z)))] rather than E[f*(g_f(V(G(z))))]. With the data
      second it minimises E[f*(g_f(V(G(z))))] rather than E[g_f(V(G(z)))].
    parametrisation: how a score becomes T, "activation" (their table 6) or "log_ratio".

  Raises:
    ConfigError: if `generator_step` or `parametrisation` is none of these, or the log ratio has no gradient (total
      variation).
  """
  if generator_step not in ("minimax", "alternative"):
    raise ConfigError(f"generator_step is 'minimax' or 'alternative', not {generator_step!r}")
  if parametrisation not in ("activation", "log_ratio"):
    raise ConfigError(f"parametrisation is 'activation' or 'log_ratio', not {parametrisation!r}")
  paper = parametrisation == "activation"
  if not paper and divergence.log_ratio is None:
    raise ConfigError(f"f' of {divergence.name} is a step, so its log_ratio has no gradient; take 'activation'")
  activation = divergence.activation if paper else divergence.log_ratio
  conjugate = divergence.conjugate_activation if paper else divergence.conjugate_log_ratio

  def first_term(scores):  # E[T] over the first distribution of D_f(first||second)
    return jnp.mean(activation(_soft_clip(scores, divergence.growth)))  # pyright: ignore[reportOptionalCall]

  def second_term(scores):  # E[f*(T)] over the second
    return jnp.mean(conjugate(_soft_clip(scores, divergence.growth)))  # pyright: ignore[reportOptionalCall]

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


def _soft_clip(v: jax.Array, growth: float) -> jax.Array:
  """The identity on [-limit, limit], growing like a logarithm beyond; smooth to first order, strictly increasing."""
  limit = 60.0 / growth
  inside = jnp.clip(v, -limit, limit)
  return inside + jnp.sign(v) * jnp.log1p(jnp.abs(v - inside))
