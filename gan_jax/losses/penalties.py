"""Penalties on the gradient of a score with respect to its input.

Each is `(critic, real, fake, key) -> scalar`, without any weight; what it does not need it leaves alone. In
`critic: x [B, ...] -> scores [B]` a score depends on its own sample alone (no batch norm: Gulrajani et al. 2017);
where it gives scores of patches, [B, ...], a sample's score is their sum. Norms are per sample, over all of its axes,
in score per unit of data.
"""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from gan_jax.errors import ConfigError

Critic = Callable[[jax.Array], jax.Array]
Penalty = Callable[[Critic, jax.Array, jax.Array, jax.Array], jax.Array]

WHERE = ("interpolates", "real", "generated")


def gradient_norm(critic: Critic, x: jax.Array) -> jax.Array:
  """|grad critic(x)| of each sample, [B]; where it is zero its own gradient is zero, not NaN."""
  squared = _squared_norm(critic, x)
  flat = squared == 0.0
  return jnp.where(flat, 0.0, jnp.sqrt(jnp.where(flat, 1.0, squared)))


def gradient_penalty(
  critic: Critic,
  real: jax.Array,
  fake: jax.Array,
  key: jax.Array,
  /,
  *,
  where: str = "interpolates",
  one_sided: bool = False,
  target: float | jax.Array = 1.0,
) -> jax.Array:
  """E[(|grad| - target)^2], which asks for a slope. Gulrajani et al. 2017.

  Args:
    critic: scores [B] of data [B, ...].
    real: data [B, ...].
    fake: generated data [B, ...].
    key: draws the interpolates.
    where: "interpolates", alpha real + (1 - alpha) fake with a uniform alpha for each pair; "real"; or "generated".
    one_sided: E[max(0, |grad| - target)^2], which lets the critic be flatter. Petzka et al. 2018 (WGAN-LP).
    target: the slope asked for.

  Raises:
    ConfigError: if `where` is none of these.

  Examples:
    >>> import jax
    >>> import jax.numpy as jnp
    >>> critic = lambda x: 3.0 * x[:, 0] - 4.0 * x[:, 1]  # a slope of 5 everywhere
    >>> x = jnp.ones((8, 2))
    >>> float(gradient_penalty(critic, x, x, jax.random.key(0)))  # (5 - 1)^2
    16.0
  """
  if where not in WHERE:
    raise ConfigError(f"where is {where!r}; it has to be one of {', '.join(WHERE)}")
  chex.assert_equal_shape([real, fake])
  between = lambda: fake + _uniform_per_sample(key, real) * (real - fake)
  x = {"interpolates": between, "real": lambda: real, "generated": lambda: fake}[where]()
  return _slope_penalty(critic, x, one_sided, target)


def dragan(
  critic: Critic,
  real: jax.Array,
  fake: jax.Array,
  key: jax.Array,
  /,
  *,
  spread: float | jax.Array = 0.5,
  one_sided: bool = False,
  target: float | jax.Array = 1.0,
) -> jax.Array:
  """E[(|grad| - target)^2] near the real data. Kodali et al. 2017 (DRAGAN).

  The paper perturbs the data by N(0, c I). This is what its authors' code does (github.com/kodalinaveen3/DRAGAN): the
  point is x + alpha spread std(real) u, where u is uniform in [0, 1) for each value, alpha in [0, 1) for each sample,
  and std taken over the whole batch.
  """
  alpha_key, noise_key = jax.random.split(key)
  noise = jax.random.uniform(noise_key, real.shape, real.dtype)
  x = real + _uniform_per_sample(alpha_key, real) * (spread * jnp.std(real)) * noise
  return _slope_penalty(critic, x, one_sided, target)


def r1(critic: Critic, real: jax.Array, fake: jax.Array, key: jax.Array, /) -> jax.Array:
  """E[|grad|^2] / 2 on real data: the 1/2 is in here, so gamma * r1 is Mescheder et al. 2018's R1.

  Examples:
    >>> import jax
    >>> import jax.numpy as jnp
    >>> critic = lambda x: 3.0 * x[:, 0] - 4.0 * x[:, 1]  # a slope of 5 everywhere
    >>> x = jnp.ones((8, 2))
    >>> float(r1(critic, x, x, jax.random.key(0)))
    12.5
  """
  return 0.5 * jnp.mean(_squared_norm(critic, real))


def r2(critic: Critic, real: jax.Array, fake: jax.Array, key: jax.Array, /) -> jax.Array:
  """E[|grad|^2] / 2 on generated data, the 1/2 in here as in `r1`. Mescheder et al. 2018."""
  return 0.5 * jnp.mean(_squared_norm(critic, fake))


def r1_and_r2(critic: Critic, real: jax.Array, fake: jax.Array, key: jax.Array, /) -> jax.Array:
  """R1 + R2, which draws nothing. Huang et al. 2024."""
  return r1(critic, real, fake, key) + r2(critic, real, fake, key)


def _slope_penalty(critic: Critic, x: jax.Array, one_sided: bool, target: float | jax.Array) -> jax.Array:
  excess = gradient_norm(critic, x) - target
  return jnp.mean(jnp.square(jax.nn.relu(excess) if one_sided else excess))


def _squared_norm(critic: Critic, x: jax.Array) -> jax.Array:
  def total(x):
    scores = critic(x)
    chex.assert_axis_dimension(scores, 0, len(x))
    return jnp.sum(scores)

  return jnp.sum(jnp.square(jax.grad(total)(x)).reshape(len(x), -1), axis=1)


def _uniform_per_sample(key: jax.Array, x: jax.Array) -> jax.Array:
  return jax.random.uniform(key, (len(x), *[1] * (x.ndim - 1)), x.dtype)
