"""A NumPy archive, as `numpy.savez` writes it: images or points of one's own, with or without labels."""

import math
import pathlib
import zipfile
from collections.abc import Mapping

import numpy as np

from gan_jax import pixels
from gan_jax.data.dataset import Dataset, from_arrays
from gan_jax.data.transforms import fit
from gan_jax.errors import ConfigError

_NAMES = ("x", "label", "x_test", "label_test")
_SEED = 2016
_HEADS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def load(file: str, resolution: int | None = None, held_out: float = 0.2, memory: float = 4.0) -> Dataset:
  """Reads the arrays "x" and, where they are there, "label", "x_test" and "label_test" of an archive, and no others.

  "x" is images, [N, H, W] or [N, H, W, C] with one channel or three, uint8 or floating-point in [-1, 1], which is
  rounded to 256 levels as files have them; or points, [N, D], floating-point, which become float32. "label" is integers
  from 0, [N]. Arrays are read only if their sizes, as the archive states them, are no more than `memory` together.
  Nothing in a file is executed: arrays of objects are refused.

  Args:
    file: the path.
    resolution: side in pixels to fit images to (`transforms.fit`); None keeps their size.
    held_out: the share of the examples that is held out, drawn with a fixed seed, where the file has no "x_test".
    memory: GiB that may be read.

  Returns:
    Dataset of "x" [H, W, C] in [-1, 1] or [D], and "label"; there are as many classes as the largest label asks for.

  Raises:
    ConfigError: the file is not there, is no archive, is truncated or corrupt, or larger than `memory`; "x" is missing;
      an array has another shape or type, values out of range, or not as many entries as the one that it belongs to;
      nothing is left to hold out.
  """
  path = pathlib.Path(file).expanduser()
  if not 0.0 < held_out < 1.0 or not memory >= 0.0:
    raise ConfigError(f"held_out is {held_out} and memory {memory}; they have to be between 0 and 1, and at least 0")
  found = _read(path, memory)
  train, test = (_split(path, found, end, resolution) for end in ("", "_test"))
  if not train:
    raise ConfigError(f'{path} has no array "x"')
  if not test:
    train, test = _held_out(path, train, held_out)
  if train.keys() != test.keys():
    raise ConfigError(f'{path} has labels of one split alone; give both "label" and "label_test", or neither')
  if train["x"].shape[1:] != test["x"].shape[1:]:
    shapes = [list(split["x"].shape[1:]) for split in (train, test)]
    raise ConfigError(f'{path}: examples of "x" are {shapes[0]}, of "x_test" {shapes[1]}; they have to be alike')
  return from_arrays(f"npz:{file}", train, test, _classes(path, train, test))


def _read(path: pathlib.Path, memory: float) -> dict[str, np.ndarray]:
  """Those of `_NAMES` that are there, having looked at their sizes first."""
  try:
    with path.open("rb") as stream:
      start = stream.read(6)
  except OSError as error:
    raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
  if not start.startswith(b"PK\x03\x04"):
    single = " but a single array: numpy.savez writes one with names" if start == np.lib.format.MAGIC_PREFIX else ""
    raise ConfigError(f"{path} is no archive of arrays, as numpy.savez writes them{single}")
  try:
    with zipfile.ZipFile(path) as archive:
      entries = {name: archive.getinfo(f"{name}.npy") for name in _NAMES if f"{name}.npy" in archive.namelist()}
      size = sum(entry.file_size for entry in entries.values())
      if size > memory * 2**30:
        raise ConfigError(f"its arrays are {size / 2**30:.3g} GiB, more than memory, {memory:g} GiB; give more memory")
      return {name: _array(archive, entry, name) for name, entry in entries.items()}
  except ConfigError as error:
    raise ConfigError(f"{path}: {error}") from error
  except Exception as error:  # a corrupt archive can make its readers fail in any way
    raise ConfigError(f"{path} is truncated or corrupt ({error}): copy it again") from error


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> np.ndarray:
  """One of the archive's arrays, whose start is looked at before memory is taken for the rest."""
  with archive.open(entry) as stream:
    version = np.lib.format.read_magic(stream)
    if version not in _HEADS:
      raise ConfigError(f'"{name}" is in version {version[0]} of the format, which integers and floats do not need')
    shape, _, dtype = _HEADS[version](stream)
    if dtype.kind not in "uif":
      raise ConfigError(f'"{name}" is an array of {dtype}; it takes integers or floats')
    size, there = math.prod(shape) * dtype.itemsize, entry.file_size - stream.tell()
    if size != there:
      raise ConfigError(f'"{name}" should have {size} bytes for {dtype} {list(shape)}, and has {there}')
  with archive.open(entry) as stream:
    return np.lib.format.read_array(stream, allow_pickle=False)


