"""A folder of image files, of one domain or, for translation, of several.

What becomes of a file: it is turned as its EXIF orientation says; transparent parts show white; palettes and CMYK
become RGB; 16-bit grey is scaled to 8 bits, and Pillow does so with 16-bit colour. If one file of the data set is
stored in colour, grey ones become RGB, and otherwise there is one channel. Last comes `transforms.fit`.
"""

import concurrent.futures
import contextlib
import dataclasses
import difflib
import functools
import os
import pathlib
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from gan_jax.data.dataset import Dataset, check_domains, fits, from_arrays, from_domains, sides
from gan_jax.data.stream import batches
from gan_jax.data.transforms import fit
from gan_jax.errors import ConfigError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
_THREADS = 16
_LARGEST = 64 * 10**6  # pixels of a file: decoded they take four bytes each, in every thread that reads
_AT_ONCE = 4096  # `map` keeps a record of each item that it has been given, and there may be millions
# What domains are called whose folders are called so, in the papers' letters, where there are no others.
_LETTERS = {("A", "B"): "xy", ("A", "B", "C"): "xyz"}
# What the pictures in a file are, from left to right, by the setting `paired`.
_NAMES = {"": ("x",), "AtoB": ("condition", "x"), "BtoA": ("x", "condition")}
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def load(
  place: str, resolution: int | None = None, resize: int = 0, flip: bool = False, memory: float = 4.0, paired: str = ""
) -> Dataset:
  """Reads the images in a folder and its subfolders: PNG, JPEG, WebP, BMP and the first picture of a GIF.

  Which images there are:
    - With a folder `train`, that is the training split and `test`, or `val` where there is no `test`, the held-out one,
      and what lies beside them is not read. Otherwise, but for the next point, all images are of one set.
    - Several folders trainNAME are unpaired domains without labels; testNAME is held out. NAMEs that are A and B, or A,
      B and C, are called "x", "y" and "z"; others as they are written, in sorted order.
    - A split without a test folder of its own has its last tenth held out, by sorted name, of each class and at least
      one image.
    - If every image lies in a subfolder and there are several, the subfolders' names, sorted, are the classes.
    - Other kinds of file, and names that start with a dot, are passed over.

  Args:
    place: the folder.
    resolution: side in pixels to fit the images to; None keeps their size, which must then be one.
    resize: side to fit the training images to instead, for a square of `resolution` to be cut out at random whenever
      one is drawn: CycleGAN's 286 for 256. 0 cuts nothing.
    flip: whether half of the training images are mirrored as they are drawn.
    memory: GiB of decoded training images to hold on the device. More than that are streamed from disk (`stream`): then
      only the heads of training files are read and checked here, and the rest when it is their turn. Test images are
      always read.
    paired: "AtoB" or "BtoA" where a file holds two square pictures side by side, A on the left and B on the right, as
      the data sets of pix2pix come: the first named is the "condition" of the other, "x". "" where it holds one.

  Returns:
    Dataset of "x" [H, W, C] in [-1, 1] and "label" or "condition", or of a domain's images each, as above.

  Raises:
    ConfigError: there is no such folder, or a part of it is missing or has too few images; a file is damaged; images
      differ in size or are too many to hold, and no resolution is given; a class has test images but none to train
      with; a trainNAME is alone, a testNAME without its trainNAME, or NAME no domain's name (`check_domains`); resize
      is below resolution; `paired` is unknown, a file is not twice as wide as high, or the data is unpaired.
  """
  stored, crop = sides(resolution, resize)
  root = _existing(pathlib.Path(place).expanduser())
  domains = _domains(root, paired)
  train, test, classes = _unpaired(root, domains) if domains else _classes(root, _NAMES[paired])
  files = [path for part in (*train, *test) for path in part.paths]
  heads = dict(zip(files, _threaded(_head, files)))
  channels = 3 if any(head.colour for head in heads.values()) else 1
  each = stored and stored**2 * len(_NAMES[paired])
  pixels = sum(each or heads[path].pixels for part in train for path in part.paths)
  held = fits(str(root), pixels * channels, stored, memory)
  # Files of other sizes are measured against the first one's.
  shape = (stored, stored, channels) if stored else _shape(files[0], train[0].names, channels)
  train = [_Images(part, channels, stored, shape) for part in train]
  shape = (resolution, resolution, channels) if resolution else shape
  held_out = {k: v for part in test for k, v in _Images(part, channels, resolution, shape).arrays().items()}
  name, settings = f"folder:{place}", (held_out, classes, crop, flip)
  if held and domains:
    return from_domains(name, {domain: images.arrays() for domain, images in zip(domains, train)}, *settings)
  if held:
    return from_arrays(name, train[0].arrays(), *settings)
  stream, size = functools.partial(batches, train, crop=crop, flip=flip), min(map(len, train))
  condition = shape if paired else None
  return Dataset(name, shape, classes, size, None, held_out, stream, tuple(domains) or ("x",), condition=condition)


