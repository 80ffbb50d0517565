import gzip
import struct

import jax
import numpy as np
import pytest

from gan_jax.data import idx
from gan_jax.errors import ConfigError

RNG = np.random.default_rng(0)
SPLITS = {
  prefix: (RNG.integers(0, 256, (n, 6, 6), dtype=np.uint8), (np.arange(n) % 5).astype(np.uint8))
  for prefix, n in (("train", 20), ("t10k", 10))
}


def encode(array):
  return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder, dash="-", gz=False):
  for prefix, arrays in SPLITS.items():
    for kind, array in zip(("images", "labels"), arrays):
      name = f"{prefix}-{kind}{dash}idx{array.ndim}-ubyte" + (".gz" if gz else "")
      (folder / name).write_bytes(gzip.compress(encode(array)) if gz else encode(array))
  return folder


@pytest.mark.parametrize("dash", ["-", "."])
@pytest.mark.parametrize("gz", [False, True])
def test_round_trip(tmp_path, dash, gz):
  dataset = idx.load(str(write(tmp_path, dash, gz)))
  train = dataset.arrays
  for split, (images, labels) in zip((train, dataset.test), SPLITS.values()):
    np.testing.assert_array_equal(split["x"], images[..., None])
    np.testing.assert_array_equal(split["label"], labels)
  assert (dataset.name, dataset.shape, dataset.classes, dataset.size) == (f"idx:{tmp_path}", (6, 6, 1), 5, 20)
  assert train["label"].dtype == dataset.test["label"].dtype == np.int32


def test_draws_pixels_with_their_labels(tmp_path):
  images, labels = SPLITS["train"]
  batch = idx.load(str(write(tmp_path))).draw(jax.random.key(0), 50)
  known = {image.tobytes(): label for image, label in zip(images, labels)}
  pixels = np.rint((np.asarray(batch["x"]) + 1) * 127.5).astype(np.uint8)
  assert [known[x.tobytes()] for x in pixels] == batch["label"].tolist()


def test_resolution(tmp_path):
  dataset = idx.load(str(write(tmp_path)), resolution=12)
  assert dataset.shape == (12, 12, 1)
  means = dataset.test["x"].mean((1, 2, 3)), SPLITS["t10k"][0].mean((1, 2))
  np.testing.assert_allclose(*means, atol=10)


def test_missing_folder(tmp_path):
  with pytest.raises(ValueError, match="no folder .*nowhere: expected one that holds MNIST-format files"):
    idx.load(str(tmp_path / "nowhere"))


def test_missing_file_names_what_was_sought_and_what_is_there(tmp_path):
  (write(tmp_path) / "t10k-labels-idx1-ubyte").rename(tmp_path / "t10k-labels")
  with pytest.raises(ValueError, match="none of t10k-labels-idx1-ubyte, t10k-labels-idx1-ubyte.gz.*holds t10k-images-"):
    idx.load(str(tmp_path))


def test_empty_folder(tmp_path):
  with pytest.raises(ValueError, match="it holds nothing"):
    idx.load(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"<html>", encode(SPLITS["train"][1])])
def test_wrong_magic(tmp_path, content):
  (write(tmp_path) / "train-images-idx3-ubyte").write_bytes(content)
  found = f"starts with {content[:4].hex()}" if content else "is empty"
  with pytest.raises(ValueError, match=f"{found}; .*start with 00000803"):
    idx.load(str(tmp_path))


@pytest.mark.parametrize("length, expected", [(100, 736), (735, 736)])
def test_cut_short(tmp_path, length, expected):
  path = write(tmp_path) / "train-images-idx3-ubyte"
  path.write_bytes(path.read_bytes()[:length])
  with pytest.raises(ValueError, match=rf"should hold {expected} bytes for an array \[20, 6, 6\], and holds {length}"):
    idx.load(str(tmp_path))


def test_cut_short_within_the_head(tmp_path):
  path = write(tmp_path) / "train-images-idx3-ubyte"
  path.write_bytes(path.read_bytes()[:10])
  with pytest.raises(ValueError, match="should hold 16 bytes .* and holds 10"):
    idx.load(str(tmp_path))


@pytest.mark.parametrize(
  "corrupt",
  [
    lambda b: b[:-20],
    lambda b: b"no gzip at all",
    lambda b: b[:-8] + b"\0" * 8,  # another checksum
    lambda b: b[:10] + b"\xff" * 9 + b[19:],  # no such compression
  ],
)
def test_bad_gzip(tmp_path, corrupt):
  path = write(tmp_path, gz=True) / "t10k-images-idx3-ubyte.gz"
  path.write_bytes(corrupt(path.read_bytes()))
  with pytest.raises(ValueError, match="t10k-images-idx3-ubyte.gz is not a whole gzip file"):
    idx.load(str(tmp_path))


@pytest.mark.parametrize("labels", [19, 0])
def test_counts_must_agree(tmp_path, labels):
  (write(tmp_path) / "train-labels-idx1-ubyte").write_bytes(encode(np.zeros(labels, np.uint8)))
  with pytest.raises(ValueError, match=f"20 train images but {labels} labels"):
    idx.load(str(tmp_path))


def test_no_examples(tmp_path):
  write(tmp_path)
  (tmp_path / "t10k-images-idx3-ubyte").write_bytes(encode(np.zeros((0, 6, 6), np.uint8)))
  (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(encode(np.zeros(0, np.uint8)))
  with pytest.raises(ValueError, match="0 t10k images but 0 labels"):
    idx.load(str(tmp_path))


def test_no_more_is_unpacked_than_the_head_says(tmp_path, monkeypatch):
  """A file of 64 MiB of zeros behind a head of 20 images, in 64 KiB: a piece is read of it."""
  path = write(tmp_path) / "train-images-idx3-ubyte"
  content, read = path.read_bytes(), []
  path.unlink()
  with gzip.open(f"{path}.gz", "wb") as file:
    file.write(content + bytes(2**26))
  once = gzip.GzipFile.read
  monkeypatch.setattr(gzip.GzipFile, "read", lambda file, size=-1: read.append(once(file, size)) or read[-1])
  with pytest.raises(ConfigError, match=r"should hold 736 bytes for an array \[20, 6, 6\], and holds more"):
    idx.load(str(tmp_path))
  assert 736 < sum(map(len, read)) <= 736 + idx._PIECE


@pytest.mark.parametrize(
  ("shape", "message"),
  [((20, 0, 6), "in which there is nothing"), ((2**20, 2**12, 2**12), "of 16,384.0 GiB; to read")],
)
def test_sizes_that_cannot_be(tmp_path, shape, message):
  path = write(tmp_path) / "train-images-idx3-ubyte"
  path.write_bytes(path.read_bytes()[:4] + np.array(shape, ">u4").tobytes())
  with pytest.raises(ConfigError, match=message):
    idx.load(str(tmp_path))
