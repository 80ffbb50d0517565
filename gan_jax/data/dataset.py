"""What every source of data hands to a game: a pure `draw`, and a test split."""

import functools
import itertools
import types
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import pixels
from gan_jax.errors import ConfigError, at_least_one


class Dataset(NamedTuple):
  """A distribution to draw from, or several of them for translation between domains.

  Paired data has "condition" beside "x", an image for each: they are drawn, cropped and mirrored together.

  Unpaired data has images of several domains, of one shape, in its batches and in `test`, each under its domain's name:
  "x", "y", or others. They are drawn by themselves, and nothing joins the i-th "x" to the i-th "y"; `test` may have
  more of one than of another. Labels stand under `label_of` the domain. Where the true counterparts of held-out images
  of "x" in "y" are known, `test` has them as "x_in_y".

  Attributes:
    name: as in `config.data.name`.
    shape: of one `x`: [H, W, C] for images, [D] for points.
    classes: how many different labels there are; 0 where the data has none.
    size: number of training examples; None for a sampler, which never runs out; of unpaired data the smallest domain's.
    draw: `(key, n) -> {"x": [n, *shape] float32, "label": [n] int32 where there are labels}`; pure, so it may be
      jitted, scanned and vmapped. Images are in [-1, 1]. Examples are drawn independently, with replacement. It is a
      pytree whose leaves are the arrays it reads: hand it to a jitted function as an argument, so that XLA
      does not embed the data in the program. None where the images do not fit into memory and are streamed.
    test: the held-out split as stored (see `decode`), never seen by `draw` nor `stream`.
    domains: the batch's keys that are data: ("x",), or several, such as ("x", "y"), where it is unpaired.
    arrays: what `draw` reads, by name: the training examples as stored ("x", "label", "y", "label_y", "condition"), or
      a distribution's parameters ("means", "scales", "weights"); empty where the data is streamed.
    stream: None, or where `draw` is None `(n, seed, start, shard) -> iterator` of batches of n in NumPy, from number
      `start` on and as stored (see `decode`): `gan_jax.data.stream.batches` with the files as its sources.
    condition: of paired data the shape of one "condition", the image that an "x" in `test` and in a batch belongs to;
      else None.
  """

  name: str
  shape: tuple[int, ...]
  classes: int
  size: int | None
  draw: jax.tree_util.Partial | None
  test: Mapping[str, np.ndarray]
  stream: Callable | None = None
  domains: tuple[str, ...] = ("x",)
  arrays: Mapping[str, jax.Array] = types.MappingProxyType({})
  condition: tuple[int, ...] | None = None

  @property
  def held_out(self) -> np.ndarray:
    """The held-out examples, of unpaired data those of the first domain, as stored."""
    return self.test[self.domains[0]]


def label_of(domain: str) -> str:
  """What the labels of a domain's images are called: "label" of "x", "label_y" of "y"."""
  return "label" if domain == "x" else f"label_{domain}"


def check_domains(name: str, domains: Sequence[str]) -> None:
  """Refuses domains whose names clash, with each other or with what is named after them.

  Raises:
    ConfigError: there is one domain alone, a name is no identifier, or it is that of another entry, such as "label".
  """
  if len(domains) < 2:
    raise ConfigError(f"{name}: it takes two domains at least, and there is {', '.join(domains) or 'none'}")
  pairs = [*itertools.permutations(domains, 2)]
  others = [*map(label_of, domains), *(f"{a}_{way}_{b}" for a, b in pairs for way in ("in", "to"))]
  taken = {"label", "condition", *(other.casefold() for other in others)}
  for domain in domains:
    if not domain.isidentifier():
      raise ConfigError(f"{name}: a domain cannot be called {domain!r}; letters, digits and _ can stand in its name")
    if domain.casefold() in taken:  # in any case: there are files that are named after domains
      raise ConfigError(f"{name}: a domain cannot be called {domain!r}, for something else is; rename it")
    taken.add(domain.casefold())


