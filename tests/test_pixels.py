"""Pixels of 0 to 255 and values in [-1, 1]."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import pixels

LEVELS = np.arange(256, dtype=np.uint8)


def test_levels_by_hand_and_never_beyond_the_range():
  for decode in (pixels.decode, jax.jit(pixels.decode)):
    values = np.asarray(decode(jnp.asarray(LEVELS)))
    assert values.dtype == np.float32 and values[0] == -1.0 and values[255] == 1.0
    np.testing.assert_allclose(values, LEVELS / 127.5 - 1.0, atol=1e-7)


def test_what_is_stored_comes_back_and_what_lies_beyond_is_cut_off():
  np.testing.assert_array_equal(pixels.encode(np.asarray(pixels.decode(jnp.asarray(LEVELS)))), LEVELS)
  np.testing.assert_array_equal(pixels.encode(np.array([-3.0, -0.999, 0.0, 0.999, 1.5])), [0, 0, 128, 255, 255])
