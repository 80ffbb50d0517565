"""Images as files and memory have them, whole numbers from 0 to 255, and as games see them, in [-1, 1]."""

import jax
import jax.numpy as jnp
import numpy as np


def decode(images: jax.Array) -> jax.Array:
  """uint8 of any shape to float32 in [-1, 1]."""
  # Not `images / 127.5 - 1`: a compiler may divide by multiplying with the reciprocal, and 255 then lands just above 1.
  return (images.astype(jnp.float32) - 127.5) * (1 / 127.5)


def encode(images: np.ndarray) -> np.ndarray:
  """Floats in [-1, 1], of any shape, to the nearest uint8; what lies beyond is cut off."""
  return np.round((np.clip(images, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
