"""Which digit every image of the three domains comes from, and what was made of it, on photographs of two greys."""

import jax
import numpy as np
import pytest

from gan_jax.data import mnist2colour
from gan_jax.data.mnist import mnist5k
from gan_jax.data.mnist3 import mnist3
from gan_jax.errors import ConfigError

SEEN, UNSEEN = np.array([100, 30, 220]), np.array([200, 50, 0])  # the colours of the left three quarters and the right
PARTS = {"x": (0, 134, 34), "y": (1, 133, 33), "z": (2, 133, 33)}  # which third, and of each class how many digits


@pytest.fixture(scope="module")
def dataset():
  photograph = np.empty((64, 160, 3), np.uint8)
  photograph[:, :120], photograph[:, 120:] = SEEN, UNSEEN
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(mnist2colour, "_photographs", lambda: [photograph])
    return mnist3()


def third(split, domain, held_out):
  """The digits of a domain [N, 32, 32] and their labels: from the data's definition."""
  place, *sizes = PARTS[domain]
  before = sum(sizes[held_out] for _, *sizes in [PARTS[d] for d in "xyz"[:place]])
  index = [
    i for c in range(10) for i in np.flatnonzero(np.asarray(split["label"]) == c)[before : before + sizes[held_out]]
  ]
  return np.asarray(split["x"])[index, :, :, 0].astype(int), np.asarray(split["label"])[index]


def outline(images):
  """The largest of each pixel and the four beside it, less the pixel."""
  p = np.pad(images, ((0, 0), (1, 1), (1, 1)))
  beside = [p[:, 1:-1, 1:-1], p[:, :-2, 1:-1], p[:, 2:, 1:-1], p[:, 1:-1, :-2], p[:, 1:-1, 2:]]
  return np.max(beside, 0) - images


def made(images, domain, colour):
  if domain == "y":
    return np.abs(colour - images[..., None])
  return np.repeat((outline(images) if domain == "z" else images)[..., None], 3, 3)


def test_each_domain_has_a_third_of_each_class_in_its_own_manner(dataset):
  assert (dataset.name, dataset.shape, dataset.classes, dataset.size) == ("mnist3", (32, 32, 3), 10, 1330)
  assert dataset.domains == ("x", "y", "z")
  assert dataset.arrays.keys() == {"x", "y", "z", "label", "label_y", "label_z"}
  source = mnist5k(32)
  for domain, label in zip("xyz", ("label", "label_y", "label_z")):
    times = 5 if domain == "y" else 1
    images, labels = third(source.arrays, domain, False)
    np.testing.assert_array_equal(dataset.arrays[label], np.repeat(labels, times))
    expected = made(np.repeat(images, times, 0), domain, SEEN)
    np.testing.assert_array_equal(dataset.arrays[domain], expected)


def test_the_held_out_split_has_all_six_counterparts(dataset):
  source, names = mnist5k(32), {"label", "label_y", "label_z"}
  for domain, label in zip("xyz", ("label", "label_y", "label_z")):
    images, labels = third(source.test, domain, True)
    np.testing.assert_array_equal(dataset.test[label], labels)
    for other in "xyz":
      name = domain if domain == other else f"{domain}_in_{other}"
      np.testing.assert_array_equal(dataset.test[name], made(images, other, UNSEEN), err_msg=name)
      names.add(name)
  assert dataset.test.keys() == names and {v.dtype for v in dataset.test.values()} == {np.dtype("u1"), np.dtype("i4")}


def test_no_digit_is_in_two_places():
  source, found = mnist5k(32), []
  for split, held_out in ((source.arrays, False), (source.test, True)):
    found += [image.tobytes() for domain in "xyz" for image in third(split, domain, held_out)[0]]
  assert len(found) == len(set(found)) == 5000


def test_a_batch_has_all_domains_and_their_labels(dataset):
  batch = dataset.draw(jax.random.key(0), 16)
  assert batch.keys() == dataset.arrays.keys()
  for domain in "xyz":
    assert batch[domain].shape == (16, 32, 32, 3) and batch[domain].dtype == np.float32
    assert np.abs(batch[domain]).max() <= 1.0


def test_photographs_of_its_own_every_time():
  """The patches are those of mnist2colour's photographs, and the same ones with every call."""
  one, other = mnist3(28), mnist3(28)
  for name in one.test:
    np.testing.assert_array_equal(one.test[name], other.test[name])
  np.testing.assert_array_equal(one.arrays["y"], other.arrays["y"])
  assert one.shape == (28, 28, 3) and len({image.tobytes() for image in np.asarray(one.arrays["y"])}) == 6650


def test_resolutions_that_cannot_be():
  with pytest.raises(ConfigError, match="resolution is 114, but patches of the photographs are at most 113 pixels"):
    mnist3(114)
  with pytest.raises(ConfigError, match="resolution is 0; it has to be at least 1"):
    mnist3(0)


def test_two_domains_share_all_digits():
  """x the first half of each class and z the outlines of the second, with counterparts of these two alone."""
  source, found = mnist5k(32), mnist3(domains=("x", "z"))
  assert found.domains == ("x", "z") and found.arrays.keys() == {"x", "z", "label", "label_z"}
  assert found.test.keys() == {"x", "z", "label", "label_z", "x_in_z", "z_in_x"}
  labels = np.asarray(source.test["label"])
  index = [i for c in range(10) for i in np.flatnonzero(labels == c)[50:]]
  digits = np.asarray(source.test["x"])[index, :, :, 0].astype(int)
  np.testing.assert_array_equal(found.test["z"], made(digits, "z", None))
  np.testing.assert_array_equal(found.test["z_in_x"], made(digits, "x", None))
  assert len(found.arrays["x"]) == len(found.arrays["z"]) == 2_000


@pytest.mark.parametrize("domains", [("x",), ("x", "w"), ("x", "x")])
def test_domains_that_cannot_be(domains):
  with pytest.raises(ConfigError, match="two of x, y, z"):
    mnist3(domains=domains)
