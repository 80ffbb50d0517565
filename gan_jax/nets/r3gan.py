"""R3GAN's two networks, from Huang et al., "The GAN is dead; long live the GAN! A modern GAN baseline" (NeurIPS 2024).

No layer normalises. A residual block is an inverted bottleneck without bias at its ends,

    x + W3 act(b2 + W2 * act(b1 + W1 x)),   act = LeakyReLU of slope 0.2,

where W1 doubles the channels pixel by pixel, W2 is a grouped 3x3 convolution and W3 brings the channels back. By fix-up
initialisation (Zhang et al. 2019) W3 starts at zero, so that every block starts as the identity, and W1 and W2 start
normal with the gain of the activation times L^(-1 / (2 m - 2)), of L blocks in the net with m = 3 layers each.

Between the sizes maps are resampled by a fixed filter, the tensor product of [1, 3, 3, 1] with itself: [1, 2, 1] at
twice the resolution, in the authors' code, which is bilinear interpolation in the upsampling and its transpose in the
downsampling; zeros lie beyond the border. Where the channels change, a 1x1 convolution does it on the smaller map. G
starts from a learnt 4x4 map for each channel, scaled by a linear function of z; D ends in a product of each channel
with a learnt 4x4 map, and a linear function of these.

In two things this is not the authors' code: tanh bounds the images, which are not bounded there; and `width` and
`widest`, as in `resnet`, give channels that grow as maps shrink: equal numbers, 768, are theirs for CIFAR-10.
"""

import math
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.errors import ConfigError
from gan_jax.game import Net, NetSpec
from gan_jax.nets._sizes import channels_of, check_sizes
from gan_jax.nets.adapt import from_spec, only_input, only_vector, square_image
from gan_jax.nets.conv import GroupedConv
from gan_jax.nets.layers import Dense

_SLOPE = 0.2
_GAIN = math.sqrt(2.0 / (1.0 + _SLOPE**2))


class ResidualBlock(nn.Module):
  """The inverted bottleneck above.

  Attributes:
    blocks: L, how many of them the net has.
    group: channels in a group of the 3x3 convolution; one group where there are no more.
    dtype: what products and convolutions compute in; all else is float32.
  """

  blocks: int
  group: int = 16
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, H, W, C], float32."""
    c, expanded = x.shape[-1], 2 * x.shape[-1]
    init = _normal(_GAIN * self.blocks**-0.25)
    y = _pixelwise(Dense(expanded, kernel_init=init, dtype=self.dtype), x)
    groups = max(expanded // self.group, 1)
    y = GroupedConv(expanded, groups, kernel_init=init, dtype=self.dtype)(nn.leaky_relu(y, _SLOPE))
    last = Dense(c, use_bias=False, kernel_init=nn.initializers.zeros, dtype=self.dtype)
    return x + _pixelwise(last, nn.leaky_relu(y, _SLOPE))


class _OfBlocks(nn.Module):
  """What both networks have in common.

  Attributes:
    resolution: of the images, a power of two from 8 on.
    width: channels at full size; twice as many at half of it, and so on.
    widest: at most.
    blocks: residual blocks at each size; the paper's 2.
    group: channels in a group; the paper's 16.
    dtype: what products and convolutions compute in, but for the first and the last; all else is float32.
  """

  resolution: int
  width: int = 16
  widest: int = 128
  blocks: int = 1
  group: int = 16
  dtype: Any = jnp.float32


class Generator(_OfBlocks):
  """Latents to images of `channels` channels."""

  channels: int = 3

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    """z [B, latent] -> images [B, resolution, resolution, channels] in [-1, 1], float32."""
    chex.assert_rank(z, 2)
    first, *widths = channels_of(self.resolution, self.width, self.widest)[::-1]
    basis = self.param("basis", nn.initializers.normal(1.0), (4, 4, first), jnp.float32)
    x = basis[None] * Dense(first, use_bias=False, kernel_init=_normal(1.0))(z).reshape(-1, 1, 1, first)
    for i, width in enumerate((first, *widths)):
      if i:
        x = upsample(_with_channels(width, x, self.dtype))
      for _ in range(self.blocks):
        x = ResidualBlock(self.blocks * (1 + len(widths)), self.group, self.dtype)(x)
    return jnp.tanh(_pixelwise(Dense(self.channels, use_bias=False, kernel_init=_normal(1.0)), x))


class Discriminator(_OfBlocks):
  """Images to scores."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """x [B, resolution, resolution, channels] -> raw scores [B], float32."""
    chex.assert_shape(x, (None, self.resolution, self.resolution, None))
    widths = channels_of(self.resolution, self.width, self.widest)
    x = _pixelwise(Dense(widths[0], use_bias=False, kernel_init=_normal(1.0)), x)
    for i, width in enumerate(widths):
      if i:
        x = _with_channels(width, downsample(x), self.dtype)
      for _ in range(self.blocks):
        x = ResidualBlock(self.blocks * len(widths), self.group, self.dtype)(x)
    basis = self.param("basis", nn.initializers.normal(0.25), (4, 4, widths[-1]), jnp.float32)
    return Dense(1, use_bias=False, kernel_init=_normal(1.0))(jnp.sum(x * basis[None], (1, 2)))[:, 0]


def upsample(x: jax.Array) -> jax.Array:
  """[B, H, W, C] -> [B, 2H, 2W, C] by the filter [1, 3, 3, 1] / 4 in each direction, zeros beyond the border."""
  for axis in (1, 2):
    before, after = _neighbours(x, axis)
    x = jnp.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], axis + 1)
    x = x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])
  return x


def downsample(x: jax.Array) -> jax.Array:
  """[B, 2H, 2W, C] -> [B, H, W, C] by the filter [1, 3, 3, 1] / 8 in each direction: `upsample`'s transpose over 4."""
  for axis in (1, 2):
    pairs = x.reshape(*x.shape[:axis], -1, 2, *x.shape[axis + 1 :])
    even, odd = (lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in (0, 1))
    x = 0.375 * (even + odd) + 0.125 * (_neighbours(odd, axis)[0] + _neighbours(even, axis)[1])
  return x


