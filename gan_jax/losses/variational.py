"""The terms of a variational autoencoder, in nats. Kingma and Welling 2014."""

import chex
import jax
import jax.numpy as jnp


def kl_to_standard_normal(mean: jax.Array, log_variance: jax.Array | float) -> jax.Array:
  """KL(N(mean, exp(log_variance)) || N(0, I)) = 1/2 sum(mean^2 + variance - log variance - 1). Their appendix B.

  Args:
    mean: [B, ...].
    log_variance: the same shape, or a number for all: 0 leaves half the squared norm of the mean.

  Returns:
    [B], at least 0.

  Examples:
    >>> import jax.numpy as jnp
    >>> kl_to_standard_normal(jnp.array([[0.0, 0.0], [3.0, 4.0]]), jnp.zeros((2, 2))).tolist()  # |mean|^2 / 2
    [0.0, 12.5]
  """
  log_variance = jnp.broadcast_to(jnp.asarray(log_variance, mean.dtype), mean.shape)
  # expm1, for near a variance of 1 the difference of two nearly equal numbers would be all rounding.
  terms = jnp.square(mean) + jnp.expm1(log_variance) - log_variance
  return 0.5 * jnp.sum(terms.reshape(len(mean), -1), axis=1)


def reparameterised(key: jax.Array, mean: jax.Array, log_variance: jax.Array | float) -> jax.Array:
  """mean + exp(log_variance / 2) * noise, of the shape of `mean`: a draw through which gradients reach both."""
  return mean + jnp.exp(0.5 * jnp.asarray(log_variance, mean.dtype)) * jax.random.normal(key, mean.shape, mean.dtype)


def gaussian_negative_log_likelihood(x: jax.Array, mean: jax.Array) -> jax.Array:
  """-log N(x; mean, I) without its constant: 1/2 sum((x - mean)^2).

  Args:
    x: [B, ...].
    mean: the same shape.

  Returns:
    [B], at least 0.
  """
  chex.assert_equal_shape([x, mean])
  return 0.5 * jnp.sum(jnp.square(x - mean).reshape(len(x), -1), axis=1)
