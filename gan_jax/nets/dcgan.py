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

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.nets.conv import Conv, UpsampleConv

RESOLUTIONS = (8, 16, 32, 64, 128)

_init = nn.initializers.normal(0.02)


class BatchNorm(nn.Module):
  """Batch normalisation over all axes but the last (Ioffe and Szegedy 2015, algorithms 1 and 2), in float32.

  The moving averages `mean` and `var` [C], in the collection "batch_stats", keep 0.9 a step, the default of the
  authors' Torch: they follow networks that never settle, and a longer memory would normalise by the past.

  Attributes:
    epsilon: what is added to the variance.
  """

  epsilon: float = 1e-5

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """[..., C] -> [..., C], by the batch's statistics in training and by their moving averages otherwise."""
    c = x.shape[-1]
    scale = self.param("scale", lambda *args: 1.0 + _init(*args), (c,), jnp.float32)
    bias = self.param("bias", nn.initializers.zeros, (c,), jnp.float32)
    moving_mean = self.variable("batch_stats", "mean", jnp.zeros, (c,), jnp.float32)
    moving_var = self.variable("batch_stats", "var", jnp.ones, (c,), jnp.float32)
    y = x.astype(jnp.float32).reshape(-1, c)
    if train:
      # Both moments in one pass over the data, and normalisation as one product and sum in another.
      mean = y.mean(0)
      var = jnp.maximum((y * y).mean(0) - mean * mean, 0.0)
      if not self.is_initializing():
        moving_mean.value = 0.9 * moving_mean.value + 0.1 * mean
        moving_var.value = 0.9 * moving_var.value + 0.1 * var
    else:
      mean, var = moving_mean.value, moving_var.value
    gain = scale * lax.rsqrt(var + self.epsilon)
    y = y * gain[None] + (bias - mean * gain)[None]
    return y.reshape(x.shape).astype(x.dtype)


class Generator(nn.Module):
  """Latent codes to images.

  Attributes:
    resolution: of the images, one of `RESOLUTIONS`.
    width: channels of the last hidden layer, at half the resolution; each layer before it has twice as many. (The
      paper's for 64x64 has 128.)
    channels: of the images.
    dtype: what to compute in; parameters, statistics and images are float32.
  """

  resolution: int = 32
  width: int = 64
  channels: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
    """z [B, latent] -> images [B, resolution, resolution, channels] in [-1, 1], float32.

    Raises:
      ValueError: for a resolution that is not one of `RESOLUTIONS`.
    """
    chex.assert_rank(z, 2)
    widths = _widths(self.resolution, self.width)[::-1]
    # A transposed convolution of a single pixel is a matrix product: y[:, i, j] = z @ kernel[i, j].
    kernel = self.param("kernel", _init, (4, 4, z.shape[-1], widths[0]), jnp.float32)
    x = jnp.einsum("bc,hwco->bhwo", z.astype(self.dtype), kernel.astype(self.dtype))
    x = nn.relu(BatchNorm()(x, train))
    for width in widths[1:]:
      x = UpsampleConv(width, use_bias=False, kernel_init=_init)(x)
      x = nn.relu(BatchNorm()(x, train))
    x = UpsampleConv(self.channels, kernel_init=_init)(x)
    return jnp.tanh(x.astype(jnp.float32))


class Discriminator(nn.Module):
  """Images to scores.

  Attributes:
    resolution: of the images, one of `RESOLUTIONS`.
    width: channels of the first layer, at half the resolution; each layer after it has twice as many.
    channels: of the images.
    dtype: what to compute in; parameters, statistics and scores are float32.
  """

  resolution: int = 32
  width: int = 64
  channels: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """x [B, resolution, resolution, channels] -> raw scores (logits) [B], float32.

    Raises:
      ValueError: for a resolution that is not one of `RESOLUTIONS`.
    """
    widths = _widths(self.resolution, self.width)
    chex.assert_shape(x, (None, self.resolution, self.resolution, self.channels))
    x = x.astype(self.dtype)
    for i, width in enumerate(widths):
      x = Conv(width, strides=(2, 2), use_bias=i == 0, kernel_init=_init)(x)
      x = nn.leaky_relu(x if i == 0 else BatchNorm()(x, train), 0.2)
    # A convolution that leaves a single pixel is a matrix product.
    kernel = self.param("kernel", _init, (4, 4, widths[-1], 1), jnp.float32)
    bias = self.param("bias", nn.initializers.zeros, (1,), jnp.float32)
    scores = jnp.einsum("bhwc,hwco->bo", x, kernel.astype(self.dtype), preferred_element_type=jnp.float32)
    return scores[:, 0] + bias


def _widths(resolution, width):
  """Channels at half the resolution, a quarter, and so on down to 4x4."""
  if resolution not in RESOLUTIONS:
    raise ValueError(f"DCGAN's resolution is one of {', '.join(map(str, RESOLUTIONS))}, not {resolution}.")
  return [width * 2**i for i in range((resolution // 4).bit_length() - 1)]
