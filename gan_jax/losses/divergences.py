"""f-divergences and the adversarial losses that they make, after Nowozin et al. 2016 (f-GAN).

D_f(P||Q) = E_q[f(p/q)] for a convex f with f(1) = 0. Its variational form (their eq. 4) is the largest value over functions
T of E_p[T(x)] - E_q[f*(T(x))], where f*(t) = sup over u >= 0 of u t - f(u); the largest value is reached at T* = f'(p/q)
(their eq. 5). A network's raw score v becomes T through an output activation that keeps it in the domain of f*.

Two such activations are at hand. `activation` is g_f of their table 6. `log_ratio` reads v as log(p/q), so T = f'(e^v): then
f*(T) = e^v f'(e^v) - f(e^v), and every divergence has its optimum at the same v.

Normalisation is that of their tables 1 and 6: the Jensen-Shannon divergence is twice the usual one, and GAN's f(1) is
-log 4. Where f'(0+) is finite the table's closed form of f* goes on below it; the exact conjugate is the constant -f(0)
there, and that is what `conjugate` gives (among these, for Pearson below -2). Values are in nats.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid, softplus
from jax.scipy.special import xlogy

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
    log_ratio: v -> T = f'(e^v).
    conjugate_log_ratio: v -> f*(f'(e^v)).
  """

  name: str
  f: Function
  f_prime: Function
  conjugate: Function
  bound: float
  activation: Function
  conjugate_activation: Function
  log_ratio: Function
  conjugate_log_ratio: Function


def _below(bound: float, conjugate: Function, inside: float) -> Function:
  """f* as `conjugate` below `bound` and infinite from there on; `inside` is any point of the domain, for safe gradients."""

  def exact(t: jax.Array) -> jax.Array:
    return jnp.where(t < bound, conjugate(jnp.where(t < bound, t, inside)), jnp.inf)

  return exact


KL = FDivergence(
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

REVERSE_KL = FDivergence(
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


PEARSON = FDivergence(
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

SQUARED_HELLINGER = FDivergence(
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

JENSEN_SHANNON = FDivergence(
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

GAN = FDivergence(
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

DIVERGENCES = {d.name: d for d in (KL, REVERSE_KL, PEARSON, SQUARED_HELLINGER, JENSEN_SHANNON, GAN)}


def fgan(
  divergence: FDivergence, data_first: bool = True, generator: str = "minimax", parametrisation: str = "activation"
) -> AdversarialLoss:
  """The f-GAN pair of losses; minus the discriminator's loss is a lower bound of the divergence.

  Scores beyond +-30 enter as +-(30 + log(1 + excess)), so that the exponentials in f* stay finite in float32 for any
  score. Since any T in the domain of f* gives a lower bound, the bound remains one.

  Args:
    divergence: which f.
    data_first: D_f(P_data||P_G), eq. 6; otherwise D_f(P_G||P_data), the orientation of the VDM algorithm, in which the
      generator minimises E[g_f(V(G(z)))].
    generator: "minimax" descends the bound itself; "alternative" is their section 3.2, which starts faster and has
      another fixed point: the generator maximises E[g_f(V(G(z)))] rather than E[f*(g_f(V(G(z))))]. With the data
      second it minimises E[f*(g_f(V(G(z))))] rather than E[g_f(V(G(z)))].
    parametrisation: how a score becomes T, "activation" (their table 6) or "log_ratio".

  Raises:
    ValueError: if `generator` or `parametrisation` is none of these.
  """
  if generator not in ("minimax", "alternative"):
    raise ValueError(f"generator is 'minimax' or 'alternative', not {generator!r}")
  if parametrisation not in ("activation", "log_ratio"):
    raise ValueError(f"parametrisation is 'activation' or 'log_ratio', not {parametrisation!r}")
  paper = parametrisation == "activation"
  activation = divergence.activation if paper else divergence.log_ratio
  conjugate = divergence.conjugate_activation if paper else divergence.conjugate_log_ratio

  def first_term(scores):  # E[T] over the first distribution of D_f(first||second)
    return jnp.mean(activation(_bent(scores)))

  def second_term(scores):  # E[f*(T)] over the second
    return jnp.mean(conjugate(_bent(scores)))

  def discriminator_loss(real, fake):
    chex.assert_rank([real, fake], 1)
    first, second = (real, fake) if data_first else (fake, real)
    return second_term(second) - first_term(first)

  def generator_loss(fake, real):
    chex.assert_rank([fake, real], 1)
    as_second = data_first == (generator == "minimax")
    value = second_term(fake) if as_second else first_term(fake)
    return -value if data_first else value

  return AdversarialLoss(discriminator_loss, generator_loss)


def _bent(v: jax.Array, limit: float = 30.0) -> jax.Array:
  """The identity on [-limit, limit], growing like a logarithm beyond; smooth to first order, strictly increasing."""
  inside = jnp.clip(v, -limit, limit)
  return inside + jnp.sign(v) * jnp.log1p(jnp.abs(v - inside))
