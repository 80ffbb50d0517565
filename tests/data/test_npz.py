"""Archives of arrays: what becomes of each kind, and one message for each fault."""

import io
import pickle
import re
import zipfile

import jax
import numpy as np
import pytest

from gan_jax.data import npz, sources
from gan_jax.errors import ConfigError

RNG = np.random.RandomState(0)
IMAGES = RNG.randint(0, 256, (20, 4, 6, 3)).astype(np.uint8)
LABELS = np.arange(20) % 4


@pytest.fixture
def write(tmp_path):
  def write(**arrays):
    np.savez(tmp_path / "mine.npz", **arrays)
    return str(tmp_path / "mine.npz")

  return write


def rows(images):
  return sorted(image.tobytes() for image in np.asarray(images))


def test_a_fraction_is_held_out_the_same_each_time(write):
  file = write(x=IMAGES, label=LABELS, other=np.array(["not", "read"], object))
  dataset, again = npz.load(file, held_out=0.3), npz.load(file, held_out=0.3)
  assert (dataset.name, dataset.shape, dataset.classes, dataset.size) == (f"npz:{file}", (4, 6, 3), 4, 14)
  assert len(dataset.test["x"]) == 6
  assert rows([*np.asarray(dataset.arrays["x"]), *dataset.test["x"]]) == rows(IMAGES)
  label_of = {image.tobytes(): label for image, label in zip(IMAGES, LABELS)}
  for split in (dataset.arrays, dataset.test):
    assert [label_of[x.tobytes()] for x in np.asarray(split["x"])] == split["label"].tolist()
    assert split["label"].dtype == np.int32 and split["x"].dtype == np.uint8
  np.testing.assert_array_equal(dataset.test["x"], again.test["x"])
  assert sources.load(f"npz:{file}").size == 16


def test_a_split_of_its_own(write):
  dataset = npz.load(write(x=IMAGES[:15], label=LABELS[:15], x_test=IMAGES[15:], label_test=LABELS[15:] + 2))
  np.testing.assert_array_equal(dataset.arrays["x"], IMAGES[:15])
  np.testing.assert_array_equal(dataset.test["x"], IMAGES[15:])
  np.testing.assert_array_equal(dataset.test["label"], LABELS[15:] + 2)
  assert dataset.classes == 6
  assert npz.load(write(x=IMAGES, x_test=IMAGES[:3])).classes == 0


def test_grey_images_get_a_channel_and_floats_become_levels(write):
  levels = np.array([[-1.0, -0.9999, 0.0], [1.0, 0.5, 2 / 255 - 1]], np.float64)
  dataset = npz.load(write(x=np.stack([levels, -levels]), x_test=levels[None]), held_out=0.5)
  assert dataset.shape == (2, 3, 1)
  # By hand: (v + 1) 127.5, rounded to even.
  np.testing.assert_array_equal(dataset.test["x"][0, ..., 0], [[0, 0, 128], [255, 191, 1]])
  batch = dataset.draw(jax.random.key(0), 30)["x"]
  error = np.abs(np.ravel(batch)[:, None] - np.ravel([levels, -levels])).min(1)
  assert 0.0 < error.max() < 1.0001 / 255  # half a level


def test_resolution(write):
  assert npz.load(write(x=IMAGES), resolution=8).shape == (8, 8, 3)
  grey = IMAGES[..., 0].repeat(7, 1)[:, :, :1].repeat(28, 2)
  dataset = npz.load(write(x=grey), resolution=32)
  assert dataset.shape == (32, 32, 1) and not dataset.test["x"][:, :2].any()


def test_points_keep_their_units(write):
  points = 40.0 * RNG.normal(size=(10, 2))
  dataset = npz.load(write(x=points, x_test=points[:3], label=LABELS[:10], label_test=LABELS[:3]))
  assert dataset.shape == (2,) and dataset.classes == 4 and dataset.test["x"].dtype == np.float32
  np.testing.assert_allclose(dataset.arrays["x"], points, rtol=1e-6)


def test_arrays_in_another_order_of_memory(write):
  dataset = npz.load(write(x=np.asfortranarray(IMAGES), x_test=IMAGES[:2]))
  np.testing.assert_array_equal(dataset.arrays["x"], IMAGES)


POINTS = RNG.normal(size=(10, 2))
FAULTS = {
  'has no array "x"': {"images": IMAGES},
  '"label" but no "x"': {"label": LABELS},
  '"label_test" but no "x_test"': {"x": IMAGES, "label": LABELS, "label_test": LABELS},
  "labels of one split alone": {"x": IMAGES, "label": LABELS, "x_test": IMAGES},
  r'"x" is \[20\]; it takes images': {"x": LABELS},
  r'"x" is \[20, 3, 4, 6\]; it takes images .* C being 1 or 3': {"x": IMAGES.transpose(0, 3, 1, 2)},
  r'"x" is \[0, 4, 6, 3\]; it takes': {"x": IMAGES[:0]},
  '"x" is int64; images are uint8': {"x": IMAGES.astype(np.int64)},
  '"x" is uint8; images are uint8.* and points floating-point': {"x": IMAGES[:, 0, :, 0]},
  '"x" is an array of bool; it takes': {"x": IMAGES > 9},
  '"x" is an array of complex128; it takes': {"x": 1j * POINTS},
  '"x" is an array of object; it takes': {"x": np.array([[1, "a"]], object)},
  "values from -1 to 1.5; images are": {"x": np.linspace(-1.0, 1.5, 48).reshape(3, 4, 4)},
  "values from -1.25 to 1; images are": {"x": np.linspace(-1.25, 1.0, 48).reshape(3, 4, 4)},
  '"x" has values that are not finite': {"x": np.where(np.arange(48) == 7, np.nan, 0.0).reshape(3, 4, 4)},
  '"x_test" has values that are not finite': {"x": POINTS, "x_test": POINTS * np.inf},
  "that float32 cannot hold": {"x": 1e39 * POINTS},
  r'"x" are \[2\], of "x_test" \[1\]': {"x": POINTS, "x_test": POINTS[:, :1]},
  r'"label" is float64 \[20\]; it takes an integer for each of 20': {"x": IMAGES, "label": LABELS / 1.0},
  r'"label" is int64 \[19\]; it takes an integer for each of 20': {"x": IMAGES, "label": LABELS[:19]},
  r'"label" is int64 \[20, 4\]; it takes': {"x": IMAGES, "label": np.eye(20, 4).astype(int)},
  '"label" is from -1 to 2; labels count from 0': {"x": IMAGES, "label": LABELS - 1},
  '"label" is from 0 to 4294967296': {"x": IMAGES, "label": np.where(LABELS, 0, 2**32)},
  "20 examples, and a label is 30": {"x": IMAGES, "label": LABELS * 10},
  "1 examples, and held_out = 0.2 leaves none to hold out": {"x": IMAGES[:1]},
}