def _neighbours(x, axis):
  """The entries before and after each one along an axis."""
  moved = lambda by: [(by, -by, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)]
  zero = jnp.zeros((), x.dtype)
  return lax.pad(x, zero, moved(1)), lax.pad(x, zero, moved(-1))


def _pixelwise(layer, x):
  """A dense layer of every pixel for itself: a 1x1 convolution."""
  return layer(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], -1)


def _with_channels(width, x, dtype):
  """`width` channels by a 1x1 convolution, where there are others."""
  if x.shape[-1] == width:
    return x
  return _pixelwise(Dense(width, use_bias=False, kernel_init=_normal(1.0), dtype=dtype), x)


def _normal(gain):
  """N(0, gain^2 / inputs of one output)."""
  return nn.initializers.variance_scaling(gain**2, "fan_in", "normal")


def generator(
  spec: NetSpec,
  /,
  *,
  width: int = 16,
  widest: int = 128,
  blocks: int = 1,
  group: int = 16,
  dtype: jnp.dtype = jnp.float32,
) -> Net:
  """A `Generator` from one latent to square images.

  Raises:
    ConfigError: if the game asks for something else, the side is no power of two from 8 on, a setting is below 1, or
      `group` does not divide the channels of a block.
  """
  only_vector(spec)
  resolution, channels = square_image(spec.output)
  _check(resolution, width, widest, blocks, group)
  return from_spec(Generator(resolution, width, widest, blocks, group, dtype, channels), spec)


def discriminator(
  spec: NetSpec,
  /,
  *,
  width: int = 16,
  widest: int = 128,
  blocks: int = 1,
  group: int = 16,
  dtype: jnp.dtype = jnp.float32,
) -> Net:
  """A `Discriminator` of square images.

  Raises:
    ConfigError: as `generator`.
  """
  resolution, _ = square_image(only_input(spec))
  _check(resolution, width, widest, blocks, group)
  return from_spec(Discriminator(resolution, width, widest, blocks, group, dtype), spec)


def _check(resolution, width, widest, blocks, group):
  check_sizes(resolution, 8, width=width, widest=widest, blocks=blocks, group=group)
  for channels in channels_of(resolution, width, widest):
    if 2 * channels > group and 2 * channels % group:
      raise ConfigError(f"group is {group}; it has to divide {2 * channels}, twice the channels of a block")
