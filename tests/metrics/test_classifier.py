"""The classifier against its task, its own arithmetic in NumPy, and everything that can happen to its cache file."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import cache
from gan_jax.data.mnist import digits
from gan_jax.metrics import classifier

SMALL = {"width": 16, "features": 24, "steps": 400, "learning_rate": 5e-3, "shift": 1}
QUICK = {"width": 4, "features": 6, "steps": 2, "batch_size": 8}


@pytest.fixture(scope="module")
def splits():
  dataset = digits()
  train = {k: np.asarray(v) for k, v in dataset.arrays.items()}
  return train["x"], train["label"], dataset.test["x"], dataset.test["label"]


@pytest.fixture
def trainings(tmp_path, monkeypatch):
  """A cache of the test's own, and a list that grows with each training, which is itself left out."""
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  done = []
  monkeypatch.setattr(classifier, "_descend", lambda tx, steps, size, shift, params, *data: done.append(1) or params)
  monkeypatch.setattr(classifier, "_accuracy", lambda params, *data: 0.25)
  return done


def decoded(images):
  return np.asarray(images, np.float32) / 127.5 - 1.0


def parameters(trained):
  return jax.tree.leaves(trained)


def test_it_learns(splits, tmp_path, monkeypatch):
  """Seeds gave 0.90 to 0.94: the held-out digits have other writers. The accuracy is that of the logits there."""
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  trained = classifier.train(*splits, 10, **SMALL)
  x, labels = decoded(splits[2]), splits[3]
  logits, found = map(np.asarray, jax.jit(lambda trained, x: (trained.logits(x), trained.features(x)))(trained, x))
  assert logits.shape == (len(x), 10) and found.shape == (len(x), 24)
  assert trained.accuracy == np.mean(np.argmax(logits, 1) == labels) > 0.87
  assert np.min(found) == 0.0 and np.max(found) > 0.0
  # The last layer is linear in the features.
  kernel, bias = trained.head.args
  np.testing.assert_allclose(logits, found @ np.asarray(kernel) + np.asarray(bias), rtol=1e-4, atol=1e-4)


def test_the_network_against_numpy(splits, trainings):
  """In float64, with loops: convolutions of stride 2 within one pixel of zeros, then dense layers."""
  trained = classifier.train(*splits, 10, **QUICK)
  *layers, dense = [[np.asarray(leaf, np.float64) for leaf in layer] for layer in trained.features.args[0]]
  x = decoded(splits[2][:3]).astype(np.float64)
  for kernel, bias in layers:
    wide = np.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0)))  # 8, 4, 2 -> 1: all even, so one more pixel is never read
    side = x.shape[1] // 2
    x = np.empty((3, side, side, len(bias)))
    for i, j in np.ndindex(side, side):
      x[:, i, j] = np.maximum(np.tensordot(wide[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4], kernel, 3) + bias, 0.0)
  expected = np.maximum(x.reshape(3, -1) @ dense[0] + dense[1], 0.0)
  assert expected.shape == (3, 6) and expected.max() > 0.0
  np.testing.assert_allclose(jax.jit(trained.features)(decoded(splits[2][:3])), expected, rtol=1e-4, atol=1e-5)


def test_it_passes_through_jit_and_vmap(splits, trainings):
  trained = classifier.train(*splits, 10, **QUICK)
  x = decoded(splits[2][:6]).reshape(2, 3, 8, 8, 1)
  both = jax.jit(lambda trained, x: jax.vmap(trained.logits)(x))(trained, x)
  for i in range(2):
    np.testing.assert_allclose(both[i], trained.logits(x[i]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 24, 3)])
def test_other_sizes(shape, trainings):
  images = np.random.default_rng(0).integers(0, 256, (16, *shape)).astype(np.uint8)
  labels = np.arange(16, dtype=np.int32) % 3
  trained = classifier.train(images, labels, images, labels, 3, **QUICK)
  assert trained.logits(decoded(images)).shape == (16, 3)


def test_the_cache_gives_the_same_classifier(splits, trainings):
  first, second = (classifier.train(*splits, 10, **QUICK) for _ in range(2))
  assert len(trainings) == 1 and first.accuracy == second.accuracy
  for one, other in zip(parameters(first), parameters(second), strict=True):
    np.testing.assert_array_equal(one, other)


def test_a_real_training_comes_back_from_the_cache_and_from_its_seed(splits, tmp_path, monkeypatch):
  found = []
  for place in ("one", "one", "other"):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / place))
    found.append(classifier.train(*splits, 10, **QUICK))
  for first, *others in zip(*map(parameters, found), strict=True):
    for other in others:
      np.testing.assert_array_equal(first, other)


