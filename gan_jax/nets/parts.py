"""DCGAN's two networks in two parts each, for games in which several domains share one of them: Liu and Tuzel 2016,
"Coupled generative adversarial networks", share the generators' first layers and the discriminators' last.

Layers, norms and initial weights are those of `nets.dcgan`. The first part says how far it goes, the last goes on to
where the game wants to be.
"""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import ConfigError
from gan_jax.game import Net, NetSpec
from gan_jax.nets import dcgan
from gan_jax.nets.adapt import from_spec, only_input, only_vectors, positive, square_image
from gan_jax.nets.layers import Dense


class FirstDoublings(nn.Module):
  """Vectors to maps: 4x4 at first, then twice the size and half the channels, `doublings` times.

  Attributes:
    width: channels at 4x4.
    doublings: how many.
    dtype: what products and convolutions compute in; all else is float32.
  """

  width: int = 128
  doublings: int = 1
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, *inputs: jax.Array, train: bool = True) -> jax.Array:
    """Vectors [B, d], side by side -> maps [B, S, S, width / 2^doublings], S = 4 * 2^doublings, float32."""
    chex.assert_rank(inputs, 2)
    x = dcgan.from_vectors(self, jnp.concatenate(inputs, -1), self.width, train)
    for i in range(self.doublings):
      x = dcgan.doubled(self, x, self.width >> (i + 1), train)
    return x


class LastDoublings(nn.Module):
  """Maps to images: twice the size and half the channels, until the next doubling makes the image.

  Attributes:
    resolution: of the images, the maps' own times a power of two.
    channels: of the images.
    dtype: what convolutions compute in, but for the last; all else is float32.
  """

  resolution: int = 32
  channels: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """Maps [B, S, S, C] -> images [B, resolution, resolution, channels] in [-1, 1], float32."""
    while 2 * x.shape[1] < self.resolution:
      x = dcgan.doubled(self, x, x.shape[-1] // 2, train)
    return jnp.tanh(dcgan.image(self, x))


class FirstHalvings(nn.Module):
  """Images to maps: half the size, `halvings` times.

  Attributes:
    width: channels of the first layer, doubled at each.
    halvings: how many.
    batch_norm: whether layers but the first are normalised.
    dtype: what convolutions compute in; all else is float32.
  """

  width: int = 32
  halvings: int = 1
  batch_norm: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """Images [B, S, S, C] -> maps [B, S / 2^halvings, S / 2^halvings, width 2^(halvings - 1)], float32."""
    chex.assert_rank(x, 4)
    for i in range(self.halvings):
      x = dcgan.halved(self, x, self.width << i, train, batch_norm=self.batch_norm and i > 0)
    return x


class LastHalvings(nn.Module):
  """Maps to scores or vectors: half the size and twice the channels down to 4x4, and a layer on these.

  Attributes:
    outputs: how many numbers; None for a score.
    batch_norm: whether layers are normalised.
    dtype: what convolutions compute in; all else is float32.
  """

  outputs: int | None = None
  batch_norm: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """Maps [B, S, S, C] -> raw scores [B] or vectors [B, outputs], float32."""
    while x.shape[1] > 4:
      x = dcgan.halved(self, x, 2 * x.shape[-1], train, batch_norm=self.batch_norm)
    return dcgan.Score()(x) if self.outputs is None else Dense(self.outputs)(x.reshape(x.shape[0], -1))


def first_doublings(spec: NetSpec, /, *, width: int = 128, doublings: int = 1, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `FirstDoublings` of one vector or several, such as a latent.

  Raises:
    ConfigError: if the game gives it something else, a number is below 1, or channels cannot be halved so often.
  """
  only_vectors(spec)
  positive(width=width, doublings=doublings)
  if width % 2**doublings:
    raise ConfigError(f"width is {width}; it has to be a multiple of {2**doublings}, to be halved {doublings} times")
  return from_spec(FirstDoublings(width, doublings, dtype), spec)


def last_doublings(spec: NetSpec, /, *, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `LastDoublings` to square images.

  Raises:
    ConfigError: if the game gives it or asks for something else, or the image is not the maps' size times a power of
      two, from 2 on.
  """
  side, width = square_image(only_input(spec))
  resolution, channels = square_image(spec.output)
  times = resolution // side
  if times * side != resolution or times < 2 or times & (times - 1):
    raise ConfigError(f"it doubles maps of {side}x{side}, and so does not come to images of {resolution}x{resolution}")
  if width % (times // 2):
    raise ConfigError(f"its maps have {width} channels; they have to be a multiple of {times // 2}, to be halved")
  return from_spec(LastDoublings(resolution, channels, dtype), spec)


def first_halvings(
  spec: NetSpec, /, *, width: int = 32, halvings: int = 1, batch_norm: bool = True, dtype: jnp.dtype = jnp.float32
) -> Net:
  """A `FirstHalvings` of square images.

  Raises:
    ConfigError: if the game gives it something else, a number is below 1, or the images cannot be halved so often.
  """
  side, _ = square_image(only_input(spec))
  positive(width=width, halvings=halvings)
  if side % 2**halvings:
    raise ConfigError(f"its images are {side}x{side}, which cannot be halved {halvings} times")
  return from_spec(FirstHalvings(width, halvings, batch_norm, dtype), spec)


def last_halvings(spec: NetSpec, /, *, batch_norm: bool = True, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `LastHalvings` from square maps to what the game asks for: a score, or a vector.

  Raises:
    ConfigError: if the game gives it or asks for something else, or the maps' side is not 4 times a power of two.
  """
  side, _ = square_image(only_input(spec))
  if side < 4 or side & (side - 1):
    raise ConfigError(f"it halves its maps down to 4x4, and the game gives it {side}x{side}")
  if spec.output is None or len(spec.output) > 1:
    raise ConfigError("it gives a score or a vector, and the game asks for something else")
  return from_spec(LastHalvings(spec.output[0] if spec.output else None, batch_norm, dtype), spec)
