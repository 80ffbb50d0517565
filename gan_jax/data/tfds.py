"""Any TensorFlow data set of images, read without TensorFlow once it has been prepared."""

import difflib
import functools
import re
from typing import Any

import numpy as np

from gan_jax.data.dataset import Dataset, fits, from_arrays, from_domains, sides
from gan_jax.data.stream import batches
from gan_jax.data.transforms import fit
from gan_jax.errors import ConfigError


def load(name: str, resolution: int | None = None, resize: int = 0, flip: bool = False, memory: float = 4.0) -> Dataset:
  """Reads a prepared data set through `tfds.data_source`'s random access, which decodes with Pillow or OpenCV.

  The splits are "train" and "test"; where one has no test split, its last 10 % are held out. "x" is the image
  of the data set's supervised pair, or else its feature "image", or else the first image by name; "label" is the class
  of the supervised pair, or else the feature "label", where there is such a one.

  Data with the splits "trainA" and "trainB", as `cycle_gan/horse2zebra` and its siblings have, is unpaired: A is "x", B
  is "y", and there are no labels, which would only name the domain. "testA" and "testB" are held out.

  Args:
    name: as TFDS has it, `NAME[/CONFIG][:VERSION]`.
    resolution: side in pixels to fit each image to (`transforms.fit`); None keeps their size, which must then be one.
    resize: side to fit the training images to instead, for a square of `resolution` to be cut out at random whenever
      one is drawn: CycleGAN's 286 for 256. 0 cuts nothing.
    flip: whether half of the training images are mirrored as they are drawn.
    memory: GiB of decoded training images to hold on the device. More than that are streamed from disk (`stream`). Test
      images are always read.

  Returns:
    Dataset of "x" [H, W, C] in [-1, 1] and, where the data has classes, "label"; or of "x" and "y".

  Raises:
    ConfigError: TFDS knows no such data set, version or configuration; it is not prepared on this machine, or in a
      format that only TensorFlow reads; it has no 8-bit images, no split "train" or an empty split; its images differ
      in shape, or are too many to hold, and no resolution is given; resize is below resolution.
  """
  stored, crop = sides(resolution, resize)
  builder = _prepared(name)
  image, label = _features(builder.info)
  if image is None:
    features = ", ".join(sorted(builder.info.features))
    raise ConfigError(f"data set {name!r} has no 8-bit image: its features are {features}")
  splits = builder.info.splits
  unpaired = "trainA" in splits and "trainB" in splits
  if not unpaired and "train" not in splits:
    found = ", ".join(splits)
    raise ConfigError(f"data set {name!r} has no split 'train', nor trainA and trainB: its splits are {found}")
  label = None if unpaired else label
  train, held_out = {}, {}
  for entry, domain in (("x", "A"), ("y", "B")) if unpaired else (("x", ""),):
    kept, rest = _splits(builder, domain)
    train[entry] = _Images(builder, kept, entry, image, label, stored)
    held_out |= _Images(builder, rest, entry, image, label, resolution).arrays()
  classes = builder.info.features[label].num_classes if label else 0
  if fits(f"data set {name!r}", sum(images.size for images in train.values()), stored, memory):
    settings = held_out, classes, crop, flip
    if unpaired:
      return from_domains(f"tfds:{name}", {domain: images.arrays() for domain, images in train.items()}, *settings)
    return from_arrays(f"tfds:{name}", train["x"].arrays(), *settings)
  stream, size = functools.partial(batches, [*train.values()], crop=crop, flip=flip), min(map(len, train.values()))
  return Dataset(f"tfds:{name}", held_out["x"].shape[1:], classes, size, None, held_out, stream, tuple(train))