def test_each_setting_and_all_data_count(splits, trainings):
  """Whatever is different is trained anew, and nothing is trained twice."""
  changes = [{"width": 5}, {"features": 7}, {"steps": 3}, {"batch_size": 9}, {"shift": 1}, {"seed": 1}]
  changes.append({"learning_rate": 2e-3})
  variants = [(splits, 10, QUICK), (splits, 11, QUICK)] + [(splits, 10, QUICK | change) for change in changes]
  for i in range(4):
    other = [array.copy() for array in splits]
    other[i].flat[0] ^= 1
    variants.append((other, 10, QUICK))
  for _ in range(2):
    for data, classes, settings in variants:
      classifier.train(*data, classes, **settings)
  assert len(trainings) == len(variants) == len(os.listdir(cache.path("")))


def test_the_hash_sees_where_one_array_ends(splits):
  x, labels = splits[:2]
  assert classifier._digest((), x[:4], x[4:8]) != classifier._digest((), x[:3], x[3:8])
  assert classifier._digest((), labels) != classifier._digest((), labels.view(np.uint32))


@pytest.mark.parametrize(
  "corrupt",
  [
    lambda content: content[: len(content) // 2],
    lambda content: b"",
    lambda content: b"not an archive",
    lambda content: content[:300] + bytes([content[300] ^ 0xFF]) + content[301:],
  ],
)
def test_a_damaged_file_is_trained_anew(splits, trainings, corrupt):
  whole = classifier.train(*splits, 10, **QUICK)
  (name,) = os.listdir(cache.path(""))
  cache.path(name).write_bytes(corrupt(cache.path(name).read_bytes()))
  for _ in range(2):  # the second time from the file that was written in its place
    again = classifier.train(*splits, 10, **QUICK)
    assert len(trainings) == 2 and again.accuracy == whole.accuracy
    for one, other in zip(parameters(whole), parameters(again), strict=True):
      np.testing.assert_array_equal(one, other)


def test_arrays_of_other_shapes_are_not_taken(splits, trainings):
  classifier.train(*splits, 10, **QUICK)
  (name,) = os.listdir(cache.path(""))
  cache.store(name, {"0": np.zeros(3), "accuracy": np.asarray(1.0)})
  assert classifier.train(*splits, 10, **QUICK).accuracy < 1.0 and len(trainings) == 2


def test_an_interrupted_write_leaves_nothing(splits, trainings, monkeypatch):
  def savez(file, **arrays):
    file.write_bytes(b"half")
    raise KeyboardInterrupt

  monkeypatch.setattr(np, "savez", savez)
  with pytest.raises(KeyboardInterrupt):
    classifier.train(*splits, 10, **QUICK)
  assert os.listdir(cache.path("")) == []


def test_images_move_by_whole_pixels_with_their_edge():
  """A ramp moved by (a, b) is the ramp at i + a, j + b, held at the border; all 25 moves occur."""
  i, j = np.meshgrid(np.arange(9), np.arange(7), indexing="ij")
  ramp = (16 * i + j).astype(np.uint8)[None, :, :, None]
  moved = np.asarray(classifier._move(jnp.repeat(ramp, 400, 0), jax.random.key(0), 2))
  ways = {}
  for a, b in np.ndindex(5, 5):
    expected = ramp[:, np.clip(i + a - 2, 0, 8), np.clip(j + b - 2, 0, 6)]
    ways[a, b] = int(np.all(moved == expected, axis=(1, 2, 3)).sum())
  assert sum(ways.values()) == 400 and min(ways.values()) > 0


def test_refusals(splits):
  x, labels, test_x, test_labels = splits
  for images in (x.astype(np.float32), x[..., 0]):
    with pytest.raises(ValueError, match="images must be uint8"):
      classifier.train(images, labels, test_x, test_labels, 10)
  with pytest.raises(ValueError, match=r"test images must be .* of one shape, not uint8 \[364, 7, 8, 1\]"):
    classifier.train(x, labels, test_x[:, 1:], test_labels, 10)
  with pytest.raises(ValueError, match=r"images \[1433\] need as many labels, not \[9\]"):
    classifier.train(x, labels[:9], test_x, test_labels, 10)
  with pytest.raises(ValueError, match=r"labels of images are 0\.\.9; 9 classes have 0\.\.8"):
    classifier.train(x, labels, test_x, test_labels, 9)
  with pytest.raises(ValueError, match="labels of test images are -1"):
    classifier.train(x, labels, test_x, test_labels - 1, 10)