def read_image(path: pathlib.Path, channels: int, side: int | None = None) -> np.ndarray:
  """One image file as `load` would read it: [H, W, channels] uint8, on white.

  Args:
    path: of the file.
    channels: 1 for grey, 3 for colour.
    side: what `transforms.fit` brings it to; None leaves its size.

  Raises:
    ConfigError: if it cannot be read.
  """
  with _opened(path) as image:
    pixels = _flatten(ImageOps.exif_transpose(image), channels)
  return fit(pixels[None], side)[0]


def read_all(place: str | pathlib.Path, resolution: int | None = None) -> np.ndarray:
  """Every image in a folder and its subfolders, as `load` would read them: [N, H, W, C] uint8, by sorted name.

  Raises:
    ConfigError: there is no such folder, or no image in it; one is damaged; they differ in size and no resolution is
      given.
  """
  paths = list(_find(_existing(pathlib.Path(place).expanduser())))
  channels = 3 if any(head.colour for head in _threaded(_head, paths)) else 1
  side = resolution or None
  shape = (side, side, channels) if side else read_image(paths[0], channels).shape
  return _Images(_Part(("x",), paths), channels, side, shape).arrays()["x"]


class _Part(NamedTuple):
  """The files of a split of a domain, under the names that the pictures in each have in a batch, from the left."""

  names: tuple[str, ...]
  paths: list[pathlib.Path]
  labels: list[int] | None = None


class _Head(NamedTuple):
  colour: bool
  pixels: int


@dataclasses.dataclass(frozen=True)
class _Images:
  """Examples by their number, read when they are asked for: a `stream.Source`."""

  part: _Part
  channels: int
  side: int | None
  shape: tuple[int, ...]

  def __len__(self) -> int:
    return len(self.part.paths)

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    path, labels = self.part.paths[index], self.part.labels
    images = _read(path, self.part.names, self.channels, self.side)
    for image in images.values():
      if image.shape != self.shape:
        raise ConfigError(
          f"{path} is {list(image.shape)}, but others are {list(self.shape)}: give a resolution to bring them to"
        )
    return images | ({"label": np.int32(labels[index])} if labels else {})  # pyright: ignore[reportReturnType]

  def arrays(self) -> dict[str, np.ndarray]:
    """All of them."""
    # Filled in place: a list to stack would take as much again.
    images = {name: np.empty((len(self), *self.shape), np.uint8) for name in self.part.names}

    def fill(index: int) -> None:
      read = self[index]
      for name, array in images.items():
        array[index] = read[name]

    list(_threaded(fill, range(len(self))))
    return images | ({} if self.part.labels is None else {"label": np.array(self.part.labels, np.int32)})


def _read(path: pathlib.Path, names: tuple[str, ...], channels: int, side: int | None) -> dict[str, np.ndarray]:
  """The pictures that stand side by side in a file, each as `read_image` has one."""
  if len(names) == 1:
    return {names[0]: read_image(path, channels, side)}
  whole = read_image(path, channels)
  height, width = whole.shape[:2]
  if width != 2 * height:
    raise ConfigError(f"{path} is {width}x{height}, and a pair of square pictures is twice as wide as high")
  return dict(zip(names, (fit(half[None], side)[0] for half in np.split(whole, 2, axis=1))))


def _shape(path: pathlib.Path, names: tuple[str, ...], channels: int) -> tuple[int, ...]:
  """Of the pictures in a file, which have the same one."""
  return next(iter(_read(path, names, channels, None).values())).shape


def _threaded(function: Callable, items: Sequence) -> Iterator:
  """`map` by threads, which Pillow and the disk leave free to run side by side."""
  with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
    for start in range(0, len(items), _AT_ONCE):
      yield from pool.map(function, items[start : start + _AT_ONCE])


def _existing(root: pathlib.Path) -> pathlib.Path:
  if root.is_dir():
    return root
  siblings = sorted(p.name for p in root.parent.iterdir() if p.is_dir()) if root.parent.is_dir() else []
  near = difflib.get_close_matches(root.name, siblings, 1)
  hint = f"did you mean {root.parent / near[0]}?" if near else "give the path of a folder of images"
  raise ConfigError(f"no folder {root}: {hint}")


def _domains(root: pathlib.Path, paired: str) -> dict[str, str]:
  """Of unpaired data each domain and the NAME of its folders; of other data nothing."""
  if paired not in _NAMES:
    raise ConfigError(f"paired is {paired!r}; it is 'AtoB' or 'BtoA', and '' where a file holds one picture")
  folders = sorted(path.name for path in root.iterdir() if path.is_dir())
  names, tested = (
    [folder.removeprefix(kind) for folder in folders if folder.startswith(kind) and folder != kind]
    for kind in ("train", "test")
  )
  if not names or "train" in folders:
    return {}
  there = " and ".join(f"train{name}" for name in names)
  if paired:
    raise ConfigError(f"paired is {paired!r}, of pairs in one file each, but {root} has {there}: unpaired")
  if len(names) == 1:
    raise ConfigError(f"{root} has {there} alone: unpaired data has two such folders or more, as trainA and trainB")
  if alone := [name for name in tested if name not in names]:
    raise ConfigError(f"{root} has test{alone[0]} but no train{alone[0]} to go with it: it has {there}")
  domains = dict(zip(_LETTERS.get(tuple(names), names), names))
  check_domains(str(root), [*domains])
  return domains


