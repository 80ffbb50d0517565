"""DCGAN's two networks, from Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional
generative adversarial networks" (ICLR 2016), by the five rules of its section 3:

1. Strided convolutions in the discriminator and fractionally strided ones in the generator, in place of pooling.
2. Batch normalisation in both, except at the generator's output and the discriminator's input (end of section 3).
3. No fully connected hidden layers: the first and last layers are 4x4 convolutions from and to one pixel.
4. ReLU in the generator, tanh at its output.
5. LeakyReLU of slope 0.2 in the discriminator (section 4).

Weights start as N(0, 0.02), section 4. The authors' code also draws batch normalisation's scale from N(1, 0.02), which
the paper does not mention, and so does this.
"""

import functools
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import ConfigError
from gan_jax.game import Net, NetSpec
from gan_jax.nets.adapt import from_spec, only_input, only_vectors, positive, square_image
from gan_jax.nets.conv import Conv, UpsampleConv
from gan_jax.nets.layers import BatchNorm, Dense
from gan_jax.nets.products import product

RESOLUTIONS = (8, 16, 32, 64, 128)

_init = nn.initializers.normal(0.02)
_BatchNorm = functools.partial(BatchNorm, scale_init=lambda *args: 1.0 + _init(*args))


class Generator(nn.Module):
  """Latent codes, and whatever else the images are conditioned on, to images.

  Attributes:
    resolution: of the images, one of `RESOLUTIONS`.
    width: channels of the last hidden layer, at half the resolution; each layer before it has twice as many. (The
      paper's for 64x64 has 128.)
    channels: of the images.
    dtype: what convolutions compute in, but for the last; all else is float32.
  """

  resolution: int = 32
  width: int = 64
  channels: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, *inputs: jax.Array, train: bool = True) -> jax.Array:
    """Vectors [B, d], side by side -> images [B, resolution, resolution, channels] in [-1, 1], float32.

    Raises:
      ConfigError: for a resolution that is not one of `RESOLUTIONS`.
    """
    chex.assert_rank(inputs, 2)
    z = jnp.concatenate(inputs, -1)
    widths = _widths(self.resolution, self.width)[::-1]
    x = from_vectors(self, z, widths[0], train)
    for width in widths[1:]:
      x = doubled(self, x, width, train)
    return jnp.tanh(image(self, x))


class Discriminator(nn.Module):
  """Images to scores.

  Attributes:
    resolution: of the images, one of `RESOLUTIONS`.
    width: channels of the first layer, at half the resolution; each layer after it has twice as many.
    channels: of the images.
    batch_norm: without it, scores of one image depend on that image alone, as a gradient penalty asks (Gulrajani et al.
      2017, section 4), and every convolution has a bias.
    dtype: what convolutions compute in, but for the last; all else is float32.
  """

  resolution: int = 32
  width: int = 64
  channels: int = 3
  batch_norm: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """x [B, resolution, resolution, channels] -> raw scores (logits) [B], float32.

    Raises:
      ConfigError: for a resolution that is not one of `RESOLUTIONS`.
    """
    x = halvings(self, x, train, self.batch_norm)
    last = Score()
    nn.share_scope(self, last)  # its parameters are ours
    return last(x)


class Score(nn.Module):
  """The discriminator's last layer, from maps of 4x4 pixels to raw scores."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, 4, 4, C] -> [B]."""
    # A convolution that leaves a single pixel is a matrix product.
    kernel = self.param("kernel", _init, (4, 4, x.shape[-1], 1), jnp.float32)
    bias = self.param("bias", nn.initializers.zeros, (1,), jnp.float32)
    scores = jnp.einsum("bhwc,hwco->bo", x, kernel)
    return scores[:, 0] + bias


class Trunk(nn.Module):
  """The discriminator up to its last layer, and a dense layer: features for heads, as InfoGAN's D and Q share them.

  Chen et al. 2016, appendix C.1: batch-normalised leaky units behind the convolutions, 1,024 of them.

  Attributes:
    features: how many there are.
    resolution, width, channels, dtype: as of `Discriminator`; features are float32.
  """

  features: int = 1024
  resolution: int = 32
  width: int = 64
  channels: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """x [B, resolution, resolution, channels] -> [B, features], float32.

    Raises:
      ConfigError: for a resolution that is not one of `RESOLUTIONS`.
    """
    x = halvings(self, x, train, batch_norm=True)
    x = Dense(self.features, use_bias=False, kernel_init=_init, dtype=self.dtype)(x.reshape(x.shape[0], -1))
    return nn.leaky_relu(_BatchNorm()(x, train), 0.2)


