"""Loading through TFDS, from array_record files that the tests prepare themselves, which takes no TensorFlow either."""

import importlib.abc
import importlib.machinery
import inspect
import io
import itertools
import os
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core import constants

from gan_jax.data import tfds as source

F = tfds.features


def png(value, height, width, channels):
  """Encoded here, because TFDS encodes arrays with TensorFlow."""
  array = np.full((height, width, channels), value, np.uint8)
  file = io.BytesIO()
  Image.fromarray(array[..., 0] if channels == 1 else array).save(file, "png")
  return file.getvalue()


def prepare(folder, dataset_name, features, splits, pair=None, file_format="array_record"):
  """Writes `splits`, lists of examples by name, as TFDS would."""

  class Toy(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    name = dataset_name
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
      return tfds.core.DatasetInfo(builder=self, features=F.FeaturesDict(features), supervised_keys=pair)

    def _split_generators(self, dl_manager):
      return {split: self._generate_examples(examples) for split, examples in splits.items()}

    def _generate_examples(self, examples):
      yield from enumerate(examples)

  Toy(data_dir=folder, file_format=file_format).download_and_prepare()


def grey(start, stop):
  return [{"image": png(10 * i, 6, 6, 1), "label": i % 3} for i in range(start, stop)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("tfds")
  digit = {"image": F.Image(shape=(6, 6, 1)), "label": F.ClassLabel(num_classes=3)}
  colour = {"image": F.Image(shape=(None, None, 3))}
  wide = [{"image": png(100, 8, 8 + i, 3)} for i in range(3)]
  prepare(folder, "toy_digits", digit, {"train": grey(0, 20), "test": grey(20, 25)})
  prepare(folder, "toy_one_split", digit, {"train": grey(0, 20)})
  prepare(folder, "toy_sizes", colour, {"train": wide, "test": wide})
  prepare(folder, "toy_words", {"text": F.Text()}, {"train": [{"text": "a"}], "test": [{"text": "b"}]})
  domains = {"trainA": grey(0, 8), "trainB": grey(8, 18), "testA": grey(18, 20), "testB": grey(20, 23)}
  prepare(folder, "toy_domains", digit, domains)
  prepare(folder, "toy_domains_untested", digit, {"trainA": grey(0, 10), "trainB": grey(10, 20), "testA": grey(20, 23)})
  prepare(folder, "toy_one_domain", digit, {"trainA": grey(0, 3), "testA": grey(3, 6)})
  prepare(folder, "toy_tiny", digit, {"train": grey(0, 2)})
  several = {k: F.Image(shape=(6, 6, 1)) for k in "bca"} | {k: F.ClassLabel(num_classes=2) for k in ("kind", "label")}
  examples = [{k: png(i, 6, 6, 1) for i, k in enumerate("abc")} | {"kind": 1, "label": 0}]
  prepare(folder, "toy_several", several, {"train": examples, "test": examples})
  prepare(folder, "toy_pair", several, {"train": examples, "test": examples}, ("b", "kind"))
  named = {"image": several["a"], "a": several["a"]}
  examples = [{"image": png(7, 6, 6, 1), "a": png(0, 6, 6, 1)}]
  prepare(folder, "toy_named", named, {"train": examples, "test": examples})
  return folder


@pytest.fixture(autouse=True)
def data_dir(folder, monkeypatch):
  monkeypatch.setattr(constants, "DATA_DIR", str(folder))  # TFDS has read TFDS_DATA_DIR when it was imported
  return folder


def contents(split):
  return sorted(zip(np.asarray(split["x"]).mean((1, 2, 3)).tolist(), np.asarray(split["label"]).tolist()))


def test_pixels_labels_and_splits():
  dataset = source.load("toy_digits")
  assert (dataset.name, dataset.shape, dataset.classes, dataset.size) == ("tfds:toy_digits", (6, 6, 1), 3, 20)
  assert contents(dataset.arrays) == [(10 * i, i % 3) for i in range(20)]
  assert contents(dataset.test) == [(10 * i, i % 3) for i in range(20, 25)]
  assert dataset.test["x"].dtype == np.uint8 and dataset.test["label"].dtype == np.int32


def test_draws():
  batch = source.load("toy_digits").draw(jax.random.key(0), 64)
  index = np.rint((np.asarray(batch["x"]).mean((1, 2, 3)) + 1) * 12.75).astype(int)
  assert set(index.tolist()) <= set(range(20)) and (index % 3 == batch["label"]).all()


def test_without_a_test_split_the_last_tenth_of_train_is_held_out():
  dataset = source.load("toy_one_split")
  train, test = contents(dataset.arrays), contents(dataset.test)
  assert len(test) == 2 and sorted(train + test) == [(10 * i, i % 3) for i in range(20)]
  stored = [example["image"].mean() for example in tfds.builder("toy_one_split").as_data_source("train")]
  assert dataset.test["x"].mean((1, 2, 3)).tolist() == stored[-2:]


def test_images_of_one_size_may_be_fitted():
  dataset = source.load("toy_digits", 12)
  assert dataset.shape == (12, 12, 1) and contents(dataset.test) == [(10 * i, i % 3) for i in range(20, 25)]


def test_images_of_several_sizes_need_a_resolution():
  with pytest.raises(ValueError, match=r"3 shapes, such as \(8, 8, 3\) and \(8, 9, 3\): give a resolution"):
    source.load("toy_sizes")
  dataset = source.load("toy_sizes", resolution=4)
  assert dataset.shape == (4, 4, 3) and (dataset.test["x"] == 100).all()
  assert "label" not in dataset.test and dataset.classes == 0


@pytest.mark.parametrize("name, pixel, label", [("toy_several", 0, [0]), ("toy_pair", 1, [1]), ("toy_named", 7, None)])
def test_supervised_pair_comes_first_then_the_usual_name_then_the_alphabet(name, pixel, label):
  test = source.load(name).test
  assert (test["x"] == pixel).all()
  assert test["label"].tolist() == label if label else "label" not in test


def test_no_image():
  with pytest.raises(ValueError, match="'toy_words' has no 8-bit image: its features are text"):
    source.load("toy_words")


def tens(images):
  """Which examples of `grey` these are."""
  return sorted((np.asarray(images).mean((1, 2, 3)) / 10).tolist())


def test_domains_are_unpaired():
  dataset = source.load("toy_domains")
  assert (dataset.name, dataset.shape, dataset.classes, dataset.size) == ("tfds:toy_domains", (6, 6, 1), 0, 8)
  assert dataset.test.keys() == {"x", "y"}
  assert tens(dataset.test["x"]) == [18, 19] and tens(dataset.test["y"]) == [20, 21, 22]
  batch = dataset.draw(jax.random.key(0), 200)
  assert batch.keys() == {"x", "y"} and batch["x"].dtype == np.float32
  x, y = (np.rint((np.asarray(batch[k]).mean((1, 2, 3)) + 1) * 12.75).astype(int) for k in "xy")
  assert set(x.tolist()) == set(range(8)) and set(y.tolist()) == set(range(8, 18))


def test_a_domain_without_a_test_split_has_its_last_tenth_held_out():
  dataset = source.load("toy_domains_untested")
  assert tens(dataset.test["x"]) == [20, 21, 22] and len(dataset.test["y"]) == 1
  x = y = dataset.arrays
  assert tens(x["x"]) == list(range(10))
  assert sorted(tens(y["y"]) + tens(dataset.test["y"])) == list(range(10, 20))


@pytest.mark.parametrize("name", ["toy_digits", "toy_domains"])
def test_resize_is_for_training_and_resolution_for_testing(name):
  dataset = source.load(name, resolution=8, resize=12, flip=True)
  assert dataset.shape == dataset.test["x"].shape[1:] == (8, 8, 1)
  assert {leaf.shape[1:] for leaf in jax.tree.leaves(dataset.draw) if leaf.ndim == 4} == {(12, 12, 1)}
  batch = dataset.draw(jax.random.key(0), 5)
  assert {batch[k].shape for k in batch.keys() & {"x", "y"}} == {(5, 8, 8, 1)}
  with pytest.raises(ValueError, match="resize is 6, and no squares of resolution 8"):
    source.load(name, resolution=8, resize=6)


def take(dataset, count, n=4):
  return list(itertools.islice(dataset.stream(n, 0, 0, (0, 1)), count))


@pytest.mark.parametrize("name", ["toy_digits", "toy_sizes"])
def test_more_than_memory_is_streamed(name):
  """Just below it and at it: the images of one epoch are those that are held otherwise, and so are the tests'."""
  held = source.load(name, resolution=6)
  arrays = held.arrays
  gib = arrays["x"].nbytes / 2**30
  assert source.load(name, resolution=6, memory=gib).draw is not None
  streamed = source.load(name, resolution=6, memory=0.99 * gib)
  assert streamed._replace(draw=held.draw, test={}, stream=None, arrays=held.arrays) == held._replace(test={})
  for entry, array in held.test.items():
    np.testing.assert_array_equal(streamed.test[entry], array)
  (batch,) = take(streamed, 1, held.size)
  assert batch.keys() == arrays.keys() and all(batch[k].dtype == arrays[k].dtype for k in batch)
  examples = lambda split: sorted(tuple(np.asarray(split[k][i]).tobytes() for k in batch) for i in range(held.size))
  assert examples(batch) == examples(arrays)


def test_streamed_domains_are_cropped_and_mirrored():
  streamed = source.load("toy_domains", resolution=8, resize=12, flip=True, memory=0.0)
  assert (streamed.shape, streamed.size, streamed.test.keys()) == ((8, 8, 1), 8, {"x", "y"})
  batches = take(streamed, 5)
  assert all(batch[k].shape == (4, 8, 8, 1) and batch[k].dtype == np.uint8 for batch in batches for k in "xy")
  x, y = (tens(np.concatenate([batch[k] for batch in batches])) for k in "xy")
  assert set(x) == set(range(8)) and set(y) == set(range(8, 18))


@pytest.mark.parametrize(
  "settings, message",
  [
    ({"memory": -1.0}, "memory is -1.0; it has to be"),
    ({"memory": 0.0}, "data set 'toy_digits': .* GiB of training images are more than memory, 0 GiB, .* a resolution"),
  ],
)
def test_memory_that_does_not_fit(settings, message):
  with pytest.raises(ValueError, match=message):
    source.load("toy_digits", **settings)


def test_no_train_split():
  with pytest.raises(ValueError, match="no split 'train', nor trainA and trainB: its splits are t.*A, t.*A$"):
    source.load("toy_one_domain")


def test_empty_split():
  with pytest.raises(ValueError, match=r"has no examples in 'train\[90%:\]'"):
    source.load("toy_tiny")


@pytest.mark.parametrize("name, near", [("mnits", "mnist"), ("cifar-10", "cifar10"), ("emnits/digits:3.1.0", "emnist")])
def test_misspelt_name_gets_the_nearest(name, near):
  with pytest.raises(ValueError, match=f"TFDS knows no data set '{name}': did you mean '{near}'?"):
    source.load(name)


def test_name_like_no_other():
  with pytest.raises(ValueError, match="https://www.tensorflow.org/datasets/catalog"):
    source.load("qqqqqqqq")


@pytest.mark.parametrize(
  "name, message",
  [("mnist:9.9.9", "at version 9.9.9, only: 3.0.1"), ("cycle_gan/horse2zebr", "zebr not found(?s:.*)horse2zebra")],
)
def test_unknown_version_or_config_gets_the_known(name, message):
  with pytest.raises(ValueError, match=message):
    source.load(name)


def test_not_prepared_says_how_to_prepare(folder):
  with pytest.raises(ValueError) as error:
    source.load("mnist")
  message = str(error.value)
  assert "pip install 'gan_jax[prepare]'" in message and "TFDS_DATA_DIR" in message and "data_dir" in message
  assert str(folder / "mnist") in message
  code = re.search('python -c "(.*)"', message)[1]
  assert code.endswith("tfds.builder('mnist', file_format='array_record').download_and_prepare()")
  compile(code, "command", "exec")


def test_prepared_for_tensorflow_only(folder, tmp_path, monkeypatch):
  """A folder that says tfrecord, the format that TFDS prepares by default."""
  version = tmp_path / "toy_digits" / "1.0.0"
  version.mkdir(parents=True)
  for path in (folder / "toy_digits" / "1.0.0").iterdir():
    (version / path.name).write_bytes(path.read_bytes().replace(b'"array_record"', b'"tfrecord"'))
  monkeypatch.setattr(constants, "DATA_DIR", str(tmp_path))
  with pytest.raises(ValueError, match="as tfrecord, which only TensorFlow can read(?s:.*)file_format='array_record'"):
    source.load("toy_digits")


def test_mocked_mnist(tmp_path):
  """`mock_data` needs no TensorFlow for data sources, but the split names, which come from files, must be there."""
  with tfds.testing.mock_data(num_examples=5, data_dir=str(tmp_path)):
    builder = tfds.builder("mnist", file_format="array_record")
    for split in ("train", "test"):
      template = builder._get_filename_template(split)
      info = tfds.core.SplitInfo(name=split, shard_lengths=[5], num_bytes=0, filename_template=template)
      builder.info.set_splits(tfds.core.splits.SplitDict([*builder.info.splits.values(), info]))
    os.makedirs(builder.data_dir)
    builder.info.write_to_directory(builder.data_dir)
    dataset = source.load("mnist", resolution=32)
    mocked = next(iter(builder.as_data_source("test")))
  assert (dataset.name, dataset.shape, dataset.classes, dataset.size) == ("tfds:mnist", (32, 32, 1), 10, 5)
  np.testing.assert_array_equal(dataset.test["x"][0, 2:30, 2:30], mocked["image"])
  assert dataset.test["label"][0] == mocked["label"] and dataset.test["x"][:, :2].max() == 0


class Blocked(importlib.abc.MetaPathFinder, importlib.abc.Loader):
  """Forbids imports. An entry None in `sys.modules` will not do: TFDS takes it for a TensorFlow that is loaded."""

  def find_spec(self, name, path=None, target=None):
    return importlib.machinery.ModuleSpec(name, self) if name.split(".")[0] in {"tensorflow", "matplotlib"} else None

  def exec_module(self, module):
    raise ImportError(f"{module.__name__} must not be imported")


PROGRAM = f"""
import importlib.abc, importlib.machinery, sys
{inspect.getsource(Blocked)}
sys.meta_path.insert(0, Blocked())
import gan_jax
from gan_jax.data import dataset, folder, idx, mnist, stream, synthetic, tfds, transforms
print(sorted({{"grain", "tensorflow_datasets", "sklearn", "mlxtend"}} & sys.modules.keys()))
data = tfds.load("toy_digits")
print(data.test["x"].sum(), sorted({{"tensorflow", "matplotlib"}} & sys.modules.keys()))
try:
  import tensorflow
except ImportError as error:
  print(error)
"""


def test_loads_with_tensorflow_and_matplotlib_forbidden(folder):
  command = [sys.executable, "-W", "error", "-c", PROGRAM]
  done = subprocess.run(command, env=os.environ | {"TFDS_DATA_DIR": str(folder)}, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  pixels = 36 * 10 * (20 + 21 + 22 + 23 + 24)
  assert done.stdout.splitlines() == ["[]", f"{pixels} []", "tensorflow must not be imported"]
