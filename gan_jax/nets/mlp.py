"""Multi-layer perceptrons, for toy distributions, small images, and as heads on features."""

import math
import numbers
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from gan_jax.errors import ConfigError
from gan_jax.game import Net, NetSpec
from gan_jax.nets import activations
from gan_jax.nets.adapt import from_spec, positive
from gan_jax.nets.layers import BatchNorm, Dense, FourierFeatures, SpectralNorm


class Generator(nn.Module):
  """Dense layers from a latent to data.

  Attributes:
    shape: of one output, [H, W, C] or [D].
    hidden: units of each hidden layer.
    activation: between layers.
    batch_norm: normalises each hidden layer, as the f-GAN paper's generator does (Nowozin et al. 2016, section 4.2).
    output: what bounds the output: `jnp.tanh` for images, None for points.
    dtype: of the products' factors; all else is float32, and so is the last product where it gives points.
  """

  shape: Sequence[int]
  hidden: Sequence[int] = (256, 256)
  activation: Callable[[jax.Array], jax.Array] = nn.relu
  batch_norm: bool = False
  output: Callable[[jax.Array], jax.Array] | None = None
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(self, *inputs: jax.Array, train: bool = True) -> jax.Array:
    """Latents [B, latent], and whatever else the generator is conditioned on, [B, ...] each, to data [B, *shape]."""
    x = flat(inputs)
    for features in self.hidden:
      x = Dense(features, use_bias=not self.batch_norm, dtype=self.dtype)(x)
      if self.batch_norm:
        x = BatchNorm()(x, train)
      x = self.activation(x)
    x = Dense(math.prod(self.shape), dtype=_exact_for_points(self.dtype, self.shape))(x)
    x = x.reshape(x.shape[0], *self.shape)
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
    frequencies: the lowest and the highest length of their wave vectors, in radians per unit of data; in between,
      lengths are log-uniform.
    dtype: of the products' factors; all else is float32, and so are the last product and one that reads points.
  """

  hidden: Sequence[int] = (256, 256)
  activation: Callable[[jax.Array], jax.Array] = nn.relu
  spectral_norm: bool = False
  powers: int = 1
  fourier: int = 0
  frequencies: tuple[float, float] = (0.5, 20.0)
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(self, *inputs: jax.Array, train: bool = True) -> jax.Array:
    """Data [B, ...], and whatever else is judged beside it, to scores [B].

    An input [B] is the standard deviation of Gaussian noise that the data is known to carry: it fades the Fourier
    features.
    """

    def dense(features, x, dtype):
      layer = Dense(features, dtype=dtype)
      return SpectralNorm(layer)(x, train) if self.spectral_norm else layer(x)

    noise = next((each for each in inputs if each.ndim == 1), None)
    data = flat([each for each in inputs if each.ndim > 1])
    x = jnp.concatenate([data**power for power in range(1, self.powers + 1)], -1)
    if self.fourier:
      x = jnp.concatenate([x, FourierFeatures(self.fourier, self.frequencies)(data, noise)], -1)
    dtype = _exact_for_points(self.dtype, *(each.shape[1:] for each in inputs))
    for features in self.hidden:
      x, dtype = self.activation(dense(features, x, dtype)), self.dtype
    return dense(1, x, jnp.float32)[:, 0]


class Head(nn.Module):
  """Dense layers from features or data to numbers: encoders, InfoGAN's recognition head (Chen et al. 2016, app. C.1).

  Attributes:
    outputs: how many numbers.
    hidden: units of each hidden layer, batch-normalised and leaky with slope 0.2.
    dtype: of the products' factors; all else is float32, and so are the last product and one that reads points.
  """

  outputs: int
  hidden: Sequence[int] = (128,)
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(self, *inputs: jax.Array, train: bool = True) -> jax.Array:
    """Inputs [B, ...] to [B, outputs]."""
    x = flat(inputs)
    dtype = _exact_for_points(self.dtype, *(each.shape[1:] for each in inputs))
    for features in self.hidden:
      x = Dense(features, use_bias=False, dtype=dtype)(x)
      x, dtype = nn.leaky_relu(BatchNorm()(x, train), 0.2), self.dtype
    return Dense(self.outputs)(x)


def generator(
  spec: NetSpec,
  /,
  *,
  hidden: Sequence[int] = (256, 256),
  activation: Callable[[jax.Array], jax.Array] = activations.relu,
  batch_norm: bool = False,
  dtype: jnp.dtype = jnp.float32,
) -> Net:
  """A `Generator` whose images end in tanh and whose points are not bounded.

  Raises:
    ConfigError: if a layer has no unit, or the game does not say the shape of the output.
  """
  _check_layers(hidden)
  shape = _known(spec)
  output = jnp.tanh if len(shape) == 3 else None
  return from_spec(Generator(shape, hidden, activation, batch_norm, output, dtype), spec)


def discriminator(
  spec: NetSpec,
  /,
  *,
  hidden: Sequence[int] = (256, 256),
  activation: Callable[[jax.Array], jax.Array] = activations.leaky_relu,
  spectral_norm: bool = False,
  powers: int = 1,
  fourier: int = 0,
  frequencies: tuple[float, float] = (0.5, 20.0),
  dtype: jnp.dtype = jnp.float32,
) -> Net:
  """A `Discriminator` of one input or several; one of shape () is the level of noise.

  Raises:
    ConfigError: if a layer has no unit, `fourier` is below 0, the frequencies are not two positive numbers, the lower
      one first, or there are several levels of noise, or no Fourier features that one could fade.
  """
  _check_layers(hidden)
  positive(powers=powers)
  if not isinstance(fourier, numbers.Integral) or fourier < 0:
    raise ConfigError(f"fourier is {fourier!r}; it has to be an integer of at least 0, which gives no features")
  pair = isinstance(frequencies, tuple | list) and len(frequencies) == 2
  if not (pair and all(isinstance(f, int | float) for f in frequencies)):
    raise ConfigError(f"frequencies is {frequencies!r}; it has to be two numbers")
  if not 0.0 < frequencies[0] <= frequencies[1]:
    raise ConfigError(f"frequencies is {frequencies!r}; they have to be above 0, the lower one first")
  levels = spec.inputs.count(())
  if levels > 1:
    raise ConfigError(f"it takes one level of noise, and the game gives it {levels}")
  if levels and not fourier:
    raise ConfigError("fourier is 0; the level of noise that the game gives it fades Fourier features alone")
  module = Discriminator(hidden, activation, spectral_norm, powers, fourier, frequencies, dtype)
  return from_spec(module, spec)


def head(spec: NetSpec, /, *, hidden: Sequence[int] = (128,), dtype: jnp.dtype = jnp.float32) -> Net:
  """A `Head` that gives a vector: what is read off features, or the latent of an encoder.

  Raises:
    ConfigError: if a layer has no unit, or the game asks for something else than a vector.
  """
  _check_layers(hidden)
  shape = _known(spec)
  if len(shape) != 1:
    raise ConfigError(f"it gives a vector, and the game asks for {list(shape)}")
  return from_spec(Head(shape[0], hidden, dtype), spec)


def flat(inputs: Sequence[jax.Array]) -> jax.Array:
  """Inputs [B, ...] side by side, [B, D]."""
  vectors = [x.reshape(x.shape[0], -1) for x in inputs]
  return vectors[0] if len(vectors) == 1 else jnp.concatenate(vectors, -1)


def _exact_for_points(dtype: jnp.dtype, *shapes: Sequence[int]) -> jnp.dtype:
  """float32 beside points: between 1 and 2 bfloat16's numbers are 0.008 apart, and modes may be 0.02 wide."""
  return dtype if any(len(shape) > 1 for shape in shapes) else jnp.dtype(jnp.float32)


def _check_layers(hidden: Sequence[int]) -> None:
  if not isinstance(hidden, tuple | list):
    raise ConfigError(f"hidden is {hidden!r}; it has to list the units of each layer, such as (256, 256)")
  positive(hidden=hidden)


def _known(spec: NetSpec) -> tuple[int, ...]:
  if spec.output is None:
    raise ConfigError("it has to know the shape of its output, which this game leaves open")
  return spec.output
