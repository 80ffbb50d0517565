"""Which modes of a Gaussian mixture a generator has found: the standard measures of mode collapse on toy data."""

import chex
import jax
import jax.numpy as jnp
from jax.scipy.special import entr


def evaluate(samples: jax.Array, means: jax.Array, scale: float | jax.Array) -> dict[str, jax.Array]:
  """Coverage, quality and spread of samples from an equal mixture of round Gaussians.

  A sample belongs to its nearest mode, and is of high quality if it lies less than three standard deviations from it; a
  mode is covered if some high-quality sample belongs to it. One sample covers a mode, so the number of samples matters:
  it is customarily 2,500. Srivastava et al. 2017 (VEEGAN), section 5.1; Lin et al. 2018 (PacGAN), section 4.1.

  Args:
    samples: [N, D].
    means: centres of the modes, [K, D].
    scale: their standard deviation in each direction, a scalar or [K]; if they differ, the nearest mode is the one
      fewest standard deviations away.

  Returns:
    Scalars:
      modes: how many of the K modes are covered.
      high_quality: the fraction of samples of high quality; of the data itself in the plane 1 - exp(-9/2) = 0.9889.
      mode_kl: KL(q || uniform) in nats, between 0 and log K, where q is the share of each mode among the high-quality
        samples; log K if there are none. It is the direction that PacGAN calls reverse: a mode that is never hit costs
        little. With N samples the data itself gives about (K - 1) / 2N.
      spread: root mean square of the distance in each direction between high-quality samples and their mode, in
        standard deviations; 0 if there are none. The data itself gives a little less than 1, for its tails are cut
        off: 0.9744 in the plane.
  """
  chex.assert_rank([samples, means], 2)
  chex.assert_equal_shape_suffix([samples, means], 1)
  modes, dimensions = means.shape
  distance = jnp.linalg.norm(samples[:, None] - means[None], axis=-1) / jnp.broadcast_to(scale, (1, modes))
  nearest, distance = jnp.argmin(distance, axis=1), jnp.min(distance, axis=1)
  good = distance < 3.0
  hits = jnp.zeros(modes).at[nearest].add(jnp.where(good, 1.0, 0.0))
  found = jnp.maximum(jnp.sum(hits), 1.0)
  square = jnp.sum(jnp.where(good, jnp.square(distance), 0.0)) / found
  return {
    "modes": jnp.sum(jnp.where(hits > 0, 1.0, 0.0)),
    "high_quality": jnp.mean(jnp.where(good, 1.0, 0.0)),
    "mode_kl": jnp.log(float(modes)) - jnp.sum(entr(hits / found)),
    "spread": jnp.sqrt(square / dimensions),
  }
