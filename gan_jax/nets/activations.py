"""Functions between layers, elementwise: `x -> y` of any shape."""

import jax
import jax.numpy as jnp


def relu(x: jax.Array, /) -> jax.Array:
  """max(0, x)."""
  return jax.nn.relu(x)


def leaky_relu(x: jax.Array, /, *, slope: float = 0.2) -> jax.Array:
  """x where it is positive, slope * x elsewhere; 0.2 is DCGAN's slope (Radford et al. 2016, section 4)."""
  return jax.nn.leaky_relu(x, slope)


def elu(x: jax.Array, /) -> jax.Array:
  """x where it is positive, exp(x) - 1 elsewhere."""
  return jax.nn.elu(x)


def tanh(x: jax.Array, /) -> jax.Array:
  """The hyperbolic tangent."""
  return jnp.tanh(x)
