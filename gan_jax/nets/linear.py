"""Networks of one or two parameters, for games with known dynamics; they compute in float32 always."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gan_jax.errors import ConfigError
from gan_jax.game import Net, NetSpec
from gan_jax.nets.adapt import from_spec, only_input, only_vector


class Affine(nn.Module):
  """mu + sigma z, a Gaussian with everything learnt: the linear generator of Nowozin et al. 2016, section 2.5.

  Starts at mu = 0, sigma = 1; the parameters are `mu` and `log_sigma`, [D] each.
  """

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    """Latents [B, D] to data [B, D]."""
    mu = self.param("mu", nn.initializers.zeros, (z.shape[-1],), jnp.float32)
    log_sigma = self.param("log_sigma", nn.initializers.zeros, (z.shape[-1],), jnp.float32)
    return mu[None] + jnp.exp(log_sigma)[None] * z


class Point(nn.Module):
  """theta, whatever the latent: the DiracGAN's generator. Mescheder et al. 2018, definition 2.1.

  Attributes:
    start: theta at first.
  """

  start: float = 1.0

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    """Latents [B, ...] to data [B, 1]."""
    theta = self.param("theta", nn.initializers.constant(self.start), (), jnp.float32)
    return jnp.broadcast_to(theta, (z.shape[0], 1))


class Slope(nn.Module):
  """psi x, with no bias: the DiracGAN's discriminator. Mescheder et al. 2018, definition 2.1.

  Attributes:
    start: psi at first.
  """

  start: float = 1.0

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Data [B, 1] to scores [B]."""
    psi = self.param("psi", nn.initializers.constant(self.start), (), jnp.float32)
    return psi * x[:, 0]


class Line(nn.Module):
  """(theta, z), a vertical line of length one at theta, z uniform in [0, 1]. Arjovsky et al. 2017, example 1.

  Attributes:
    start: theta at first.
  """

  start: float = 1.0

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    """Latents [B, 1] to data [B, 2]."""
    theta = self.param("theta", nn.initializers.constant(self.start), (), jnp.float32)
    return jnp.concatenate([jnp.broadcast_to(theta, z.shape), z], axis=1)


def affine(spec: NetSpec, /) -> Net:
  """`Affine`, of a vector.

  Raises:
    ConfigError: if the game gives it something else.
  """
  only_vector(spec)
  return from_spec(Affine(), spec)


def point(spec: NetSpec, /, *, start: float = 1.0) -> Net:
  """`Point`, with one input.

  Raises:
    ConfigError: if the game gives it several.
  """
  only_input(spec)
  return from_spec(Point(start), spec)


def slope(spec: NetSpec, /, *, start: float = 1.0) -> Net:
  """`Slope`, of one number.

  Raises:
    ConfigError: if the game gives it something else.
  """
  _one_number(spec)
  return from_spec(Slope(start), spec)


def line(spec: NetSpec, /, *, start: float = 1.0) -> Net:
  """`Line`, of one number.

  Raises:
    ConfigError: if the game gives it something else.
  """
  _one_number(spec)
  return from_spec(Line(start), spec)


def _one_number(spec: NetSpec) -> None:
  size = only_vector(spec)
  if size != 1:
    raise ConfigError(f"it takes one number, and the game gives it {size}")
