"""Resizes against Pillow, and against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax.metrics import resize

SIZES = [(32, 32, 299), (28, 28, 224), (64, 48, 13), (301, 150, 37), (7, 5, 5), (1, 2, 4), (16, 16, 16)]


def noise(*shape, low=0, high=256):
  return np.random.default_rng(0).integers(low, high, shape, np.uint8)


def pillow(image, side, mode):
  return np.stack(
    [
      np.asarray(Image.fromarray(image[..., c].astype(mode)).resize((side, side), Image.Resampling.BICUBIC))
      for c in range(image.shape[-1])
    ],
    axis=-1,
  )


@pytest.mark.parametrize("height, width, side", SIZES)
def test_bicubic_is_pillows(height, width, side):
  """In floating point, as clean-fid does it, to a thousandth of a level; of whole numbers, to one level.

  Pillow rounds and clips whole numbers between the two directions, so those of the test leave room for what overshoots.
  """
  x = noise(2, height, width, 3)
  found = np.asarray(resize.bicubic(jnp.asarray(x, jnp.float32), side))
  assert found.shape == (2, side, side, 3)
  for image, ours in zip(x, found, strict=True):
    np.testing.assert_allclose(ours, pillow(image, side, np.float32), rtol=0, atol=1e-3)
  whole = noise(1, height, width, 1, low=64, high=192)
  rounded = np.round(resize.bicubic(jnp.asarray(whole, jnp.float32), side))[0]
  assert np.abs(rounded - pillow(whole[0], side, np.uint8).astype(float)).max() <= 1.0


def test_bicubic_by_hand():
  """Twice the size: an inner pixel lies a quarter off one of the image's, and Keys's kernel at 5/4, 1/4, 3/4, 7/4 is
  -9/128, 111/128, 29/128, -3/128. At half the size it is twice as wide."""
  step = jnp.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]).reshape(1, 1, 6, 1)
  found = np.asarray(resize.bicubic(jnp.broadcast_to(step, (1, 6, 6, 1)), 12))[0, 0, :, 0]
  np.testing.assert_allclose(found[4:8], [-9 / 128, 26 / 128, 102 / 128, 137 / 128], atol=1e-6)
  impulse = jnp.zeros((1, 8, 8, 1)).at[0, 4, 4, 0].set(1.0)
  # Its pixel is 7/4, 3/4, 1/4 and 5/4 away from those that come out, and the kernel is half as high; of the kernel's
  # 256 parts the outer pixels lose 29 - 9 - 3 beyond the image, the inner ones -3.
  line = np.array([-3 / 239, 29 / 259, 111 / 259, -9 / 239])
  np.testing.assert_allclose(resize.bicubic(impulse, 4)[0, :, :, 0], np.outer(line, line), atol=1e-6)


def test_bilinear_by_hand():
  """Rows 0, 10, 20 to five: they lie at 0, 0.6, 1.2, 1.8, 2.4, and beyond the last row is the last row."""
  ramp = jnp.broadcast_to(jnp.array([0.0, 10.0, 20.0]).reshape(1, 3, 1, 1), (1, 3, 3, 1))
  found = np.asarray(resize.bilinear(ramp, 5))[0]
  np.testing.assert_allclose(found[:, 2, 0], [0.0, 6.0, 12.0, 18.0, 20.0], atol=1e-5)
  np.testing.assert_allclose(
    np.asarray(resize.bilinear(jnp.swapaxes(ramp, 1, 2), 5))[0, 3, :, 0], found[:, 2, 0], atol=1e-5
  )
  # Half the size takes every other pixel: there is no filter. The same size takes all.
  x = jnp.asarray(noise(2, 8, 8, 3), jnp.float32)
  np.testing.assert_array_equal(resize.bilinear(x, 4), x[:, ::2, ::2])
  np.testing.assert_array_equal(resize.bilinear(x, 8), x)


def test_bilinear_by_two_loops():
  x, side = noise(1, 9, 14, 2).astype(np.float64), 23
  expected = np.empty((side, side, 2))
  for i, j in np.ndindex(side, side):
    (a, down), (b, across) = divmod(i * 9 / side, 1), divmod(j * 14 / side, 1)
    rows, columns = [int(a), min(int(a) + 1, 8)], [int(b), min(int(b) + 1, 13)]
    four = x[0][np.ix_(rows, columns)]
    expected[i, j] = np.einsum("a,b,abc->c", [1 - down, down], [1 - across, across], four)
  np.testing.assert_allclose(resize.bilinear(jnp.asarray(x, jnp.float32), side)[0], expected, atol=1e-3)


@pytest.mark.parametrize("resized", [resize.bicubic, resize.bilinear])
def test_they_pass_through_jit_and_keep_what_is_flat(resized):
  flat = jnp.full((1, 20, 11, 3), -0.3)
  np.testing.assert_allclose(jax.jit(resized, static_argnums=1)(flat, 7), np.full((1, 7, 7, 3), -0.3), atol=1e-6)
