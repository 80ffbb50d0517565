"""Levels of a pyramid by hand."""

import jax.numpy as jnp
import numpy as np

from gan_jax.pyramid import enlarged, faded, reduced

IMAGES = jnp.array([[[1.0, 3.0, 0.0, 4.0], [5.0, 7.0, 8.0, 0.0]]]).reshape(1, 2, 4, 1)


def test_reduced_images_are_means_of_squares():
  np.testing.assert_array_equal(reduced(IMAGES, 2)[0, ..., 0], [[4.0, 3.0]])
  channels = jnp.concatenate([IMAGES, -IMAGES], -1)
  np.testing.assert_array_equal(reduced(channels, 2)[0], [[[4.0, -4.0], [3.0, -3.0]]])


def test_enlarged_images_repeat_their_pixels_and_reduce_to_themselves():
  expected = [[1.0, 1.0, 3.0, 3.0, 0.0, 0.0, 4.0, 4.0]] * 2 + [[5.0, 5.0, 7.0, 7.0, 8.0, 8.0, 0.0, 0.0]] * 2
  np.testing.assert_array_equal(enlarged(IMAGES, 2)[0, ..., 0], expected)
  np.testing.assert_array_equal(reduced(enlarged(IMAGES, 4), 4), IMAGES)


def test_a_fade_is_exact_at_its_ends_and_linear_between():
  coarse, fine = jnp.full((3, 1, 1, 1), 0.1), jnp.full((3, 1, 1, 1), 0.7)
  mixed = faded(coarse, fine, jnp.array([0.0, 0.25, 1.0]))
  assert mixed[0] == coarse[0] and mixed[2] == fine[2]
  np.testing.assert_allclose(mixed[1, 0, 0, 0], 0.75 * 0.1 + 0.25 * 0.7, rtol=1e-6)
