"""Networks that grow from 4x4 pixels to any power of two. Karras et al. 2018, sections 2 to 4 and table 2.

A layer is named by the resolution that it works at and is the same in every network of at least that size, so that the
weights of one are weights of the next: `train.carry`. A network keeps the layers to and from images of half its size
too, through which it fades in: at alpha = 0 it is the smaller network, at alpha = 1 itself.
"""

import functools
import math
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import ConfigError
from gan_jax.game import Net, NetSpec
from gan_jax.nets.adapt import from_spec, positive, square_image
from gan_jax.nets.conv import conv
from gan_jax.nets.products import product
from gan_jax.pyramid import enlarged, faded, reduced

_lrelu = functools.partial(nn.leaky_relu, negative_slope=0.2)
_normal = nn.initializers.normal(1.0)
_HE = math.sqrt(2.0)  # for layers before a leaky unit


class ScaledDense(nn.Module):
  """A dense layer whose weights are N(0, 1) at first and scaled by gain / sqrt(fan-in) at run time. Section 4.1.

  Adam's steps do not depend on the scale of a gradient, so scaled at run time all layers learn equally fast. Parameters
  `kernel` [C, features] and `bias` [features], sums and outputs are float32.

  Attributes:
    features: how many outputs there are.
    gain: the standard deviation of outputs of independent inputs of variance 1.
    dtype: of the product's factors.
  """

  features: int
  gain: float = _HE
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., C] -> [..., features]; of images, a 1x1 convolution."""
    c = x.shape[-1]
    kernel = self.param("kernel", _normal, (c, self.features), jnp.float32)
    bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
    y = product(x.reshape(-1, c).astype(self.dtype), kernel * (self.gain / math.sqrt(c)))
    return (y + bias[None]).reshape(*x.shape[:-1], self.features)


class ScaledConv(nn.Module):
  """A 3x3 convolution that keeps the size, scaled as `ScaledDense`; its kernel is [3, 3, C, features].

  Attributes:
    features: output channels.
    gain: the standard deviation of outputs of independent inputs of variance 1, but for the edges.
    dtype: what the convolution computes in.
  """

  features: int
  gain: float = _HE
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, H, W, features], float32."""
    c = x.shape[-1]
    kernel = self.param("kernel", _normal, (3, 3, c, self.features), jnp.float32) * (self.gain / math.sqrt(9 * c))
    bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
    y = conv(x.astype(self.dtype), kernel.astype(self.dtype)).astype(jnp.float32)
    return y + bias[None, None, None]


def pixel_norm(x: jax.Array) -> jax.Array:
  """x / sqrt(mean(x^2) + 1e-8), the mean over the last axis: of each pixel, or of each example. Section 4.2."""
  return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-8)