class _Images:
  """Examples by their number, read when they are asked for: a `stream.Source`."""

  def __init__(self, builder: Any, split: str, entry: str, image: str, label: str | None, side: int | None):
    self._name, self._examples = builder.info.full_name, builder.as_data_source(split)
    self._entry, self._image, self._label, self._side = entry, image, label, side

  def __len__(self) -> int:
    return len(self._examples)

  def __getitem__(self, index: int) -> dict[str, Any]:
    example = self._examples[index]
    image = fit(example[self._image][None], self._side)[0]
    return {self._entry: image} | ({"label": np.int32(example[self._label])} if self._label else {})

  @property
  def size(self) -> int:
    """Bytes of all images, if the others are like the first."""
    return len(self) * self[0][self._entry].nbytes

  def arrays(self) -> dict[str, np.ndarray]:
    """All of them."""
    examples = [self[i] for i in range(len(self))]
    shapes = sorted({example[self._entry].shape for example in examples})
    if len(shapes) > 1:
      found = f"images of {len(shapes)} shapes, such as {shapes[0]} and {shapes[1]}"
      raise ConfigError(f"data set {self._name!r} has {found}: give a resolution to bring them to")
    return {k: np.stack([example[k] for example in examples]) for k in examples[0]}


def _splits(builder: Any, domain: str) -> tuple[str, str]:
  """What is trained on and what is held out, of a domain."""
  train, test = f"train{domain}", f"test{domain}"
  if test not in builder.info.splits:
    train, test = f"{train}[:90%]", f"{train}[90%:]"
  for split in (train, test):
    if not builder.info.splits[split].num_examples:
      raise ConfigError(f"data set {builder.info.full_name!r} has no examples in {split!r}")
  return train, test


def _prepared(name: str) -> Any:
  """A `DatasetBuilder` whose files are on disk, in a format with random access."""
  import tensorflow_datasets as tfds  # here, so that the other sources do not wait for it

  try:
    builder = tfds.builder(name)
  except (ValueError, AssertionError) as error:  # the latter for a version that it does not have
    stem, known = re.split("[/:]", name)[0], tfds.list_builders(with_community_datasets=False)
    if stem in known:
      raise ConfigError(str(error)) from error
    near = difflib.get_close_matches(stem, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else "https://www.tensorflow.org/datasets/catalog lists them"
    raise ConfigError(f"TFDS knows no data set {name!r}: {hint}") from None
  command = "import tensorflow_datasets as tfds; tfds.builder({!r}, file_format='array_record').download_and_prepare()"
  prepare = f"pip install 'gan_jax[prepare]' && python -c \"{command.format(name)}\""
  if not builder.is_prepared():
    raise ConfigError(
      f"data set {name!r} is not prepared in {builder.data_dir}. To prepare it, once and with TensorFlow, run\n"
      f"  {prepare}\nSet TFDS_DATA_DIR, or pass data_dir to tfds.builder there, to keep the files elsewhere; "
      "TFDS_DATA_DIR must then point there when they are read."
    )
  if not builder.info.available_file_formats() & tfds.core.FileFormat.with_random_access():
    raise ConfigError(
      f"data set {name!r} is prepared in {builder.data_dir} as {builder.info.file_format.value}, which only TensorFlow "  # pyright: ignore[reportOptionalMemberAccess]
      f"can read. Set TFDS_DATA_DIR to another folder, prepare it there, and keep it set when running:\n  {prepare}"
    )
  return builder


def _features(info: Any) -> tuple[str | None, str | None]:
  """The names of the image and of the class."""
  import tensorflow_datasets as tfds

  pair = [key for key in info.supervised_keys or () if key in list(info.features)]
  features = sorted(info.features.items())  # as read from disk, their order is arbitrary
  images = [k for k, f in features if isinstance(f, tfds.features.Image) and f.np_dtype == np.uint8]
  classes = [k for k, f in features if isinstance(f, tfds.features.ClassLabel)]
  image = next((key for key in [*pair, "image", *images] if key in images), None)
  return image, next((key for key in [*pair, "label"] if key in classes), None)