def decode(batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
  """Turns stored arrays into what a game sees: uint8 pixels 0..255 into float32 in [-1, 1], the rest as it is."""
  return {k: pixels.decode(v) if v.dtype == jnp.uint8 else v for k, v in batch.items()}


def spread(examples: np.ndarray, most: int) -> np.ndarray:
  """At most so many of the examples, evenly spread, for they may be sorted."""
  return examples if len(examples) <= most else examples[np.linspace(0, len(examples) - 1, most).astype(int)]


def check_range(name: str, arrays: Mapping[str, np.ndarray]) -> None:
  """Raises ConfigError if images, which are what has the rank 4, are floats that are not all in [-1, 1]."""
  for entry, array in arrays.items():
    images = array.ndim == 4 and np.issubdtype(array.dtype, np.floating) and array.size
    if images and not np.abs(array).max() <= 1.0 + 1e-3:  # compiled, v / 127.5 - 1 is a rounding beyond 1
      low, high = np.min(array), np.max(array)
      raise ConfigError(f"{name}: {entry} has values from {low:g} to {high:g}; images are uint8, or floats in [-1, 1]")


def from_arrays(
  name: str,
  train: Mapping[str, np.ndarray],
  test: Mapping[str, np.ndarray],
  classes: int = 0,
  crop: int | None = None,
  flip: bool = False,
) -> Dataset:
  """A data set that lives on the device: uint8 images stay uint8 there, and are decoded as they are drawn.

  Args:
    name: as in `config.data.name`.
    train: "x": [N, H, W, C] uint8 or [N, D] float32; "label": [N] int32 and, of paired data, "condition" [N, H, W, C']
      uint8, optional; further entries [N, ...] likewise.
    test: the same entries, held out.
    classes: number of different labels.
    crop: side in pixels of a square to cut out of each image anew whenever it is drawn (`augment`); `test` has that
      size already. None draws whole images.
    flip: whether half of the images are mirrored as they are drawn.

  Raises:
    ConfigError: images are floats beyond [-1, 1], such as those in [0, 255].

  Examples:
    >>> import jax
    >>> import numpy as np
    >>> images, labels = np.zeros((100, 8, 8, 1), np.uint8), np.zeros(100, np.int32)
    >>> dataset = from_arrays("mine", {"x": images, "label": labels}, {"x": images[:10]}, classes=10)
    >>> batch = dataset.draw(jax.random.key(0), 4)
    >>> batch["x"].shape, str(batch["x"].dtype), float(batch["x"].min())
    ((4, 8, 8, 1), 'float32', -1.0)
  """
  for split in (train, test):
    check_range(name, split)
  arrays = {k: jnp.asarray(v) for k, v in train.items()}
  draw = jax.tree_util.Partial(_sampler(crop, flip), arrays)
  condition = _shape(train["condition"], crop) if "condition" in train else None
  shape, size = _shape(train["x"], crop), len(train["x"])
  return Dataset(name, shape, classes, size, draw, test, arrays=arrays, condition=condition)


def from_domains(
  name: str,
  train: Mapping[str, Mapping[str, np.ndarray]],
  test: Mapping[str, np.ndarray],
  classes: int = 0,
  crop: int | None = None,
  flip: bool = False,
) -> Dataset:
  """Unpaired data that lives on the device: a data set for each of two domains or more, drawn with a key of its own.

  Args:
    name: as in `config.data.name`.
    train: of each domain, by its name d, its images d: [N, H, W, C] uint8, and further entries [N, ...], such as
      `label_of(d)`, which are drawn with their image. N may differ from domain to domain, names of entries have to.
    test: the images of each domain d: [M, ...], held out, and further entries.
    classes, crop, flip: as in `from_arrays`, for all domains.

  Raises:
    ConfigError: the domains' images differ in shape, or they share the name of an entry; as `check_domains` and
      `check_range`.
  """
  check_domains(name, [*train])
  for entries in (*train.values(), test):
    check_range(name, entries)
  shapes = {domain: _shape(entries[domain], crop) for domain, entries in train.items()}
  (first, shape), *others = shapes.items()
  for domain, other in others:
    if other != shape:
      raise ConfigError(
        f"{name}: images {list(shape)} in domain {first} but {list(other)} in domain {domain}; bring them to one shape"
      )
  for (a, one), (b, other) in itertools.combinations(train.items(), 2):
    if shared := one.keys() & other.keys():
      raise ConfigError(f"{name}: domains {a} and {b} both have {sorted(shared)}, and a batch has one; rename it")
  arrays = {k: jnp.asarray(v) for entries in train.values() for k, v in entries.items()}
  parts = tuple(map(tuple, train.values()))
  draw = jax.tree_util.Partial(functools.partial(_draw_domains, _sampler(crop, flip), parts), arrays)
  size = min(len(entries[domain]) for domain, entries in train.items())
  return Dataset(name, shape, classes, size, draw, test, domains=tuple(train), arrays=arrays)


def augment(images: jax.Array, key: jax.Array, crop: int | None = None, flip: bool = False) -> jax.Array:
  """A random square out of each image, and half of them mirrored left to right, as CycleGAN trains. Zhu et al. 2017.

  Each image has its own place, uniform over all that lie within it, and its own coin.

  Args:
    images: [N, H, W, C].
    key: for places and coins.
    crop: side of the square, at most H and W; None leaves images whole.
    flip: whether to mirror.

  Returns:
    [N, crop, crop, C], of the dtype of `images`.
  """
  count, height, width, channels = images.shape
  across, down, mirror = jax.random.split(key, 3)
  if crop is not None:
    top = jax.random.randint(down, (count,), 0, height - crop + 1)
    left = jax.random.randint(across, (count,), 0, width - crop + 1)
    square = lambda image, *corner: jax.lax.dynamic_slice(image, (*corner, 0), (crop, crop, channels))
    images = jax.vmap(square)(images, top, left)
  if flip:
    mirrored = jax.random.bernoulli(mirror, 0.5, (count, 1, 1, 1))
    images = jnp.where(mirrored, images[:, :, ::-1], images)
  return images


def sides(resolution: int | None, resize: int) -> tuple[int | None, int | None]:
  """What the settings `resolution` and `resize` ask for: the side of stored images, and that of the squares cut out.

  Args:
    resolution: side in pixels of the images that a game sees; None for that of the files.
    resize: side to which training images are fitted before squares of `resolution` are cut out; 0 for no cutting.

  Returns:
    Sides of the stored training images and of the crops; None is "as they are" for the first, "whole" for the second.

  Raises:
    ConfigError: resolution is below 1; resize is below resolution, or given without one.
  """
  if resolution is not None:
    at_least_one("resolution", resolution)
  if not resize:
    return resolution, None
  if resolution is None:
    raise ConfigError(f"resize is {resize}, from which squares are cut, but no resolution says of what size: give it")
  if resize < resolution:
    raise ConfigError(f"resize is {resize}, and no squares of resolution {resolution} can be cut from that; give more")
  return resize, resolution if resize > resolution else None


def fits(name: str, size: int, side: int | None, memory: float) -> bool:
  """Whether training images are few enough to be held, which the setting `memory` says, or have to be streamed.

  Args:
    name: of the data, for messages.
    size: bytes of all decoded training images.
    side: of the stored training images, of which those that are streamed need to have one; None is "as they are".
    memory: GiB.

  Raises:
    ConfigError: memory is below 0, or there are too many images to hold and no side is given.
  """
  if not memory >= 0:
    raise ConfigError(f"memory is {memory}; it has to be a number of GiB of at least 0")
  if size <= memory * 2**30:
    return True
  if side is None:
    raise ConfigError(
      f"{name}: {size / 2**30:.3g} GiB of training images are more than memory, {memory:g} GiB, and to be streamed "
      "they need a resolution: give one, or more memory"
    )
  return False


def _shape(images: np.ndarray, crop: int | None) -> tuple[int, ...]:
  return tuple(images.shape[1:]) if crop is None else (crop, crop, images.shape[3])


def _sampler(crop: int | None, flip: bool) -> Callable:
  """`(arrays, key, n) -> batch`."""
  return _draw if crop is None and not flip else functools.partial(_draw_augmented, crop=crop, flip=flip)


def _draw(arrays: Mapping[str, jax.Array], key: jax.Array, n: int) -> dict[str, jax.Array]:
  return decode(_pick(arrays, key, n))


def _draw_augmented(
  arrays: Mapping[str, jax.Array], key: jax.Array, n: int, *, crop: int | None, flip: bool
) -> dict[str, jax.Array]:
  """Everything of an example that is an image gets the same crop and coin."""
  which, how = jax.random.split(key)
  batch = _pick(arrays, which, n)
  return decode({k: augment(v, how, crop, flip) if v.ndim == 4 else v for k, v in batch.items()})


def _draw_domains(
  draw: Callable, parts: tuple[tuple[str, ...], ...], arrays: Mapping[str, jax.Array], key: jax.Array, n: int
) -> dict[str, jax.Array]:
  """Each part, the names of a domain's entries, by itself."""
  batch = {}
  for names, own in zip(parts, jax.random.split(key, len(parts)), strict=True):
    batch |= draw({k: arrays[k] for k in names}, own, n)
  return batch


def _pick(arrays: Mapping[str, jax.Array], key: jax.Array, n: int) -> dict[str, jax.Array]:
  examples = len(next(iter(arrays.values())))
  index = jax.random.randint(key, (n,), 0, examples)
  return {k: v[index] for k, v in arrays.items()}
