"""Stacks of images: what is in their channels, their labels by hand, and that draws are independent."""

import jax
import numpy as np
import pytest

from gan_jax.data import sources, stacked
from gan_jax.data.dataset import from_arrays
from gan_jax.errors import ConfigError

KEY = jax.random.key(4)
TRAIN = np.array([0, 1, 1, 2, 2, 2], np.int32)  # classes, and their images' first pixel is 10 times their number
TEST = np.array([2, 1, 0], np.int32)


def images(start, labels):
  """Every image of its own: pixels [number, class]."""
  numbers = 10 * np.arange(start, start + len(labels))
  return np.stack([numbers, labels], 1).astype(np.uint8).reshape(-1, 1, 2, 1)


def base(resolution: int = 2):
  split = lambda start, labels: {"x": images(start, labels), "label": labels}
  return from_arrays("six", split(0, TRAIN), split(len(TRAIN), TEST), classes=3)


def load(**settings):
  return sources.load(f"stacked:{__name__}:base", **settings)


def drawn(n, key=KEY):
  batch = load().draw(key, n)
  return np.round((np.asarray(batch["x"]) + 1.0) * 127.5).astype(int), np.asarray(batch["label"])


def test_channels_are_training_images_and_the_label_counts_in_base_k():
  x, label = drawn(500)
  assert x.shape == (500, 1, 2, 3)
  number, of = x[:, 0, 0] // 10, x[:, 0, 1]
  np.testing.assert_array_equal(TRAIN[number], of)  # both pixels of a channel are one image's
  np.testing.assert_array_equal(label, 9 * of[:, 0] + 3 * of[:, 1] + of[:, 2])
  assert label.dtype == np.int32


def test_channels_are_drawn_independently_and_uniformly():
  """Of 6^3 equally likely triples, chi-squared: 215 degrees of freedom, so 215 +- 21 and below 320 at 5 deviations."""
  number = drawn(20_000)[0][:, 0, 0] // 10
  triples = np.bincount(number @ [36, 6, 1], minlength=216)
  expected = 20_000 / 216
  assert np.sum((triples - expected) ** 2) / expected < 320
  assert not np.array_equal(drawn(50)[0], drawn(50, jax.random.key(5))[0])


def test_the_held_out_split_is_composed_once_of_held_out_images_alone():
  dataset, again = load(), load()
  x, label = dataset.test["x"], dataset.test["label"]
  assert x.shape == (1_000, 1, 2, 3) and x.dtype == np.uint8 and label.dtype == np.int32
  assert set((x[:, 0, 0] // 10).ravel()) == {6, 7, 8}
  of = TEST[x[:, 0, 0] // 10 - 6]
  np.testing.assert_array_equal(label, of @ [9, 3, 1])
  assert len(set(label)) == 27
  for name, held_out in dataset.test.items():
    np.testing.assert_array_equal(held_out, again.test[name])


def test_what_stacks_are_made_of_is_at_hand():
  dataset = load()
  for split, start, labels in ((dataset.arrays, 0, TRAIN), (dataset.test, 6, TEST)):
    np.testing.assert_array_equal(split["channel"], images(start, labels))
    np.testing.assert_array_equal(split["channel_label"], labels)
  assert set(dataset.arrays) == {"channel", "channel_label"}
  assert (dataset.shape, dataset.classes, dataset.size, dataset.domains) == ((1, 2, 3), 27, None, ("x",))


def test_digits():
  dataset = sources.load("stacked:digits", resolution=16)
  assert (dataset.name, dataset.shape, dataset.classes) == ("stacked:digits", (16, 16, 3), 1_000)
  assert jax.jit(dataset.draw, static_argnums=1)(KEY, 4)["x"].shape == (4, 16, 16, 3)
  assert sources.load("stacked:digits").shape == (8, 8, 3)
  rows = lambda images: {image.tobytes() for image in np.asarray(images)}
  seen = rows(dataset.arrays["channel"])
  assert len(seen) > 1_000
  assert not seen & rows(np.moveaxis(dataset.test["x"], -1, 1).reshape(-1, 16, 16, 1))


@pytest.mark.parametrize(
  ("name", "settings", "message"),
  [
    ("ring8", {}, "ring8 has no labels at hand"),
    ("ring8", {"resolution": 8}, "ring8 has no resolution"),
    ("sprites", {}, "sprites has no labels at hand"),
    ("stacked:digits", {}, "stacked:digits has no labels at hand"),
    ("mnist6k", {}, "Did you mean 'mnist5k'"),
  ],
)
def test_what_cannot_be_stacked(name, settings, message):
  with pytest.raises(ConfigError, match=message):
    stacked.load(name, **settings)


def colour():
  x = np.zeros((4, 2, 2, 3), np.uint8)
  labels = np.zeros(4, np.int32)
  return from_arrays("colour", {"x": x, "label": labels}, {"x": x, "label": labels}, classes=1)


def test_colour_cannot_be_stacked():
  with pytest.raises(ConfigError, match=r"those of .*colour are \[2, 2, 3\]"):
    stacked.load(f"{__name__}:colour")