def _unpaired(root: pathlib.Path, domains: Mapping[str, str]) -> tuple[list[_Part], list[_Part], int]:
  train, test = [], []
  for domain, name in domains.items():
    files, other = _find(root / f"train{name}"), root / f"test{name}"
    kept, held_out = (list(files), list(_find(other))) if other.is_dir() else _part(root, dict.fromkeys(files, ""))
    train.append(_Part((domain,), kept))
    test.append(_Part((domain,), held_out))
  return train, test, 0


def _classes(root: pathlib.Path, pictures: tuple[str, ...]) -> tuple[list[_Part], list[_Part], int]:
  base, other = root / "train", root / "test"
  if base.is_dir() and not other.is_dir():
    other = root / "val"
  if other.is_dir() and not base.is_dir():
    raise ConfigError(f"{root} has a folder test but no folder train to go with it")
  files = _find(base if base.is_dir() else root)
  held_out = _find(other) if other.is_dir() else {}
  classes = sorted(set(files.values()))
  labelled = len(classes) > 1 and all([*files.values(), *held_out.values()])
  if not labelled:
    files, classes = dict.fromkeys(files, ""), []
  elif unknown := sorted(set(held_out.values()) - set(classes)):
    raise ConfigError(f"{other} has a class {unknown[0]!r} that {base} has not: its classes are {', '.join(classes)}")
  kept, rest = (list(files), list(held_out)) if held_out else _part(root, files)
  index, names = {name: i for i, name in enumerate(classes)}, files | held_out
  train, test = (
    [_Part(pictures, paths, [index[names[p]] for p in paths] if labelled else None)] for paths in (kept, rest)
  )
  return train, test, len(classes)


def _part(root: pathlib.Path, files: dict[pathlib.Path, str]) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
  """The first nine tenths and the last of each class; a class of one image is for training."""
  counts, seen = Counter(files.values()), Counter()
  kept, held_out = [], []
  for path, name in files.items():
    seen[name] += 1
    last = max(counts[name] // 10, 1) if counts[name] > 1 else 0
    (held_out if seen[name] > counts[name] - last else kept).append(path)
  if not held_out:
    raise ConfigError(
      f"{root} has {len(files)} images to train with, and none can be held out: it takes two of a class"
    )
  return kept, held_out


def _find(folder: pathlib.Path) -> dict[pathlib.Path, str]:
  """Images, sorted, each with the subfolder that it is in or under, "" at the top.

  Links are followed, but no folder is walked twice and no image counts twice.
  """
  found, seen = {}, {os.path.realpath(folder)}
  for place, subfolders, names in os.walk(folder, followlinks=True):
    real = {
      name: os.path.realpath(pathlib.Path(place, name)) for name in sorted(subfolders) if not name.startswith(".")
    }
    subfolders[:] = [name for name, path in real.items() if path not in seen and not seen.add(path)]
    here = os.path.realpath(place)
    for name in sorted(names):
      path = pathlib.Path(place, name)
      if name.startswith(".") or not name.lower().endswith(SUFFIXES):
        continue
      real_path = os.path.realpath(path) if path.is_symlink() else os.path.join(here, name)
      if real_path in seen:
        continue
      if not path.is_file():
        raise ConfigError(f"{path} cannot be read as an image (it is no file): repair or remove it")
      seen.add(real_path)
      above = path.relative_to(folder).parts[:-1]
      found[path] = above[0] if above else ""
  if not found:
    raise ConfigError(f"{folder} holds no images: there is no file that ends in {', '.join(SUFFIXES)}")
  return dict(sorted(found.items()))


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[Any]:
  try:
    with Image.open(path) as image:
      if image.width * image.height > _LARGEST:
        raise ConfigError(
          f"{path} is {image.width}x{image.height}; more than {_LARGEST // 10**6} megapixels: shrink it"
        )
      yield image
  except ConfigError:  # a ValueError too
    raise
  except _UNREADABLE as error:
    raise ConfigError(f"{path} cannot be read as an image ({error}): repair or remove it") from error


def _head(path: pathlib.Path) -> _Head:
  with _opened(path) as image:
    return _Head(Image.getmodebase(image.mode) != "L", image.width * image.height)


def _flatten(image: Any, channels: int) -> np.ndarray:
  """Pixels [H, W, channels] uint8, on white."""
  if image.mode.startswith("I"):  # 16 bits, of which Pillow's `convert` would clip all above 255
    deep, clear = np.asarray(image).astype(np.int64), image.info.get("transparency", -1)
    image = Image.fromarray(np.where(deep == clear, 255, (deep + 128) // 257).astype(np.uint8))
  if image.has_transparency_data:
    image = image.convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
  return np.asarray(image.convert("RGB" if channels == 3 else "L")).reshape(image.height, image.width, channels)
