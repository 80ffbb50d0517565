"""Bringing stored images to the resolution that a network is built for."""

import numpy as np
from PIL import Image

from gan_jax import host
from gan_jax.errors import ConfigError, at_least_one


def fit(images: np.ndarray, resolution: int | None = None) -> np.ndarray:
  """Brings images to `resolution` x `resolution` pixels.

  Images that have that size already are left as they are. MNIST-shaped ones, 28x28 with one channel, are padded with
  black to 32x32, as is standard, which leaves the pen strokes untouched. All else is cropped to its central square,
  and resampled with Pillow's bicubic filter, which widens as it shrinks an image and so does not alias; the choice of
  filter moves the Fréchet distance (Parmar et al., 2022, On Aliased Resizing and Surprising Subtleties in GAN
  Evaluation).

  Args:
    images: [N, H, W, C] uint8, grey or in colour: channels are resampled one by one.
    resolution: side in pixels; None leaves the images as they are.

  Returns:
    [N, resolution, resolution, C] uint8.

  Raises:
    ConfigError: images of another rank or dtype, a resolution below 1, or one at which they do not fit into memory.
  """
  if images.ndim != 4 or images.dtype != np.uint8:
    raise ConfigError(f"images must be uint8 [N, H, W, C], not {images.dtype} {list(images.shape)}")
  if resolution is None:
    return images
  at_least_one("resolution", resolution)
  count, height, width, channels = images.shape
  if (height, width, channels, resolution) == (28, 28, 1, 32):
    return np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
  side = min(height, width)
  top, left = (height - side) // 2, (width - side) // 2
  square = images[:, top : top + side, left : left + side]
  if side == resolution:
    return square
  there, size = host.memory(), count * resolution**2 * channels
  if there is not None and size > there:
    raise ConfigError(
      f"resolution is {resolution}: {count:,} images then take {size / 2**30:,.1f} GiB, and there are "
      f"{there / 2**30:,.1f} GiB of memory"
    )
  fitted = np.empty((count, resolution, resolution, channels), np.uint8)
  for i, c in np.ndindex(count, channels):
    channel = Image.fromarray(np.ascontiguousarray(square[i, :, :, c]))
    fitted[i, :, :, c] = np.asarray(channel.resize((resolution, resolution), Image.Resampling.BICUBIC))
  return fitted
