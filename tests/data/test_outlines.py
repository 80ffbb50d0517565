"""Digits and their outlines: what an outline is, and that each stands beside its own digit."""

import jax
import numpy as np
import pytest

from gan_jax.data.dataset import decode
from gan_jax.data.mnist import mnist5k
from gan_jax.data.outlines import _with_outlines, outlines
from gan_jax.errors import ConfigError


def by_definition(image):
  """The largest of each pixel and the four beside it, less the pixel."""
  padded = np.pad(image, 1).astype(int)
  beside = [padded[1:-1, 1:-1], padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
  return np.max(beside, 0) - image


def test_an_outline_by_hand():
  """Of two pixels, neither of which reaches the other image, the other channel or a corner."""
  x = np.zeros((2, 4, 5, 1), np.uint8)
  x[0, 1, 1], x[0, 1, 2] = 200, 60
  found = _with_outlines({"x": x, "label": np.zeros(2)})["condition"]
  expected = np.array([[0, 200, 60, 0, 0], [200, 0, 140, 60, 0], [0, 200, 60, 0, 0], [0, 0, 0, 0, 0]])
  np.testing.assert_array_equal(found[0, :, :, 0], expected)
  assert not found[1].any() and found.dtype == np.uint8


def test_each_digit_has_its_outline():
  dataset, digits = outlines(32), mnist5k(32)
  assert (dataset.name, dataset.shape, dataset.condition, dataset.classes) == ("outlines", (32, 32, 1), (32, 32, 1), 10)
  assert dataset.size == 4_000 and dataset.domains == ("x",)
  for split, source in ((dataset.arrays, digits.arrays), (dataset.test, digits.test)):
    for name in ("x", "label"):
      np.testing.assert_array_equal(split[name], source[name])
    for i in (0, 500, 999):
      np.testing.assert_array_equal(
        np.asarray(split["condition"])[i, :, :, 0], by_definition(np.asarray(split["x"])[i, :, :, 0])
      )


def test_pairs_are_drawn_together():
  batch = outlines(28).draw(jax.random.key(0), 20)
  pixels = {k: np.rint((np.asarray(batch[k]) + 1.0) * 127.5).astype(int)[..., 0] for k in ("x", "condition")}
  for x, condition in zip(pixels["x"], pixels["condition"], strict=True):
    np.testing.assert_array_equal(condition, by_definition(x))
  assert decode(batch)["label"].dtype == np.int32


def test_a_resolution_below_one_is_refused():
  with pytest.raises(ConfigError, match="resolution is 0; it has to be at least 1"):
    outlines(0)
