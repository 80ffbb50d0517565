"""SN-GAN's residual networks, from Miyato et al., "Spectral normalization for generative adversarial networks" (ICLR
2018), appendix B.4, with the conditional batch norm of Miyato and Koyama 2018 in the generator.

`width` is the number of channels next to the image; it doubles at each halving of the size, up to `widest`. With both
256 in G and 128 in D the nets are table 4's, for CIFAR-10 at 32x32.

An upsampling or a pooling and the 3x3 convolution beside it are one convolution of stride 2 with a 4x4 kernel, made of
the 3x3 one: the same function for fewer products. Weights start as the authors' code has them: uniform with a variance
of 4 / (inputs + outputs) in the 3x3 convolutions of blocks, and half of it elsewhere.
"""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import ConfigError
from gan_jax.game import Net, NetSpec
from gan_jax.nets._sizes import channels_of, check_sizes
from gan_jax.nets.adapt import from_spec, only_input, square_image
from gan_jax.nets.conv import Conv, conv, smeared, upsample_conv
from gan_jax.nets.layers import BatchNorm, ConditionalBatchNorm, Dense, SpectralNorm

_init = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")
_init_outside = nn.initializers.xavier_uniform()


class UpsampledConv(nn.Module):
  """A 3x3 convolution of the image with each pixel doubled in both directions: nearest upsampling.

  Attributes:
    features: output channels.
    dtype: what the convolution computes in; parameters and outputs are float32.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, 2H, 2W, features], by parameters `kernel` [3, 3, C, features] and `bias` [features]."""
    kernel, bias = _parameters(self, x.shape[-1])
    return upsample_conv(x.astype(self.dtype), smeared(kernel).astype(self.dtype)).astype(jnp.float32) + bias


class PooledConv(nn.Module):
  """A 3x3 convolution, and the mean of each 2x2 square of it.

  Attributes:
    features: output channels.
    dtype: what the convolution computes in; parameters and outputs are float32.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, 2H, 2W, C] -> [B, H, W, features], by parameters `kernel` [3, 3, C, features] and `bias` [features]."""
    kernel, bias = _parameters(self, x.shape[-1])
    kernel = (0.25 * smeared(kernel)).astype(self.dtype)
    return conv(x.astype(self.dtype), kernel, strides=(2, 2), padding=((1, 1), (1, 1))).astype(jnp.float32) + bias


def _parameters(module, channels):
  kernel = module.param("kernel", _init, (3, 3, channels, module.features), jnp.float32)
  return kernel, module.param("bias", nn.initializers.zeros, (module.features,), jnp.float32).reshape(1, 1, 1, -1)


class GeneratorBlock(nn.Module):
  """Twice the size: norm, ReLU, upsampling and 3x3, norm, ReLU, 3x3, and beside it upsampling and 1x1.

  Attributes:
    features: output channels.
    dtype: what convolutions compute in; all else is float32.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, condition: jax.Array | None = None, train: bool = True) -> jax.Array:
    """[B, H, W, C] -> [B, 2H, 2W, features]; with a condition [B, classes] it decides the norms' scales and shifts."""
    norm = lambda y: BatchNorm()(y, train) if condition is None else ConditionalBatchNorm()(y, condition, train)
    y = UpsampledConv(self.features, self.dtype)(nn.relu(norm(x)))
    y = Conv(self.features, (3, 3), kernel_init=_init, dtype=self.dtype)(nn.relu(norm(y)))
    # The 1x1 convolution comes first: the same, of a quarter of the pixels.
    across = Conv(self.features, (1, 1), kernel_init=_init_outside, dtype=self.dtype)(x)
    return y + across.repeat(2, 1).repeat(2, 2)


class DiscriminatorBlock(nn.Module):
  """ReLU, 3x3, ReLU, 3x3, and beside it 1x1 or nothing; both pooled to half the size, or not.

  Attributes:
    features: output channels.
    halve: whether the size is halved; otherwise there are as many channels as come in, and nothing beside.
    first: whether it reads the image, of which no ReLU is taken, and which is pooled before the 1x1 convolution.
    spectral_norm: divides every layer's weights by their largest singular value.
    dtype: what convolutions compute in; all else is float32.
  """

  features: int
  halve: bool = True
  first: bool = False
  spectral_norm: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """[B, H, W, C] -> [B, H / 2, W / 2, features], or [B, H, W, C]."""
    use = lambda layer, y: SpectralNorm(layer)(y, train) if self.spectral_norm else layer(y)
    hidden = self.features if self.first else x.shape[-1]
    y = x if self.first else nn.relu(x)
    y = nn.relu(use(Conv(hidden, (3, 3), kernel_init=_init, dtype=self.dtype), y))
    if not self.halve:
      return x + use(Conv(self.features, (3, 3), kernel_init=_init, dtype=self.dtype), y)
    # Pooling and a 1x1 convolution commute; first the one that leaves less to do.
    across = use(Conv(self.features, (1, 1), kernel_init=_init_outside, dtype=self.dtype), _pooled(x))
    return use(PooledConv(self.features, self.dtype), y) + across