@pytest.mark.parametrize("message", FAULTS)
def test_each_fault_has_one_message_that_names_the_file(write, message):
  file = write(**FAULTS[message])
  with pytest.raises(ConfigError, match=message) as raised:
    npz.load(file)
  assert str(raised.value).startswith(file) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"held_out": 1.0}, "held_out is 1.0"),
    ({"held_out": 0.0}, "held_out is 0.0"),
    ({"memory": float("nan")}, "memory nan"),
    ({"held_out": 0.99}, "leaves none to train on"),
    ({"memory": 1e-9}, "more than memory, 1e-09 GiB; give more memory"),
    ({"resolution": 0}, "resolution is 0; it has to be at least 1"),
  ],
)
def test_settings(write, settings, message):
  with pytest.raises(ConfigError, match=message):
    npz.load(write(x=IMAGES), **settings)


def test_points_have_no_resolution(write):
  with pytest.raises(ConfigError, match="have no resolution"):
    npz.load(write(x=POINTS), resolution=8)


def broken(tmp_path, content):
  path = tmp_path / "broken.npz"
  path.write_bytes(content)
  with pytest.raises(ConfigError) as raised:
    npz.load(str(path))
  assert str(path) in str(raised.value)
  return str(raised.value)


def archive(**entries):
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
    for name, content in entries.items():
      file.writestr(f"{name}.npy", content)
  return stream.getvalue()


def npy(array, **head):
  """As `numpy.save` writes it; the head may lie."""
  stream = io.BytesIO()
  np.save(stream, array)
  content = stream.getvalue()
  for old, new in head.values():
    assert len(old) == len(new) and old in content
    content = content.replace(old, new)
  return content


def test_files_that_are_not_there_or_no_archives(tmp_path):
  with pytest.raises(ConfigError, match="nowhere.npz cannot be read: No such file"):
    npz.load(str(tmp_path / "nowhere.npz"))
  with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
    npz.load(str(tmp_path))
  assert "is no archive of arrays" in broken(tmp_path, b"")
  assert "is no archive of arrays" in broken(tmp_path, b"<html>")
  assert "is no archive of arrays" in broken(tmp_path, pickle.dumps([1]))
  assert "but a single array" in broken(tmp_path, npy(IMAGES))


@pytest.mark.parametrize("length", [10, 300, -1, -30])
def test_truncated(tmp_path, length):
  assert "truncated or corrupt" in broken(tmp_path, archive(x=npy(IMAGES))[:length])


def test_corrupt(tmp_path):
  whole = archive(x=npy(IMAGES))
  for place in range(60, len(whole) - 120, 97):
    message = broken(tmp_path, whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
    assert re.search("truncated or corrupt|should have|is an array of|is in version|it takes", message)


def test_a_head_that_lies_takes_no_memory(tmp_path):
  """An array that states more bytes than the archive has for it is refused before it is made."""
  lie = npy(IMAGES, shape=(b"(20, 4, 6, 3)", b"(9**9, 999, )")), npy(IMAGES, shape=(b"(20, 4, 6, 3)", b"(99999999999)"))
  assert all("corrupt" in broken(tmp_path, archive(x=each)) for each in lie)
  huge = npy(IMAGES, shape=(b"(20, 4, 6, 3)", b"(2000000000,)"))
  assert "should have 2000000000 bytes for uint8 [2000000000], and has 1440" in broken(tmp_path, archive(x=huge))


def test_a_small_file_that_holds_much_is_not_unpacked(tmp_path):
  """64 MiB of zeros pack into 64 KiB."""
  path = tmp_path / "bomb.npz"
  path.write_bytes(archive(x=bytes(2**26)))
  assert path.stat().st_size < 2**17
  with pytest.raises(ConfigError, match="its arrays are 0.0625 GiB, more than memory, 0.01 GiB"):
    npz.load(str(path), memory=0.01)


def test_nothing_in_a_file_is_executed(tmp_path):
  class Harm:
    def __reduce__(self):
      return (tmp_path.joinpath("harm").touch, ())

  np.savez(tmp_path / "harm.npz", x=np.array([Harm()]))
  with pytest.raises(ConfigError, match="is an array of object"):
    npz.load(str(tmp_path / "harm.npz"))
  assert not (tmp_path / "harm").exists()
