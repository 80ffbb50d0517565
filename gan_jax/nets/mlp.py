"""Multi-layer perceptrons, for toy distributions, small images, and as heads on features."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from gan_jax.nets.layers import BatchNorm, FourierFeatures, SpectralNorm


class Generator(nn.Module):
  """Dense layers from a latent to data.

  Attributes:
    shape: of one output, [H, W, C] or [D].
    hidden: units of each hidden layer.
    activation: between layers.
    batch_norm: normalises each hidden layer, as the f-GAN paper's generator does (Nowozin et al. 2016, section 4.2).
    output: what bounds the output: `jnp.tanh` for images, None for points.
    dtype: of the computation; parameters and the output are float32.
  """

  shape: Sequence[int]
  hidden: Sequence[int] = (256, 256)
  activation: Callable[[jax.Array], jax.Array] = nn.relu
  batch_norm: bool = False
  output: Callable[[jax.Array], jax.Array] | None = None
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(self, z: jax.Array, train: bool = True) -> jax.Array:
    """Latents [B, latent] to data [B, *shape]."""
    x = z
    for features in self.hidden:
      x = nn.Dense(features, use_bias=not self.batch_norm, dtype=self.dtype)(x)
      if self.batch_norm:
        x = BatchNorm()(x, train)
      x = self.activation(x)
    x = nn.Dense(math.prod(self.shape), dtype=self.dtype)(x).astype(jnp.float32)
    x = x.reshape(len(x), *self.shape)
    return x if self.output is None else self.output(x)


class Discriminator(nn.Module):
  """Dense layers from data to a raw score, with no output activation: that belongs to the loss.

  Attributes:
    hidden: units of each hidden layer.
    activation: between layers.
    spectral_norm: divides every layer's weights by their largest singular value (Miyato et al. 2018).
    powers: the inputs are x, x^2, ..., up to this power: beyond the data, a log density ratio of Gaussians goes on as a
      quadratic function, which bounded units of x alone cannot.
    fourier: how many random Fourier features stand beside the data as inputs (Tancik et al. 2020); 0 for none.
    frequencies: the lowest and the highest length of their wave vectors, in radians per unit of data; in between, lengths
      are log-uniform.
    dtype: of the computation; parameters and scores are float32.
  """

  hidden: Sequence[int] = (256, 256)
  activation: Callable[[jax.Array], jax.Array] = nn.relu
  spectral_norm: bool = False
  powers: int = 1
  fourier: int = 0
  frequencies: tuple[float, float] = (0.5, 20.0)
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, noise: jax.Array | float = 0.0, train: bool = True) -> jax.Array:
    """Data [B, ...] to scores [B]; `noise` is the standard deviation of Gaussian noise that x is known to carry."""

    def dense(features, x):
      layer = nn.Dense(features, dtype=self.dtype)
      return SpectralNorm(layer)(x, train) if self.spectral_norm else layer(x)

    data = x.reshape(len(x), -1)
    x = jnp.concatenate([data**power for power in range(1, self.powers + 1)], -1)
    if self.fourier:
      x = jnp.concatenate([x, FourierFeatures(self.fourier, self.frequencies)(data, noise)], -1)
    for features in self.hidden:
      x = self.activation(dense(features, x))
    return dense(1, x)[:, 0].astype(jnp.float32)


class Head(nn.Module):
  """Dense layers from features to numbers, such as InfoGAN's recognition head. Chen et al. 2016, appendix C.1.

  Attributes:
    outputs: how many numbers.
    hidden: units of each hidden layer, batch-normalised and leaky with slope 0.2.
    dtype: of the computation; parameters and outputs are float32.
  """

  outputs: int
  hidden: Sequence[int] = (128,)
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """Features [B, ...] to [B, outputs]."""
    x = x.reshape(len(x), -1)
    for features in self.hidden:
      x = nn.leaky_relu(BatchNorm()(nn.Dense(features, use_bias=False, dtype=self.dtype)(x), train), 0.2)
    return nn.Dense(self.outputs, dtype=self.dtype)(x).astype(jnp.float32)