def minibatch_deviation(x: jax.Array, size: int = 4) -> jax.Array:
  """How much examples of a group differ: the mean over all features of their standard deviation. Section 3.

  Example i is in group i mod ceil(B / size). So where `size` does not divide the batch some groups have fewer members,
  all of them the same number or one less; an example alone deviates by sqrt(1e-8), which is added to variances.

  Args:
    x: [B, H, W, C].
    size: of a group, at most.

  Returns:
    One map, [B, H, W, 1], constant within a group.
  """
  b, h, w, _ = x.shape
  groups = -(-b // size)
  rows = size * groups
  members = jnp.pad(x.reshape(b, -1), ((0, rows - b), (0, 0))).reshape(size, groups, -1)
  there = (jnp.arange(rows) < b).astype(x.dtype).reshape(size, groups, 1)
  mean = lambda values: (there * values).sum(0) / there.sum(0)
  deviation = jnp.sqrt(mean(jnp.square(members - mean(members)[None])) + 1e-8).mean(-1)
  return jnp.broadcast_to(jnp.tile(deviation, size)[:b, None, None, None], (b, h, w, 1))


class Generator(nn.Module):
  """Latents to images, the left half of table 2.

  Attributes:
    resolution: of the images, a power of two from 4 on.
    channels: of the images.
    width: channels of feature maps, up to the resolution `halve_above`; then half as many at each doubling.
    halve_above: see `width`. The paper's are 512 and 32.
    dtype: what products and convolutions compute in, but for the last; all else is float32.
  """

  resolution: int
  channels: int
  width: int
  halve_above: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z: jax.Array, alpha: jax.Array) -> jax.Array:
    """z [B, latent], of which the direction counts, and alpha [B] -> images [B, resolution, resolution, channels].

    They are not bounded. At 4x4, where there is nothing smaller, alpha has no effect.
    """
    chex.assert_rank([z, alpha], [2, 1])
    unit = lambda x: pixel_norm(_lrelu(x))
    wide = lambda resolution: _channels(resolution, self.width, self.halve_above)
    to_rgb = lambda resolution, x: ScaledDense(self.channels, 1.0, name=f"to_rgb_{resolution}")(x)
    # The paper has a 4x4 convolution of one pixel here, whose fan-in counts the zeros around it: 16 times as many.
    x = ScaledDense(16 * wide(4), _HE / 4, self.dtype, name="dense_4")(pixel_norm(z))
    x = unit(x.reshape(-1, 4, 4, wide(4)))
    x = smaller = unit(ScaledConv(wide(4), dtype=self.dtype, name="conv_4")(x))
    for resolution in _doublings(self.resolution):
      smaller, x = x, enlarged(x, 2)
      for i in range(2):
        x = unit(ScaledConv(wide(resolution), dtype=self.dtype, name=f"conv_{resolution}_{i}")(x))
    images = to_rgb(self.resolution, x)
    if self.resolution == 4:
      return images
    return faded(enlarged(to_rgb(self.resolution // 2, smaller), 2), images, alpha)


class Critic(nn.Module):
  """Images to scores, the right half of table 2.

  Attributes:
    resolution, channels, width, halve_above, dtype: as of `Generator`.
  """

  resolution: int
  channels: int
  width: int
  halve_above: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, alpha: jax.Array) -> jax.Array:
    """x [B, resolution, resolution, channels] and alpha [B] -> raw scores [B], float32.

    By `minibatch_deviation` a score depends on the examples beside it.
    """
    chex.assert_shape(x, (None, self.resolution, self.resolution, self.channels))
    wide = lambda resolution: _channels(resolution, self.width, self.halve_above)

    def from_rgb(resolution, x):
      return _lrelu(ScaledDense(wide(resolution), dtype=self.dtype, name=f"from_rgb_{resolution}")(x))

    y = from_rgb(self.resolution, x)
    for resolution in reversed(_doublings(self.resolution)):
      for i, features in enumerate((wide(resolution), wide(resolution // 2))):
        y = _lrelu(ScaledConv(features, dtype=self.dtype, name=f"conv_{resolution}_{i}")(y))
      y = reduced(y, 2)
      if resolution == self.resolution:
        y = faded(from_rgb(resolution // 2, reduced(x, 2)), y, alpha)
    y = jnp.concatenate([y, minibatch_deviation(y)], -1)
    y = _lrelu(ScaledConv(wide(4), dtype=self.dtype, name="conv_4")(y))
    y = _lrelu(ScaledDense(wide(4), dtype=self.dtype, name="dense_4")(y.reshape(y.shape[0], -1)))
    return ScaledDense(1, 1.0, name="score")(y)[:, 0]


def generator(spec: NetSpec, /, *, width: int = 64, halve_above: int = 8, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `Generator` from a latent and alpha.

  Raises:
    ConfigError: if the game asks for something else, for images of no power of two from 4 on, or a setting is below 1.
  """
  if [len(shape) for shape in spec.inputs] != [1, 0]:
    raise ConfigError(f"it takes a latent and alpha, and the game gives it {list(map(list, spec.inputs))}")
  return _build(Generator, spec, *square_image(spec.output), width, halve_above, dtype)


def critic(spec: NetSpec, /, *, width: int = 64, halve_above: int = 8, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `Critic` of square images and alpha.

  Raises:
    ConfigError: if the game gives it something else, images of no power of two from 4 on, or a setting is below 1.
  """
  if [len(shape) for shape in spec.inputs] != [3, 0]:
    raise ConfigError(f"it takes images and alpha, and the game gives it {list(map(list, spec.inputs))}")
  return _build(Critic, spec, *square_image(spec.inputs[0]), width, halve_above, dtype)  # pyright: ignore


def _build(module, spec, resolution, channels, width, halve_above, dtype):
  positive(width=width, halve_above=halve_above)
  if resolution < 4 or resolution & (resolution - 1):
    raise ConfigError(f"it works at resolutions 4, 8, 16 and so on, and the game asks for {resolution}")
  return from_spec(module(resolution, channels, width, halve_above, dtype), spec)


def _doublings(resolution):
  """8, 16, and so on up to `resolution`."""
  return [2**i for i in range(3, resolution.bit_length())]


def _channels(resolution, width, halve_above):
  return max(1, min(width, width * halve_above // resolution))
