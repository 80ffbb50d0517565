"""Batches from more images than fit into memory: read, cropped and mirrored by threads while the device trains."""

import concurrent.futures
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np

from gan_jax.errors import ConfigError

Item = TypeVar("Item")

_THREADS = 16


class Source(Protocol):
  """Random access to examples: `source[i]` is a mapping from names to arrays, without the axis of the batch."""

  def __len__(self) -> int: ...

  def __getitem__(self, index: int) -> Mapping[str, np.ndarray]: ...


def batches(
  sources: Sequence[Source],
  n: int,
  seed: int,
  start: int = 0,
  shard: tuple[int, int] = (0, 1),
  *,
  crop: int | None = None,
  flip: bool = False,
) -> Iterator[dict[str, np.ndarray]]:
  """Endless batches of shuffled examples, each source in an order of its own.

  An epoch has every example of a source once, and is shuffled anew; a batch may end one and begin the next. Batch
  number b depends on seed and shard alone: it is the same wherever a run starts, and the shards (0, k) ... (k - 1, k)
  see together the k * n examples that a single process with a batch of k * n sees, crops and coins included.

  Args:
    sources: one for each domain, whose names are merged into one batch. Each may be of another size.
    n: examples in a batch, for this process.
    seed: of order, crops and coins.
    start: number of the first batch, for a run that is resumed.
    shard: this process, from 0, and how many there are: process i of k reads the i-th of k equal parts of each batch.
    crop: side of a square to cut from every image, a place in it drawn for each; None leaves images whole.
    flip: whether half of the images are mirrored left to right.

  Returns:
    Iterator of {name: [n, ...]}, with the dtypes of the source: images stay uint8. Errors of the source pass through.

  Raises:
    ConfigError: n below 1, start or seed below 0, a shard that is not one of its count, or an empty source.
  """
  index, count = shard
  if n < 1 or start < 0 or seed < 0 or not 0 <= index < count:
    raise ConfigError(
      f"n must be at least 1, start and seed at least 0, and shard (i, k) with 0 <= i < k; they are {n}, {start}, "
      f"{seed} and {shard}"
    )
  if not all(len(source) for source in sources):
    raise ConfigError(f"sources of {[len(source) for source in sources]} examples: each needs at least one")
  seeds = np.random.SeedSequence(seed).generate_state(len(sources)).tolist()
  parts = [_domain(source, n, own, start, shard, crop, flip) for source, own in zip(sources, seeds)]
  return map(_merge, *parts)


def ahead(items: Iterator[Item]) -> Iterator[tuple[Item, float]]:
  """The same items, and the same error at the same place, each sought by a thread while the one before it is in use.

  Beside each item stands for how many seconds it was waited for.
  """
  end = object()
  with concurrent.futures.ThreadPoolExecutor(1) as thread:
    upcoming = thread.submit(next, items, end)
    while True:
      asked = time.perf_counter()
      item = upcoming.result()
      if item is end:
        return
      upcoming = thread.submit(next, items, end)
      yield item, time.perf_counter() - asked  # pyright: ignore[reportReturnType]


def _domain(
  source: Source, n: int, seed: int, start: int, shard: tuple[int, int], crop: int | None, flip: bool
) -> Iterator[dict[str, np.ndarray]]:
  import grain  # here, so that data held in memory does not wait for it

  index, count = shard

  def augment(example: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    corner, mirrored = rng.random(2), flip and rng.random() < 0.5
    return {k: _augment(v, corner, crop, mirrored) if v.ndim == 3 else v for k, v in example.items()}

  # Shards and the start are cut after all that is random, which thereby is tied to an example's place in the epoch.
  examples = grain.MapDataset.source(source).seed(seed).shuffle().random_map(augment).repeat()
  parts = examples.batch(n, drop_remainder=True)[index + start * count :: count]
  return iter(parts.to_iter_dataset(grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=_THREADS)))


def _augment(image: np.ndarray, corner: np.ndarray, crop: int | None, mirrored: bool) -> np.ndarray:
  """`corner` is uniform in [0, 1)^2."""
  if crop is not None:
    top, left = (corner * (np.array(image.shape[:2]) - crop + 1)).astype(int)
    image = image[top : top + crop, left : left + crop]
  return image[:, ::-1] if mirrored else image


def _merge(*parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  return {k: v for part in parts for k, v in part.items()}