def _pooled(x):
  b, h, w, c = x.shape
  return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


class Generator(nn.Module):
  """Latents, and a condition that there may be, to images: a dense layer to 4x4, `GeneratorBlock`s, and a 3x3
  convolution.

  Attributes:
    resolution: of the images, a power of two from 16 on.
    width: channels at full size; twice as many at half of it, and so on.
    widest: at most.
    channels: of the images.
    dtype: what convolutions and the dense layer compute in, but for the last layer; all else is float32.
  """

  resolution: int
  width: int = 32
  widest: int = 128
  channels: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, *inputs: jax.Array, train: bool = True) -> jax.Array:
    """(z [B, latent]) or (condition [B, classes], z) -> [B, resolution, resolution, channels] in [-1, 1], float32."""
    *condition, z = inputs
    chex.assert_rank(inputs, 2)
    first, *widths = channels_of(self.resolution, self.width, self.widest)[::-1]
    x = Dense(16 * first, kernel_init=_init_outside, dtype=self.dtype)(z).reshape(-1, 4, 4, first)
    for width in widths:
      x = GeneratorBlock(width, self.dtype)(x, *condition, train=train)
    x = nn.relu(BatchNorm()(x, train))
    return jnp.tanh(Conv(self.channels, (3, 3), kernel_init=_init_outside)(x))


class Discriminator(nn.Module):
  """Images to scores: `DiscriminatorBlock`s that halve them to 8x8 and two that do not, ReLU, the sum over places, and
  a dense layer.

  Attributes:
    resolution: of the images, a power of two from 16 on.
    width: channels of the first block; each one after it that halves the size has twice as many.
    widest: at most.
    spectral_norm: divides every layer's weights by their largest singular value.
    dtype: what convolutions compute in; all else is float32.
  """

  resolution: int
  width: int = 32
  widest: int = 128
  spectral_norm: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """x [B, resolution, resolution, channels] -> raw scores [B], float32."""
    chex.assert_shape(x, (None, self.resolution, self.resolution, None))
    halvings = channels_of(self.resolution, self.width, self.widest)[:-2]
    for i, width in enumerate((*halvings, halvings[-1], halvings[-1])):
      x = DiscriminatorBlock(width, i < len(halvings), i == 0, self.spectral_norm, self.dtype)(x, train)
    features = nn.relu(x).sum((1, 2))
    last = Dense(1, kernel_init=_init_outside)
    return (SpectralNorm(last)(features, train) if self.spectral_norm else last(features))[:, 0]


def generator(spec: NetSpec, /, *, width: int = 32, widest: int = 128, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `Generator` of one latent, or of a condition, such as a one-hot label, and a latent after it.

  Raises:
    ConfigError: if the game gives it something else, or asks for something else than square images of a power of two
      from 16 on, or a setting is below 1.
  """
  if not 1 <= len(spec.inputs) <= 2 or any(len(shape) != 1 for shape in spec.inputs):
    given = " and ".join(str(list(shape)) for shape in spec.inputs)
    raise ConfigError(f"it takes a latent, or a condition and a latent, all vectors, and the game gives it {given}")
  resolution, channels = square_image(spec.output)
  check_sizes(resolution, 16, width=width, widest=widest)
  return from_spec(Generator(resolution, width, widest, channels, dtype), spec)


def discriminator(
  spec: NetSpec,
  /,
  *,
  width: int = 32,
  widest: int = 128,
  spectral_norm: bool = True,
  dtype: jnp.dtype = jnp.float32,
) -> Net:
  """A `Discriminator` of square images.

  Raises:
    ConfigError: if the game gives it something else, the side is no power of two from 16 on, or a setting is below 1.
  """
  resolution, _ = square_image(only_input(spec))
  check_sizes(resolution, 16, width=width, widest=widest)
  return from_spec(Discriminator(resolution, width, widest, spectral_norm, dtype), spec)
