"""DCGAN's networks. Radford, Metz and Chintala 2016, section 3.

Their five rules: strided and fractionally strided convolutions in place of pooling; batch norm in both networks, except in
the generator's output and the discriminator's input layer; no dense hidden layer; ReLU in the generator with tanh at its
end; LeakyReLU of slope 0.2 in the discriminator. Weights start as N(0, 0.02), batch norm's scales as N(1, 0.02), the latter
as in the authors' code.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gan_jax.nets.conv import Conv, UpsampleConv

RESOLUTIONS = (8, 16, 32, 64, 128)
WEIGHTS = nn.initializers.normal(0.02)


class Generator(nn.Module):
  """Latents to images.

  Attributes:
    resolution: of the images, one of 8, 16, 32, 64, 128.
    width: channels of the last hidden layer; they double with each halving of the size, down to 4x4.
    channels: of the images.
    dtype: of the computation; parameters and images are float32.

  Raises:
    ValueError: if the resolution is not one of these.
  """

  resolution: int
  width: int = 64
  channels: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
    """Latents [B, latent] to images [B, resolution, resolution, channels] in [-1, 1]."""
    widths = _widths(self.resolution, self.width)[::-1]
    # A 4x4 transposed convolution of a 1x1 map, computed as the matrix product that it is.
    x = nn.Dense(4 * 4 * widths[0], use_bias=False, kernel_init=WEIGHTS, dtype=self.dtype)(z)
    x = nn.relu(_batch_norm(x.reshape(len(z), 4, 4, widths[0]), train))
    for features in widths[1:]:
      x = UpsampleConv(features, use_bias=False, kernel_init=WEIGHTS, dtype=self.dtype)(x)
      x = nn.relu(_batch_norm(x, train))
    x = UpsampleConv(self.channels, kernel_init=WEIGHTS, dtype=self.dtype)(x)
    return jnp.tanh(x.astype(jnp.float32))


class Discriminator(nn.Module):
  """Images to raw scores.

  Attributes:
    resolution: of the images, one of 8, 16, 32, 64, 128.
    width: channels of the first layer; they double with each halving of the size, down to 4x4.
    dtype: of the computation; parameters and scores are float32.

  Raises:
    ValueError: if the resolution is not one of these.
  """

  resolution: int
  width: int = 64
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """Images [B, resolution, resolution, C] in [-1, 1] to scores [B]."""
    for place, features in enumerate(_widths(self.resolution, self.width)):
      x = Conv(features, strides=(2, 2), use_bias=place == 0, kernel_init=WEIGHTS, dtype=self.dtype)(x)
      x = nn.leaky_relu(x if place == 0 else _batch_norm(x, train), 0.2)
    # A 4x4 convolution without padding, likewise.
    return nn.Dense(1, kernel_init=WEIGHTS, dtype=self.dtype)(x.reshape(len(x), -1))[:, 0].astype(jnp.float32)


def _batch_norm(x: jax.Array, train: bool) -> jax.Array:
  """In float32 whatever comes in; running statistics forget a tenth a move, as the authors' do."""
  scale = lambda key, shape, dtype: 1.0 + WEIGHTS(key, shape, dtype)
  norm = nn.BatchNorm(use_running_average=not train, momentum=0.9, scale_init=scale)
  return norm(x.astype(jnp.float32)).astype(x.dtype)


def _widths(resolution: int, width: int) -> list[int]:
  """Channels from half the resolution down to 4x4."""
  if resolution not in RESOLUTIONS:
    raise ValueError(f"DCGAN's resolution is one of {', '.join(map(str, RESOLUTIONS))}, not {resolution}")
  return [width * 2**i for i in range((resolution // 4).bit_length() - 1)]
