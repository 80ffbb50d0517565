"""Layers that several networks share."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from gan_jax.nets.products import product


class Dense(nn.Module):
  """`flax.linen.Dense` with float32 parameters, sums and outputs, whatever its product's factors are rounded to.

  Attributes:
    features: how many outputs there are.
    use_bias: whether to add a bias.
    kernel_init: (key, shape, dtype) -> kernel [inputs, features].
    dtype: of the product's factors.
  """

  features: int
  use_bias: bool = True
  kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, inputs] -> [B, features], float32."""
    kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), jnp.float32)
    y = product(x.astype(self.dtype), kernel)
    if not self.use_bias:
      return y
    return y + self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)[None]


class SpectralNorm(nn.Module):
  """Divides a layer's weights by their largest singular value, found by power iteration. Miyato et al. 2018, alg. 1.

  `SpectralNorm(Dense(8))(x, train)`. Every parameter of two or more axes is taken as a matrix [inputs, outputs], a
  convolution's as [kh * kw * C, O]; biases stay as they are. Parameters keep the names that they have without it.

  One application in training is one step of the iteration. sigma = v^T W u is differentiated in W, not in u and v. The
  collection "spectral" keeps u, [outputs]; v follows from it. With `train` False u stays, and the layer is the one that
  training left, where `flax.linen.SpectralNorm` would iterate once more.

  Attributes:
    layer: what is normalised.
  """

  layer: nn.Module

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """Calls the layer on `x`."""
    if self.is_initializing():
      self.layer(x)  # map_variables could draw the parameters too, but would then keep the normalised ones
    normalise = functools.partial(self._normalise, train=train)
    return nn.map_variables(lambda layer, x: layer(x), "params", normalise)(self.layer, x)

  def _normalise(self, variables: Any, train: bool) -> Any:
    bound = lambda name, w: w / self._sigma(name, w.reshape(-1, w.shape[-1]), train) if w.ndim > 1 else w
    return {"params": {name: bound(name, w) for name, w in variables["params"].items()}}

  def _sigma(self, name: str, matrix: jax.Array, train: bool) -> jax.Array:
    start = lambda: jax.random.normal(self.make_rng("params"), (matrix.shape[1],), matrix.dtype)
    variable = self.variable("spectral", name, start)
    fixed, u = jax.lax.stop_gradient((matrix, variable.value))
    if train:
      variable.value = u = _unit(_unit(fixed @ u) @ fixed)
    # An average of unit vectors does not have length one.
    u = _unit(u)
    return _unit(fixed @ u) @ matrix @ u


def _unit(x: jax.Array) -> jax.Array:
  return x / (jnp.linalg.norm(x) + 1e-12)


class BatchNorm(nn.Module):
  """Batch normalisation over all axes but the last (Ioffe and Szegedy 2015, algorithms 1 and 2), in float32.

  The moving averages `mean` and `var` [C], in the collection "batch_stats", keep 0.9 a step, the default of
  Torch: they follow networks that never settle, and a longer memory would normalise by the past.

  Attributes:
    epsilon: what is added to the variance.
    scale_init: `(key, shape, dtype) -> scale` at first.
  """

  epsilon: float = 1e-5
  scale_init: nn.initializers.Initializer = nn.initializers.ones

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = True) -> jax.Array:
    """[..., C] -> [..., C], by the batch's statistics in training and by their moving averages otherwise."""
    c = x.shape[-1]
    scale = self.param("scale", self.scale_init, (c,), jnp.float32)
    bias = self.param("bias", nn.initializers.zeros, (c,), jnp.float32)
    y = x.astype(jnp.float32).reshape(-1, c)
    mean, var = _moments(self, y, train)
    gain = scale * jax.lax.rsqrt(var + self.epsilon)
    y = y * gain[None] + (bias - mean * gain)[None]
    return y.reshape(x.shape).astype(x.dtype)