class Encoder(nn.Module):
  """The discriminator's convolutions, and a layer that gives vectors.

  Attributes:
    outputs: how many numbers.
    resolution, width, channels, dtype: as of `Discriminator`; vectors are float32.
  """

  outputs: int = 64
  resolution: int = 32
  width: int = 64
  channels: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """x [B, resolution, resolution, channels] -> [B, outputs], float32.

    Raises:
      ConfigError: for a resolution that is not one of `RESOLUTIONS`.
    """
    x = halvings(self, x, train, batch_norm=True)
    return Dense(self.outputs)(x.reshape(x.shape[0], -1))


def generator(spec: NetSpec, /, *, width: int = 32, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `Generator` from one latent, or several vectors such as a label and a latent, to square images.

  Raises:
    ConfigError: if the game asks for something else, or `width` is below 1.
  """
  only_vectors(spec)
  resolution, channels = square_image(spec.output)
  positive(width=width)
  return from_spec(Generator(resolution, width, channels, dtype), spec)


def discriminator(spec: NetSpec, /, *, width: int = 32, batch_norm: bool = True, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `Discriminator` of square images.

  Raises:
    ConfigError: if the game gives it something else, or `width` is below 1.
  """
  resolution, channels = square_image(only_input(spec))
  positive(width=width)
  return from_spec(Discriminator(resolution, width, channels, batch_norm, dtype), spec)


def trunk(spec: NetSpec, /, *, width: int = 32, features: int = 1024, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `Trunk` on square images.

  Raises:
    ConfigError: if the game gives it something else, or `width` or `features` is below 1.
  """
  resolution, channels = square_image(only_input(spec))
  positive(width=width, features=features)
  return from_spec(Trunk(features, resolution, width, channels, dtype), spec)


def encoder(spec: NetSpec, /, *, width: int = 32, dtype: jnp.dtype = jnp.float32) -> Net:
  """An `Encoder` of square images to a vector, such as a latent.

  Raises:
    ConfigError: if the game gives it or asks for something else, or `width` is below 1.
  """
  resolution, channels = square_image(only_input(spec))
  positive(width=width)
  if spec.output is None or len(spec.output) != 1:
    raise ConfigError("it gives a vector, and the game asks for something else")
  return from_spec(Encoder(spec.output[0], resolution, width, channels, dtype), spec)


def from_vectors(net: Any, z: jax.Array, width: int, train: bool) -> jax.Array:
  """A generator's first layer within its compact call: z [B, d] -> [B, 4, 4, width], float32; `net` has a `dtype`."""
  # A transposed convolution of a single pixel is a matrix product: y[:, i, j] = z @ kernel[i, j].
  kernel = net.param("kernel", _init, (4, 4, z.shape[-1], width), jnp.float32)
  x = product(z.astype(net.dtype), kernel.transpose(2, 0, 1, 3).reshape(z.shape[-1], -1))
  return nn.relu(_BatchNorm()(x.reshape(-1, 4, 4, width), train))


def doubled(net: Any, x: jax.Array, width: int, train: bool) -> jax.Array:
  """A fractionally strided convolution of a generator within its compact call: [B, H, W, C] -> [B, 2H, 2W, width]."""
  x = UpsampleConv(width, use_bias=False, kernel_init=_init, dtype=net.dtype)(x)
  return nn.relu(_BatchNorm()(x, train))


def image(net: Any, x: jax.Array) -> jax.Array:
  """A generator's last layer within its compact call, before its tanh; `net` has the number of `channels`."""
  return UpsampleConv(net.channels, kernel_init=_init)(x)


def halved(net: Any, x: jax.Array, width: int, train: bool, batch_norm: bool) -> jax.Array:
  """A strided convolution of a discriminator within its compact call: [B, H, W, C] -> [B, H / 2, W / 2, width]."""
  x = Conv(width, strides=(2, 2), use_bias=not batch_norm, kernel_init=_init, dtype=net.dtype)(x)
  return nn.leaky_relu(_BatchNorm()(x, train) if batch_norm else x, 0.2)


def halvings(net: Any, x: jax.Array, train: bool, batch_norm: bool) -> jax.Array:
  """The strided convolutions of a discriminator, from its images down to 4x4, within its compact call.

  Args:
    net: the module, with the attributes `resolution`, `width`, `channels` and `dtype` of `Discriminator`.
    x: [B, resolution, resolution, channels].
    train: whether batch norm is by the batch's statistics.
    batch_norm: whether there is one, behind all but the first.

  Returns:
    [B, 4, 4, C], float32.
  """
  chex.assert_shape(x, (None, net.resolution, net.resolution, net.channels))
  for i, width in enumerate(_widths(net.resolution, net.width)):
    x = halved(net, x, width, train, batch_norm and i > 0)
  return x


def _widths(resolution, width):
  """Channels at half the resolution, a quarter, and so on down to 4x4."""
  if resolution not in RESOLUTIONS:
    raise ConfigError(f"DCGAN's resolution is one of {', '.join(map(str, RESOLUTIONS))}, not {resolution}.")
  return [width * 2**i for i in range((resolution // 4).bit_length() - 1)]
