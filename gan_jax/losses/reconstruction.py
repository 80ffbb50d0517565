"""How far images are from what they should have been."""

import chex
import jax
import jax.numpy as jnp


def l1(x: jax.Array, y: jax.Array) -> jax.Array:
  """Mean absolute difference over all axes: of images in [-1, 1] it is between 0 and 2.

  CycleGAN's cycle and identity losses are sums of these, ||F(G(x)) - x||_1 (Zhu et al. 2017), with the norm
  taken as a mean over pixels and channels, as in the authors' code: lambda = 10 is meant for that.

  Args:
    x: [B, ...].
    y: the same shape. Where the two are equal, neither receives a gradient.
  """
  chex.assert_equal_shape([x, y])
  difference = x - y
  # jnp.abs has the slope 1 at zero, which would push away what is right already.
  return jnp.mean(difference * jnp.sign(difference))


def l2(x: jax.Array, y: jax.Array) -> jax.Array:
  """Mean squared difference over all axes, without a half: of images in [-1, 1] it is between 0 and 4.

  Args:
    x: [B, ...].
    y: the same shape.
  """
  chex.assert_equal_shape([x, y])
  return jnp.mean(jnp.square(x - y))