class ConditionalBatchNorm(nn.Module):
  """`BatchNorm` whose scale and shift are linear in a condition; of a one-hot vector, one pair for each class.

  Dumoulin et al. 2017 (for instance norm), de Vries et al. 2017, as the generator of Miyato and Koyama 2018 has it. The
  moments are those of the whole batch, whatever its conditions. Parameters `scale` and `bias`, [conditions, C].

  Attributes:
    epsilon: what is added to the variance.
  """

  epsilon: float = 1e-5

  @nn.compact
  def __call__(self, x: jax.Array, condition: jax.Array, train: bool = True) -> jax.Array:
    """[B, ..., C], [B, conditions] -> [B, ..., C], by the batch's statistics in training, else by moving averages."""
    c = x.shape[-1]
    table = (condition.shape[-1], c)
    scale = condition @ self.param("scale", nn.initializers.ones, table, jnp.float32)
    bias = condition @ self.param("bias", nn.initializers.zeros, table, jnp.float32)
    y = x.astype(jnp.float32)
    mean, var = _moments(self, y.reshape(-1, c), train)
    gain = scale * jax.lax.rsqrt(var + self.epsilon)[None]
    everywhere = lambda of_sample: of_sample.reshape(x.shape[0], *[1] * (x.ndim - 2), c)
    return (y * everywhere(gain) + everywhere(bias - mean[None] * gain)).astype(x.dtype)


def _moments(module: nn.Module, y: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
  """Mean and variance that a batch norm normalises [N, C] by, [C]; moves its averages in training."""
  c = y.shape[-1]
  moving_mean = module.variable("batch_stats", "mean", jnp.zeros, (c,), jnp.float32)
  moving_var = module.variable("batch_stats", "var", jnp.ones, (c,), jnp.float32)
  if not train:
    return moving_mean.value, moving_var.value
  # Both moments in one pass over the data, and normalisation as one product and sum in another.
  mean = y.mean(0)
  var = jnp.maximum((y * y).mean(0) - mean * mean, 0.0)
  if not module.is_initializing():
    moving_mean.value = 0.9 * moving_mean.value + 0.1 * mean
    moving_var.value = 0.9 * moving_var.value + 0.1 * var
  return mean, var


class InstanceNorm(nn.Module):
  """Normalises each channel of each image by its own mean and biased variance, in float32. Ulyanov et al. 2016.

  It has no scale and shift of its own, and no moving averages: training and sampling are alike. A map of one pixel
  becomes zero.

  Attributes:
    epsilon: what is added to the variance.
  """

  epsilon: float = 1e-5

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, H, W, C]."""
    y = x.astype(jnp.float32)
    # In two passes: the maps of a flat image differ by little from a large mean, and in one pass that is lost.
    y = y - y.mean((1, 2), keepdims=True)
    # The root is taken of [B, C]: of [B, 1, 1, C] XLA compiles it differently inside a gradient and outside (jax
    # 0.10.2), and CycleGAN's two moves no longer share their translations.
    scale = jax.lax.rsqrt(jnp.square(y).mean((1, 2)) + self.epsilon)
    return (y * scale[:, None, None]).astype(x.dtype)


class FourierFeatures(nn.Module):
  """cos(w.x) and sin(w.x) for wave vectors w drawn once. Tancik et al. 2020, section 5.

  The features of x + noise, averaged over Gaussian noise, are those of x times exp(-|w|^2 noise^2 / 2): by that they
  are faded here, so that a noise-conditional network sees no wave shorter than what the noise leaves of it.

  Attributes:
    waves: how many w.
    frequencies: bounds of |w|, in radians per unit of x, log-uniform in between.
  """

  waves: int
  frequencies: tuple[float, float]

  @nn.compact
  def __call__(self, x: jax.Array, noise: jax.Array | None = None) -> jax.Array:
    """[B, D] -> [B, 2 waves]; `noise` [B] is a standard deviation in units of x.

    The w are in the collection "waves".
    """
    w = self.variable("waves", "w", lambda: self._draw(self.make_rng("params"), x.shape[-1])).value
    waves = [jnp.cos(x @ w), jnp.sin(x @ w)]
    if noise is not None:
      fade = jnp.exp(-0.5 * jnp.square(noise[:, None] * jnp.linalg.norm(w, axis=0)[None]))
      waves = [wave * fade for wave in waves]
    return jnp.concatenate(waves, axis=-1)

  def _draw(self, key: jax.Array, dimensions: int) -> jax.Array:
    direction_key, length_key = jax.random.split(key)
    direction = jax.random.normal(direction_key, (dimensions, self.waves))
    low, high = (math.log(frequency) for frequency in self.frequencies)
    length = jnp.exp(jax.random.uniform(length_key, (1, self.waves), minval=low, maxval=high))
    return length * direction / jnp.linalg.norm(direction, axis=0, keepdims=True)
