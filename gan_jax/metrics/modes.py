"""Which modes a generator has found, of a Gaussian mixture or of stacked digits: the measures of mode collapse."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr
from scipy.special import rel_entr


def evaluate(samples: jax.Array, means: jax.Array, scale: float | jax.Array) -> dict[str, jax.Array]:
  """Coverage, quality and spread of samples from an equal mixture of round Gaussians.

  A sample belongs to its nearest mode, and is of high quality if it lies less than three standard deviations from it; a
  mode is covered if some high-quality sample belongs to it. Srivastava et al. 2017 (VEEGAN) and Lin et al. 2018
  (PacGAN), with 2,500 samples. One sample covers a mode, so that of 2,500 uniform ones on the square around the ring or
  the grid 0.5% or 2.6% are of high quality, and yet cover 6 to 8 of 8 modes, or 23 of 25. So a stricter count stands
  beside it, which this noise leaves at 0: a mode has half its share if at least N / 2K high-quality samples belong to
  it, half of what N samples shared equally would give it. Nobody else's rule: papers that are stricter differ.

  Args:
    samples: [N, D].
    means: centres of the modes, [K, D].
    scale: their standard deviation in each direction, a scalar or [K]; if they differ, the nearest mode is the one
      fewest standard deviations away.

  Returns:
    Scalars:
      modes: how many of the K modes are covered.
      modes_half_share: how many have half their share.
      high_quality: the fraction of samples of high quality; of the data itself in the plane 1 - exp(-9/2) = 0.9889.
      mode_kl: KL(q || uniform) in nats, between 0 and log K, where q is the share of each mode among the high-quality
        samples; log K if there are none. It is the direction that PacGAN calls reverse: a mode that is never hit costs
        little. With N samples the data itself gives about (K - 1) / 2N.
      spread: root mean square of the distance in each direction between high-quality samples and their mode, in
        standard deviations; 0 if there are none. The data itself gives a little less than 1, for its tails are cut
        off: 0.9744 in the plane.

  Examples:
    >>> import jax.numpy as jnp
    >>> found = evaluate(jnp.array([[0.1], [0.2], [9.0], [0.0]]), jnp.array([[0.0], [9.0], [20.0]]), 0.1)
    >>> float(found["modes"]), float(found["high_quality"])
    (2.0, 1.0)
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
    "modes_half_share": jnp.sum(jnp.where(hits >= len(samples) / (2 * modes), 1.0, 0.0)),
    "high_quality": jnp.mean(jnp.where(good, 1.0, 0.0)),
    "mode_kl": jnp.log(float(modes)) - jnp.sum(entr(hits / found)),
    "spread": jnp.sqrt(square / dimensions),
  }


def stacked(labels: np.ndarray, shares: np.ndarray) -> dict[str, float]:
  """Which combinations of classes occur where each channel holds an image of its own, as in stacked MNIST.

  Three digits make 1,000 modes. Metz et al. 2017; Srivastava et al. 2017 (VEEGAN), on 26,000 samples. State the number
  of samples and the classifier's accuracy with it.

  Args:
    labels: the classes that a classifier finds in the channels, [N, C] integers from 0.
    shares: how frequent each class is in the data, [K], summing to 1. Channels are independent there.

  Returns:
    modes: how many of the K^C combinations occur.
    mode_kl: KL(q || data) in nats of their shares q, inf if one occurs that the data lacks. N samples of the data
      itself give about (K^C - 1) / 2N.

  Raises:
    ValueError: a label is not a class, there are none, or shares do not sum to 1.
  """
  labels, shares = np.asarray(labels), np.asarray(shares, np.float64)
  chex.assert_rank([labels, shares], [2, 1])
  if not labels.size or not np.isclose(shares.sum(), 1.0):
    raise ValueError(
      f"there are {len(labels)} labels, which must be at least one, and shares sum to {shares.sum()}, not 1"
    )
  expected = functools.reduce(np.multiply.outer, [shares] * labels.shape[1])
  hits = np.bincount(np.ravel_multi_index(tuple(labels.T), expected.shape), minlength=expected.size)
  kl = rel_entr(hits / len(labels), expected.ravel()).sum()
  return {"modes": float(np.count_nonzero(hits)), "mode_kl": float(kl)}
