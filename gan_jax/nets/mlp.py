"""Multi-layer perceptrons, for toy distributions and small images."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn


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
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, dtype=self.dtype)(x)
      x = self.activation(x)
    x = nn.Dense(math.prod(self.shape), dtype=self.dtype)(x).astype(jnp.float32)
    x = x.reshape(len(x), *self.shape)
    return x if self.output is None else self.output(x)


class Discriminator(nn.Module):
  """Dense layers from data to a raw score, with no output activation: that belongs to the loss.

  Attributes:
    hidden: units of each hidden layer.
    activation: between layers.
    dtype: of the computation; parameters and scores are float32.
  """

  hidden: Sequence[int] = (256, 256)
  activation: Callable[[jax.Array], jax.Array] = nn.relu
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Data [B, ...] to scores [B]."""
    x = x.reshape(len(x), -1)
    for features in self.hidden:
      x = self.activation(nn.Dense(features, dtype=self.dtype)(x))
    return nn.Dense(1, dtype=self.dtype)(x)[:, 0].astype(jnp.float32)
