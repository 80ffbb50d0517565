"""Digits from their outlines: paired images whose answer is nearly known."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from gan_jax.data.dataset import Dataset, from_arrays
from gan_jax.data.mnist import mnist5k

_CROSS = ndimage.generate_binary_structure(2, 1)[None, :, :, None]  # a pixel and the four beside it, in each image


def outlines(resolution: int = 32) -> Dataset:
  """The digits of `mnist5k`, each with its outline as the condition.

  The outline is the outer half of the morphological gradient, the dilation by a cross of five pixels less the image
  itself: white around the strokes, and black inside as outside.

  Args:
    resolution: side in pixels, as in `mnist5k`; the outline is of the digit at that size.

  Returns:
    Dataset of "x" and "condition" [resolution, resolution, 1] in [-1, 1], and "label" 0..9.

  Raises:
    ConfigError: a resolution below 1.
  """
  digits = mnist5k(resolution)
  train, test = (_with_outlines(split) for split in (digits.arrays, digits.test))
  return from_arrays("outlines", train, test, digits.classes)


def outline(images: np.ndarray) -> np.ndarray:
  """The outline of each of the images [N, H, W, C] uint8, likewise."""
  return ndimage.grey_dilation(images, footprint=_CROSS) - images


def _with_outlines(split: Mapping[str, Any]) -> dict[str, np.ndarray]:
  images = np.asarray(split["x"])
  return {"x": images, "condition": outline(images), "label": np.asarray(split["label"])}
