"""Which digit and which patch every image of the two domains comes from."""

import jax
import numpy as np
import pytest

from gan_jax.data.dataset import decode
from gan_jax.data.mnist import mnist5k
from gan_jax.data.mnist2colour import _photographs, mnist2colour


@pytest.fixture(scope="module")
def dataset():
  return mnist2colour()


def train_split(dataset):
  return {k: np.asarray(v) for k, v in dataset.arrays.items()}


def rows(images):
  return {image.tobytes() for image in images}


def digits(split, half):
  """The digits of one half of each class, as three equal channels, and their labels: from the data's definition."""
  members = [np.flatnonzero(split["label"] == c) for c in range(10)]
  index = np.concatenate([np.split(m, 2)[half] for m in members])
  return np.repeat(split["x"][index], 3, axis=3), split["label"][index]


def patch(blend, digit):
  """|patch - digit| is patch where the digit is 0 and 255 - patch where it is 255; elsewhere it does not tell."""
  return np.where(digit == 0, blend, np.where(digit == 255, 255 - blend, 0)), (digit == 0) | (digit == 255)


def origin(blend, digit, photographs):
  """All (photograph, left) at which the patch occurs in full, by a few pixels first and then by all that tell."""
  found = []
  wanted, known = patch(blend, digit)
  probes = np.argwhere(known.all(axis=2))[::97]
  for number, photograph in enumerate(photographs):
    height, width = (side - 31 for side in photograph.shape[:2])
    i, j = probes[0]
    corners = np.argwhere((photograph[i : i + height, j : j + width] == wanted[i, j]).all(axis=2))
    for i, j in probes[1:]:
      corners = corners[(photograph[corners[:, 0] + i, corners[:, 1] + j] == wanted[i, j]).all(axis=1)]
    for top, left in corners:
      window = photograph[top : top + 32, left : left + 32]
      if np.array_equal(np.abs(window.astype(int) - digit), blend):
        found.append((number, left))
  return found


def test_shapes_and_ranges(dataset):
  assert (dataset.name, dataset.shape, dataset.classes, dataset.size) == ("mnist2colour", (32, 32, 3), 10, 2000)
  train = train_split(dataset)
  assert {k: (v.shape, v.dtype) for k, v in train.items()} == {
    "x": ((2000, 32, 32, 3), np.uint8),
    "label": ((2000,), np.int32),
    "y": ((10_000, 32, 32, 3), np.uint8),
    "label_y": ((10_000,), np.int32),
  }
  image, label = ((500, 32, 32, 3), np.uint8), ((500,), np.int32)
  expected = {"x": image, "label": label, "y": image, "label_y": label, "x_in_y": image, "y_in_x": image}
  assert {k: (v.shape, v.dtype) for k, v in dataset.test.items()} == expected
  batch = dataset.draw(jax.random.key(0), 16)
  assert batch.keys() == train.keys() and batch["x"].min() == -1.0 and batch["y"].dtype == np.float32
  assert batch["x"].shape == batch["y"].shape == (16, 32, 32, 3) and abs(batch["y"]).max() <= 1.0


def test_domains_have_different_digits_with_their_labels(dataset):
  """x is the first half of every class and y the second, in training and held out; no digit is in two places."""
  source, train = mnist5k(32), train_split(dataset)
  arrays = {k: np.asarray(v) for k, v in source.arrays.items()}
  for split, domains in ((arrays, train), (source.test, dataset.test)):
    expected, labels = digits(split, 0)
    np.testing.assert_array_equal(domains["x"], expected)
    np.testing.assert_array_equal(domains["label"], labels)
  clean_y, labels = digits(source.test, 1)
  np.testing.assert_array_equal(dataset.test["y_in_x"], clean_y)
  np.testing.assert_array_equal(dataset.test["label_y"], labels)
  digits_y, labels = digits(arrays, 1)
  np.testing.assert_array_equal(train["label_y"], np.repeat(labels, 5))
  parts = [rows(part) for part in (train["x"], digits_y, dataset.test["x"], clean_y)]
  assert len(set.union(*parts)) == sum(map(len, parts)) == 5000


def test_every_blend_is_a_digit_and_a_patch_of_its_own_region(dataset):
  """Each is found in a photograph: training left of three quarters, held out right of it; five for each digit."""
  photographs, train = _photographs(), train_split(dataset)
  digits_y, _ = digits({k: np.asarray(v) for k, v in mnist5k(32).arrays.items()}, 1)
  sides = {"train": [], "test": []}
  for i in range(0, 10_000, 499):
    sides["train"].append(origin(train["y"][i], digits_y[i // 5].astype(int), photographs))
  for i in range(0, 500, 49):
    sides["test"].append(origin(dataset.test["y"][i], dataset.test["y_in_x"][i].astype(int), photographs))
    sides["test"].append(origin(dataset.test["x_in_y"][i], dataset.test["x"][i].astype(int), photographs))
  for side, places in sides.items():
    assert len({number for found in places for number, _ in found}) >= 5
    for found in places:
      edges = [(left, photographs[number].shape[1] * 3 // 4) for number, left in found]
      assert any(left + 32 <= edge if side == "train" else left >= edge for left, edge in edges)


def test_every_counterpart_fits(dataset):
  """Undoing the blend with the right digit leaves no trace of it: the patch is as smooth inside strokes as outside."""
  test = dataset.test
  for blends, clean in ((test["y"], test["y_in_x"]), (test["x_in_y"], test["x"])):
    edges = {}
    for name, digit in (("right", clean), ("wrong", np.roll(clean, 50, axis=0))):
      found, known = (v.astype(int) for v in patch(blends, digit))
      pairs = known[:, :, 1:] * known[:, :, :-1] * (digit[:, :, 1:] != digit[:, :, :-1])
      edges[name] = np.sum(pairs * abs(found[:, :, 1:] - found[:, :, :-1])) / np.sum(pairs)
    assert edges["right"] < 0.5 * edges["wrong"]


def test_patches_differ_between_blends_of_a_digit(dataset):
  train = train_split(dataset)
  assert len(rows(train["y"])) == 10_000
  assert not rows(dataset.test["y"]) & rows(dataset.test["x_in_y"])


def test_it_is_the_same_every_time(dataset):
  again = mnist2colour()
  for one, other in ((train_split(dataset), train_split(again)), (dataset.test, again.test)):
    for name in one:
      np.testing.assert_array_equal(one[name], other[name])


def test_only_training_images_are_drawn_each_domain_by_itself(dataset):
  train, batch = train_split(dataset), dataset.draw(jax.random.key(1), 300)
  for name in ("x", "y"):
    stored = rows(np.asarray(decode({"x": train[name]})["x"]))
    assert rows(np.asarray(batch[name])) <= stored
  assert np.mean(batch["label"] == batch["label_y"]) < 0.3  # one in ten by chance


def test_resolution():
  other = mnist2colour(28)
  assert other.shape == (28, 28, 3) and other.test["y"].shape == (500, 28, 28, 3)
  with pytest.raises(ValueError, match="resolution is 114, but patches of the photographs are at most 113 pixels"):
    mnist2colour(114)
  with pytest.raises(ValueError, match="resolution is 0; it has to be at least 1"):
    mnist2colour(0)
