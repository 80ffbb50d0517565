"""Any TensorFlow data set of images, read without TensorFlow once it has been prepared."""

import difflib
import re
from typing import Any

import numpy as np

from gan_jax.data.dataset import Dataset, from_arrays, from_domains, sides
from gan_jax.data.transforms import fit


def load(name: str, resolution: int | None = None, resize: int = 0, flip: bool = False) -> Dataset:
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

  Returns:
    Dataset of "x" [H, W, C] in [-1, 1] and, where the data has classes, "label"; or of "x" and "y".

  Raises:
    ValueError: TFDS knows no such data set, version or configuration; it is not prepared on this machine, or in a
      format that only TensorFlow reads; it has no 8-bit images, no split "train" or an empty split; its images differ
      in shape; resize is below resolution.
  """
  stored, crop = sides(resolution, resize)
  builder = _prepared(name)
  image, label = _features(builder.info)
  if image is None:
    features = ", ".join(sorted(builder.info.features))
    raise ValueError(f"data set {name!r} has no 8-bit image: its features are {features}")
  splits = builder.info.splits
  if "trainA" in splits and "trainB" in splits:
    train, test = zip(*(_parts(builder, letter, image, None, stored, resolution) for letter in "AB"))
    domains = ({entry: split["x"]} for entry, split in zip("xy", train))
    return from_domains(f"tfds:{name}", *domains, {k: v["x"] for k, v in zip("xy", test)}, crop=crop, flip=flip)
  if "train" not in splits:
    found = ", ".join(splits)
    raise ValueError(f"data set {name!r} has no split 'train', nor trainA and trainB: its splits are {found}")
  train, test = _parts(builder, "", image, label, stored, resolution)
  classes = builder.info.features[label].num_classes if label else 0
  return from_arrays(f"tfds:{name}", train, test, classes, crop, flip)


def _parts(
  builder: Any, domain: str, image: str, label: str | None, stored: int | None, resolution: int | None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  """The training images, with the side `stored`, and the held-out ones, with the side `resolution`."""
  train, test = f"train{domain}", f"test{domain}"
  if test not in builder.info.splits:
    train, test = f"{train}[:90%]", f"{train}[90%:]"
  return _read(builder, train, image, label, stored), _read(builder, test, image, label, resolution)


def _prepared(name: str) -> Any:
  """A `DatasetBuilder` whose files are on disk, in a format with random access."""
  import tensorflow_datasets as tfds  # here, so that the other sources do not wait for it

  try:
    builder = tfds.builder(name)
  except (ValueError, AssertionError) as error:  # the latter for a version that it does not have
    stem, known = re.split("[/:]", name)[0], tfds.list_builders(with_community_datasets=False)
    if stem in known:
      raise ValueError(str(error)) from error
    near = difflib.get_close_matches(stem, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else "https://www.tensorflow.org/datasets/catalog lists them"
    raise ValueError(f"TFDS knows no data set {name!r}: {hint}") from None
  command = "import tensorflow_datasets as tfds; tfds.builder({!r}, file_format='array_record').download_and_prepare()"
  prepare = f"pip install -e '.[prepare]' && python -c \"{command.format(name)}\""
  if not builder.is_prepared():
    raise ValueError(
      f"data set {name!r} is not prepared in {builder.data_dir}. To prepare it, once and with TensorFlow, run\n"
      f"  {prepare}\nSet TFDS_DATA_DIR, or pass data_dir to tfds.builder there, to keep the files elsewhere; "
      "TFDS_DATA_DIR must then point there when they are read."
    )
  if not builder.info.available_file_formats() & tfds.core.FileFormat.with_random_access():
    raise ValueError(
      f"data set {name!r} is prepared in {builder.data_dir} as {builder.info.file_format.value}, which only TensorFlow "
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


def _read(builder: Any, split: str, image: str, label: str | None, resolution: int | None) -> dict[str, np.ndarray]:
  if not builder.info.splits[split].num_examples:
    raise ValueError(f"data set {builder.info.full_name!r} has no examples in {split!r}")
  images, labels = [], []
  for example in builder.as_data_source(split):
    images.append(fit(example[image][None], resolution)[0])  # one by one: the originals may not fit into memory
    labels.append(example[label] if label else 0)
  shapes = sorted({x.shape for x in images})
  if len(shapes) > 1:
    found = f"images of {len(shapes)} shapes, such as {shapes[0]} and {shapes[1]}"
    raise ValueError(f"data set {builder.info.full_name!r} has {found}: give a resolution to bring them to")
  return {"x": np.stack(images)} | ({"label": np.array(labels, np.int32)} if label else {})
