import numpy as np
import pytest

from gan_jax import host
from gan_jax.data.transforms import fit
from gan_jax.errors import ConfigError


def noise(*shape):
  return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(3, 16, 16, 1), (3, 28, 28, 3)])
def test_same_size_is_untouched(shape):
  images = noise(*shape)
  np.testing.assert_array_equal(fit(images, shape[1]), images)
  np.testing.assert_array_equal(fit(images), images)


def test_mnist_is_padded_with_black():
  images = noise(4, 28, 28, 1)
  padded = fit(images, 32)
  np.testing.assert_array_equal(padded[:, 2:30, 2:30], images)
  assert padded.astype(int).sum() == images.astype(int).sum() and padded.dtype == np.uint8


def test_colour_of_the_same_size_is_resampled_not_padded():
  resampled = fit(np.full((1, 28, 28, 3), 200, np.uint8), 32)
  assert (resampled == 200).all()


@pytest.mark.parametrize("height, width, window", [(10, 6, np.s_[:, 2:8, :]), (6, 11, np.s_[:, :, 2:8])])
def test_crops_to_the_central_square(height, width, window):
  images = noise(2, height, width, 3)
  np.testing.assert_array_equal(fit(images, 6), images[window])


def test_crop_comes_before_resampling():
  images = np.zeros((1, 8, 24, 1), np.uint8)
  images[:, :, 8:16] = 90
  assert (fit(images, 4) == 90).all()


@pytest.mark.parametrize("resolution", [1, 7, 16, 40])
@pytest.mark.parametrize("channels", [1, 3])
def test_resampling_keeps_flat_images_flat_and_channels_apart(resolution, channels):
  images = np.broadcast_to(np.array([10, 120, 255][:channels], np.uint8), (2, 20, 20, channels))
  fitted = fit(images, resolution)
  assert fitted.shape == (2, resolution, resolution, channels) and fitted.dtype == np.uint8
  assert (fitted == images[0, 0, 0]).all()


def test_shrinking_does_not_alias():
  """Stripes two pixels apart are too fine for half the size: they must become grey, not black or white."""
  stripes = np.zeros((1, 32, 32, 1), np.uint8)
  stripes[:, :, ::2] = 255
  assert np.abs(fit(stripes, 16)[:, :, 1:-1].astype(int) - 127).max() < 16


@pytest.mark.parametrize("resolution", [8, 64])
def test_orientation_and_order_survive(resolution):
  images = np.zeros((4, 32, 32, 1), np.uint8)
  for i, (top, left) in enumerate([(0, 0), (0, 16), (16, 0), (16, 16)]):
    images[i, top : top + 16, left : left + 16] = 255
  half = resolution // 2
  quarters = fit(images, resolution).reshape(4, 2, half, 2, half).mean((2, 4)).reshape(4, 4)
  np.testing.assert_allclose(quarters, np.eye(4) * 255, atol=12)


@pytest.mark.parametrize("shape, dtype", [((2, 8, 8), "uint8"), ((2, 8, 8, 1), "float32"), ((2, 8, 8, 1), "int32")])
def test_other_ranks_and_dtypes_are_errors(shape, dtype):
  with pytest.raises(ValueError, match=rf"must be uint8 \[N, H, W, C\], not {dtype} \[2, 8, 8"):
    fit(np.zeros(shape, dtype), 4)


@pytest.mark.parametrize("resolution", [0, -3])
def test_resolution_must_be_positive(resolution):
  with pytest.raises(ValueError, match=f"resolution is {resolution}; it has to be at least 1"):
    fit(noise(1, 4, 4, 1), resolution)


def test_a_resolution_at_which_the_images_do_not_fit_into_memory_is_refused(monkeypatch):
  images = np.zeros((3, 4, 4, 1), np.uint8)
  monkeypatch.setattr(host, "memory", lambda: 3 * 8 * 8)
  assert fit(images, 8).shape == (3, 8, 8, 1)
  monkeypatch.setattr(host, "memory", lambda: 3 * 8 * 8 - 1)
  with pytest.raises(ConfigError, match=r"resolution is 8: 3 images then take 0.0 GiB, and there are 0.0 GiB"):
    fit(images, 8)
  monkeypatch.setattr(host, "memory", lambda: None)
  assert fit(images, 8).shape == (3, 8, 8, 1)
