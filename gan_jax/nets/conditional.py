"""Discriminators of pairs: an image and what it is conditioned on. Three forms on DCGAN's convolutions:

- `two_part`: features of x score its realism, features of x together with c the match, and the score is their sum. Reed
  et al. 2016 have the latter, StackGAN++ (Zhang et al. 2018) both.
- `plain`: c is an input beside x. Mirza and Osindero 2014.
- `projection`: `psi(phi(x)) + <V c, phi(x)>`, the log ratio of densities where those of c given x are log-linear in
  phi(x). Miyato and Koyama 2018.
"""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import ConfigError
from gan_jax.game import Net, NetSpec
from gan_jax.nets import dcgan
from gan_jax.nets.adapt import from_spec, positive, square_image
from gan_jax.nets.layers import Dense

_init = nn.initializers.normal(0.02)


class _OfPairs(nn.Module):
  """What the discriminators here have in common: attributes as of `dcgan.Discriminator`."""

  resolution: int = 32
  width: int = 64
  channels: int = 3
  batch_norm: bool = True
  dtype: Any = jnp.float32


class TwoPart(_OfPairs):
  """r(f) + m(f, c) of the features f of an image: its last 4x4 maps.

  r is DCGAN's last layer. m is dense: leaky units of slope 0.2 that see f and c, and a layer on these. Both last layers
  are one, which reads f and the units.

  Attributes:
    features: how many such units there are.
  """

  features: int = 128

  @nn.compact
  def __call__(self, x: jax.Array, c: jax.Array, train: bool = True) -> jax.Array:
    """Images [B, resolution, resolution, channels] and conditions [B, d] -> raw scores [B], float32."""
    chex.assert_rank(c, 2)
    maps = dcgan.halvings(self, x, train, self.batch_norm)
    f = maps.reshape(maps.shape[0], -1)
    of_image = Dense(self.features, kernel_init=_init, dtype=self.dtype)(f)
    # A one-hot c is one entry of N(0, 0.02) to a unit, and would be lost among thousands of features.
    of_condition = Dense(self.features, use_bias=False, dtype=self.dtype)(c)
    read = jnp.concatenate([f, nn.leaky_relu(of_image + of_condition, 0.2)], -1)
    return Dense(1, kernel_init=_init)(read)[:, 0]


class Projection(_OfPairs):
  """`psi(phi(x)) + <V c, phi(x)>`, psi being DCGAN's last layer.

  phi(x) is all of the last 4x4 maps, where the paper has their sum over places: as psi reads them in DCGAN.
  """

  @nn.compact
  def __call__(self, x: jax.Array, c: jax.Array, train: bool = True) -> jax.Array:
    """Images [B, resolution, resolution, channels] and conditions [B, d] -> raw scores [B], float32."""
    chex.assert_rank(c, 2)
    maps = dcgan.halvings(self, x, train, self.batch_norm)
    phi = maps.reshape(maps.shape[0], -1)
    v = Dense(phi.shape[1], use_bias=False, kernel_init=_init)(c)
    return dcgan.Score()(maps) + jnp.sum(v * phi, -1)


class Plain(_OfPairs):
  """`dcgan.Discriminator` of the image and its condition as one image; `channels` are the image's own."""

  @nn.compact
  def __call__(self, x: jax.Array, c: jax.Array, train: bool = True) -> jax.Array:
    """Images [B, resolution, resolution, channels] and conditions -> raw scores [B], float32.

    Conditions are images of the same size, [B, resolution, resolution, C], or vectors [B, d], each entry of which
    becomes a channel of that value.
    """
    maps = c if c.ndim == 4 else jnp.broadcast_to(c[:, None, None], (*x.shape[:3], c.shape[-1]))
    pair = jnp.concatenate([x, maps], -1)
    channels = self.channels + maps.shape[-1]
    return dcgan.Discriminator(self.resolution, self.width, channels, self.batch_norm, self.dtype)(pair, train)


def two_part(
  spec: NetSpec,
  /,
  *,
  width: int = 32,
  features: int = 128,
  batch_norm: bool = True,
  dtype: jnp.dtype = jnp.float32,
) -> Net:
  """A `TwoPart` of square images and vectors.

  Raises:
    ConfigError: if the game gives it something else, or `width` or `features` is below 1.
  """
  resolution, channels = _pair(spec, images=False)
  positive(width=width, features=features)
  return from_spec(TwoPart(resolution, width, channels, batch_norm, dtype, features), spec)


def projection(spec: NetSpec, /, *, width: int = 32, batch_norm: bool = True, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `Projection` of square images and vectors.

  Raises:
    ConfigError: if the game gives it something else, or `width` is below 1.
  """
  resolution, channels = _pair(spec, images=False)
  positive(width=width)
  return from_spec(Projection(resolution, width, channels, batch_norm, dtype), spec)


def plain(spec: NetSpec, /, *, width: int = 32, batch_norm: bool = True, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `Plain` of square images and vectors, or images of the same size.

  Raises:
    ConfigError: if the game gives it something else, or `width` is below 1.
  """
  resolution, channels = _pair(spec, images=True)
  positive(width=width)
  return from_spec(Plain(resolution, width, channels, batch_norm, dtype), spec)


def _pair(spec: NetSpec, images: bool) -> tuple[int, int]:
  """Side and channels of the image; refuses a condition that is no vector nor, with `images`, such an image."""
  if len(spec.inputs) != 2:
    raise ConfigError(f"it takes an image and its condition, and the game gives it {len(spec.inputs)} inputs")
  image, condition = spec.inputs
  resolution, channels = square_image(image)  # pyright: ignore[reportArgumentType]  # names have been resolved
  if len(condition) == 1 or (images and len(condition) == 3 and condition[:2] == image[:2]):
    return resolution, channels
  wanted = "a vector or an image of the same size" if images else "a vector; conditional.plain takes images too"
  raise ConfigError(f"the condition of its images is {list(condition)}, and it has to be {wanted}")