def _split(
  path: pathlib.Path, found: Mapping[str, np.ndarray], end: str, resolution: int | None
) -> dict[str, np.ndarray]:
  """What a game sees of "x" and "label" with this ending, nothing where they are not there."""
  x, label = f"x{end}", f"label{end}"
  if x not in found:
    if label in found:
      raise ConfigError(f'{path} has "{label}" but no "{x}" that it belongs to')
    return {}
  split = {"x": _examples(f'{path}: "{x}"', found[x], resolution)}
  if label in found:
    split["label"] = _labels(f'{path}: "{label}"', found[label], len(split["x"]))
  return split


def _examples(what: str, x: np.ndarray, resolution: int | None) -> np.ndarray:
  x = x[..., None] if x.ndim == 3 else x
  if x.ndim not in (2, 4) or x.ndim == 4 and x.shape[3] not in (1, 3) or not x.size:
    raise ConfigError(
      f"{what} is {list(x.shape)}; it takes images [N, H, W] or [N, H, W, C], C being 1 or 3, or points [N, D]"
    )
  if x.dtype != np.uint8 and x.dtype.kind != "f" or x.ndim == 2 and x.dtype.kind != "f":
    raise ConfigError(f"{what} is {x.dtype}; images are uint8, or floating-point in [-1, 1], and points floating-point")
  if x.dtype.kind == "f" and not np.isfinite(x).all():
    raise ConfigError(f"{what} has values that are not finite")
  if x.ndim == 2:
    return _points(what, x, resolution)
  if x.dtype.kind == "f":
    if not -1.0 <= x.min() <= x.max() <= 1.0:
      raise ConfigError(f"{what} has values from {x.min():g} to {x.max():g}; images are uint8, or in [-1, 1]")
    x = pixels.encode(x.astype(np.float32))
  return fit(x, resolution)


def _points(what: str, x: np.ndarray, resolution: int | None) -> np.ndarray:
  if resolution is not None:
    raise ConfigError(f"{what} is points [N, D], which have no resolution: leave it out")
  if np.abs(x).max() > np.finfo(np.float32).max:
    raise ConfigError(f"{what} has values that float32 cannot hold")
  return x.astype(np.float32)


def _labels(what: str, label: np.ndarray, n: int) -> np.ndarray:
  if label.dtype.kind not in "ui" or label.shape != (n,):
    raise ConfigError(f"{what} is {label.dtype} {list(label.shape)}; it takes an integer for each of {n} examples")
  if label.min() < 0 or label.max() > np.iinfo(np.int32).max:
    raise ConfigError(f"{what} is from {label.min()} to {label.max()}; labels count from 0")
  return label.astype(np.int32)


def _held_out(
  path: pathlib.Path, examples: Mapping[str, np.ndarray], share: float
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  """The training part and the other, each in the file's order."""
  total = len(examples["x"])
  count = round(share * total)
  if not 0 < count < total:
    what = "train on" if count else "hold out"
    raise ConfigError(f"{path} has {total} examples, and held_out = {share:g} leaves none to {what}")
  order = np.random.RandomState(_SEED).permutation(total)
  kept, rest = np.sort(order[count:]), np.sort(order[:count])
  return {k: v[kept] for k, v in examples.items()}, {k: v[rest] for k, v in examples.items()}


def _classes(path: pathlib.Path, *splits: Mapping[str, np.ndarray]) -> int:
  """How many there are: a label beyond the number of examples is no class, but an identity or a mistake."""
  labels = [split["label"] for split in splits if "label" in split]
  if not labels:
    return 0
  most, examples = max(int(label.max()) for label in labels), sum(map(len, labels))
  if most >= examples:
    raise ConfigError(f"{path} has {examples} examples, and a label is {most}: number the classes from 0 on")
  return most + 1
