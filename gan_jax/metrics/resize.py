"""Images brought to another size as others do it, to the number: two matrices, one for each direction.

What a Fréchet distance is depends on it (Parmar et al. 2022), so each is the one of a reference: Pillow's, which
filters before it leaves pixels out, and TensorFlow 1's, which does not.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np


def bicubic(x: jax.Array, side: int) -> jax.Array:
  """Pillow's bicubic in floating point (mode F), antialiased where images shrink: neither rounded nor clipped.

  Args:
    x: [B, H, W, C]; any scale of values.
    side: of the images that come out.

  Returns:
    [B, side, side, C]; values may lie a little beyond those of `x`.
  """
  return _resized(x, side, _pillow)


def bilinear(x: jax.Array, side: int) -> jax.Array:
  """TensorFlow 1's bilinear, which the first Fréchet Inception distances were measured with.

  A pixel of the result at i lies at i * H / side between two of the image's rows: no antialiasing, no half-pixel
  centres, and the corners are not aligned.

  Args:
    x: [B, H, W, C]; any scale of values.
    side: of the images that come out.

  Returns:
    [B, side, side, C].
  """
  return _resized(x, side, _tensorflow)


def _resized(x, side, weights):
  chex.assert_rank(x, 4)
  down, across = (jnp.asarray(weights(length, side), x.dtype) for length in x.shape[1:3])
  x = jnp.einsum("jw,bhwc->bhjc", across, x, precision="highest")
  return jnp.einsum("ih,bhjc->bijc", down, x, precision="highest")


def _pillow(length, side):
  """[side, length]: Keys's cubic (1981) with a = -1/2, as wide as `length / side` where that is above 1."""
  scale = length / side
  wide = max(scale, 1.0)
  centre = (np.arange(side)[:, None] + 0.5) * scale
  # Pillow takes whole pixels from here to there, and the kernel reaches a little beyond.
  first, last = np.trunc(np.maximum(centre - 2.0 * wide + 0.5, 0.0)), np.trunc(centre + 2.0 * wide + 0.5)
  pixel = np.arange(length)[None]
  d = np.abs(pixel + 0.5 - centre) / wide
  near, far = (1.5 * d - 2.5) * d * d + 1.0, ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
  weights = np.where(d < 1.0, near, np.where(d < 2.0, far, 0.0)) * ((pixel >= first) & (pixel < last))
  return weights / weights.sum(1, keepdims=True)


def _tensorflow(length, side):
  """[side, length]."""
  place = np.arange(side, dtype=np.float32) * np.float32(length / side)
  low = place.astype(np.int64)
  share = place - low
  weights = np.zeros((side, length))
  rows = np.arange(side)
  weights[rows, low] = 1.0 - share
  weights[rows, np.minimum(low + 1, length - 1)] += share
  return weights
