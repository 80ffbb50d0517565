"""A folder of files in the format of MNIST, which Fashion-MNIST, KMNIST and EMNIST share."""

import gzip
import math
import pathlib
import zlib

import numpy as np

from gan_jax import host
from gan_jax.data.dataset import Dataset, from_arrays
from gan_jax.data.transforms import fit
from gan_jax.errors import ConfigError

_HEAD = 4  # two zeros, the type of the items and the number of dimensions, a byte each
_UINT8 = 0x08
_PIECE = 2**20  # bytes that are unpacked at a time


def load(folder: str, resolution: int | None = None) -> Dataset:
  """Reads MNIST's four files: http://yann.lecun.com/exdb/mnist describes the format.

  They are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`,
  each plain or with `.gz`, and `train-images.idx3-ubyte` is understood as well. The t10k pair is the held-out split.

  Args:
    folder: where the files lie.
    resolution: side in pixels to fit the images to (`transforms.fit`); None keeps their size.

  Returns:
    Dataset of "x" [H, W, 1] in [-1, 1], and "label" from 0; there are as many classes as the largest label asks for.

  Raises:
    ConfigError: the folder or a file is not there, is not in this format, is truncated or badly compressed; or there
      are not as many labels as images.
  """
  root = pathlib.Path(folder).expanduser()
  if not root.is_dir():
    raise ConfigError(
      f"no folder {root}: expected one that holds MNIST-format files such as train-images-idx3-ubyte.gz"
    )
  train, test = (_split(root, prefix, resolution) for prefix in ("train", "t10k"))
  return from_arrays(f"idx:{folder}", train, test, 1 + max(int(split["label"].max()) for split in (train, test)))


def _split(root: pathlib.Path, prefix: str, resolution: int | None) -> dict[str, np.ndarray]:
  images, labels = _read(root, f"{prefix}-images", 3), _read(root, f"{prefix}-labels", 1)
  if len(images) != len(labels) or not len(images):
    raise ConfigError(f"{root}: {len(images)} {prefix} images but {len(labels)} labels; expected one for each image")
  return {"x": fit(images[..., None], resolution), "label": labels.astype(np.int32)}


def _read(root: pathlib.Path, stem: str, rank: int) -> np.ndarray:
  """An array of uint8 with `rank` dimensions; of what is compressed no more is unpacked than it says that it has."""
  path = _find(root, [f"{stem}{dot}idx{rank}-ubyte{gz}" for dot in "-." for gz in ("", ".gz")])
  start, magic = _HEAD + 4 * rank, bytes((0, 0, _UINT8, rank))
  try:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
      head = file.read(start)
      if head[:_HEAD] != magic:
        found = f"starts with {head[:_HEAD].hex()}" if head else "is empty"
        raise ConfigError(f"{path} {found}; bytes in {rank} dimensions start with {magic.hex()}")
      if len(head) < start:
        raise ConfigError(f"{path} should hold {start} bytes and more, and holds {len(head)}")
      shape = np.frombuffer(head[_HEAD:], ">u4").tolist()
      if 0 in shape[1:]:
        raise ConfigError(f"{path} holds an array {shape}, in which there is nothing")
      there, size = host.memory(), math.prod(shape)
      if there is not None and 2 * size > there:
        raise ConfigError(
          f"{path} says that it holds an array {shape}, of {size / 2**30:,.1f} GiB; to read it takes twice that, and "
          f"there are {there / 2**30:,.1f} GiB of memory"
        )
      pieces, unpacked = [], 0
      while unpacked <= size and (piece := file.read(_PIECE)):  # asked for all at once, Python makes room for all
        pieces.append(piece)
        unpacked += len(piece)
  except (gzip.BadGzipFile, EOFError, zlib.error) as error:
    raise ConfigError(f"{path} is not a whole gzip file ({error}): fetch it again") from error
  if unpacked != size:
    found = "more" if unpacked > size else start + unpacked
    raise ConfigError(f"{path} should hold {start + size} bytes for an array {shape}, and holds {found}")
  return np.frombuffer(b"".join(pieces), np.uint8).reshape(shape)


def _find(root: pathlib.Path, names: list[str]) -> pathlib.Path:
  for name in names:
    if (root / name).is_file():
      return root / name
  there = ", ".join(sorted(p.name for p in root.iterdir())) or "nothing"
  raise ConfigError(f"{root} has none of {', '.join(names)}; it holds {there}")
