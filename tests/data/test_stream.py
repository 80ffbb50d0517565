"""Streams over a source whose images say which they are: what an epoch, a start and a shard mean."""

import itertools
import threading

import numpy as np
import pytest

from gan_jax.data import stream

SIDE = 6


class Source:
  """Image i has i in every pixel, or with `gradient` its own row and column."""

  def __init__(self, length, name="x", gradient=False):
    self.length, self.name, self.gradient = length, name, gradient

  def __len__(self):
    return self.length

  def __getitem__(self, index):
    image = np.full((SIDE, SIDE, 2), index, np.uint8)
    if self.gradient:
      image = np.stack(np.mgrid[:SIDE, :SIDE], axis=-1).astype(np.uint8)
    return {self.name: image, f"label_{self.name}": np.int32(index)}


def take(count, *args, **settings):
  return list(itertools.islice(stream.batches(*args, **settings), count))


def labels(batches, name="label_x"):
  return np.concatenate([batch[name] for batch in batches]).tolist()


def assert_equal(left, right):
  assert len(left) == len(right)
  for one, other in zip(left, right):
    assert one.keys() == other.keys()
    for name in one:
      np.testing.assert_array_equal(one[name], other[name])


def test_a_batch_is_stacked_and_stays_as_stored():
  (batch,) = take(1, [Source(10)], 4, seed=0)
  assert batch["x"].shape == (4, SIDE, SIDE, 2) and batch["x"].dtype == np.uint8
  assert batch["label_x"].shape == (4,) and batch["label_x"].dtype == np.int32
  assert all(type(value) is np.ndarray for value in batch.values())
  np.testing.assert_array_equal(batch["x"][:, 0, 0, 0], batch["label_x"])


def test_every_image_once_an_epoch_and_each_epoch_in_another_order():
  order = labels(take(9, [Source(12)], 4, seed=3))
  epochs = [order[i : i + 12] for i in (0, 12, 24)]
  assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
  assert len({tuple(epoch) for epoch in [*epochs, range(12)]}) == 4


def test_a_batch_may_end_one_epoch_and_begin_the_next():
  order = labels(take(5, [Source(5)], 3, seed=0))
  assert [sorted(order[i : i + 5]) for i in (0, 5, 10)] == [list(range(5))] * 3
  more_than_there_are = labels(take(1, [Source(3)], 7, seed=0))
  assert sorted(more_than_there_are[:6]) == [0, 0, 1, 1, 2, 2]


def test_the_seed_decides_and_nothing_else():
  first, again, other = (take(6, [Source(40, gradient=True)], 5, seed=seed, crop=4, flip=True) for seed in (1, 1, 2))
  assert_equal(first, again)
  assert labels(first) != labels(other)


@pytest.mark.parametrize("shard", [(0, 1), (1, 3)])
def test_a_resumed_run_sees_the_tail(shard):
  """In the first epoch and, with 40 * 5 examples of 60, in later ones."""
  sources, settings = [Source(60, gradient=True), Source(50, "y")], {"crop": 4, "flip": True, "shard": shard}
  whole = take(40, sources, 5, seed=1, **settings)
  for start in (1, 7, 37):
    assert_equal(take(40 - start, sources, 5, seed=1, start=start, **settings), whole[start:])


@pytest.mark.parametrize("count", [2, 3])
def test_shards_part_the_batch_of_one_process(count):
  sources, settings = [Source(31, gradient=True), Source(17, "y")], {"crop": 4, "flip": True, "start": 2}
  whole = take(12, sources, 12, seed=5, **settings)
  parts = [take(12, sources, 12 // count, seed=5, shard=(i, count), **settings) for i in range(count)]
  for batch, *shares in zip(whole, *parts):
    for i, share in enumerate(shares):
      assert_equal([share], [{k: np.split(v, count)[i] for k, v in batch.items()}])


@pytest.mark.parametrize("count", [2, 4])
def test_domains_are_drawn_independently(count):
  """Pairs of positions within the epoch do not hang together, although all have as many images."""
  names = "xyzw"[:count]
  batches = take(20, [Source(100, name) for name in names], 100, seed=0)
  orders = [labels(batches, f"label_{name}") for name in names]
  assert all(sorted(order[:100]) == list(range(100)) for order in orders)
  for one, other in itertools.combinations(orders, 2):
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(2000)
    assert np.mean(np.equal(one, other)) < 0.03  # 0.01 expected


def test_crops_lie_within_at_every_place_and_half_are_mirrored():
  """The pixels of image and crop are their coordinates, so that the crop says whence it comes."""
  batches = take(40, [Source(50, gradient=True)], 50, seed=0, crop=4, flip=True)
  x = np.concatenate([batch["x"] for batch in batches]).astype(int)
  assert x.shape == (2000, 4, 4, 2)
  top, left = x[:, 0, 0, 0], x[..., 1].min((1, 2))
  mirrored = x[:, 0, 0, 1] > x[:, 0, -1, 1]
  rows = top[:, None, None] + np.arange(4)[None, :, None] + np.zeros((1, 1, 4), int)
  across = np.where(mirrored[:, None], np.arange(4)[::-1], np.arange(4))
  columns = left[:, None, None] + across[:, None] + np.zeros((1, 4, 1), int)
  np.testing.assert_array_equal(x, np.stack([rows, columns], axis=-1))
  seen = np.zeros((3, 3, 2))
  np.add.at(seen, (top, left, mirrored.astype(int)), 1)
  expected = 2000 / 18
  assert ((seen - expected) ** 2 / expected).sum() < 41  # chi-squared, 17 degrees: p < 0.001


def test_an_image_is_cropped_anew_in_the_next_epoch():
  batches = take(20, [Source(1, gradient=True)], 1, seed=0, crop=4)
  assert len({batch["x"].tobytes() for batch in batches}) > 3


def test_without_crop_and_flip_images_are_whole():
  (batch,) = take(1, [Source(5, gradient=True)], 5, seed=0)
  np.testing.assert_array_equal(batch["x"], np.stack([Source(1, gradient=True)[0]["x"]] * 5))


def test_flip_alone_and_crop_alone():
  image = Source(1, gradient=True)[0]["x"]
  flipped = {batch["x"].tobytes() for batch in take(20, [Source(1, gradient=True)], 1, seed=0, flip=True)}
  assert flipped == {image.tobytes(), image[:, ::-1].tobytes()}
  cropped = take(50, [Source(1, gradient=True)], 1, seed=0, crop=4)
  assert all((np.diff(batch["x"][0, :, :, 1].astype(int), axis=1) == 1).all() for batch in cropped)


def test_errors_of_the_source_pass_through():
  class Damaged(Source):
    def __getitem__(self, index):
      raise ValueError("folder/17.png cannot be read")

  with pytest.raises(ValueError, match="folder/17.png cannot be read"):
    take(1, [Damaged(4)], 2, seed=0)


def test_an_abandoned_stream_leaves_no_threads():
  before = set(threading.enumerate())
  batches = stream.batches([Source(100)], 4, seed=0)
  next(batches)
  started = set(threading.enumerate()) - before
  del batches
  for thread in started:
    thread.join(5.0)
  assert started and not any(thread.is_alive() for thread in started)


def test_ahead_has_the_same_items_and_the_same_error_at_its_place():
  def items():
    yield from "abc"
    raise ValueError("folder/17.png cannot be read")

  had = []
  with pytest.raises(ValueError, match="folder/17.png cannot be read"):
    for item, waited in stream.ahead(items()):
      had.append(item)
      assert waited >= 0.0
  assert had == ["a", "b", "c"]
  assert [item for item, _ in stream.ahead(iter("abc"))] == ["a", "b", "c"]


def test_ahead_seeks_an_item_while_the_one_before_is_in_use_and_no_more():
  sought = [threading.Event() for _ in range(4)]

  def items():
    for event in sought:
      event.set()
      yield event

  for place, _ in enumerate(stream.ahead(items())):
    assert sought[min(place + 1, 3)].wait(30.0)
    assert not any(event.is_set() for event in sought[place + 2 :])


@pytest.mark.parametrize(
  "changed", [{"n": 0}, {"seed": -1}, {"start": -1}, {"shard": (2, 2)}, {"shard": (-1, 2)}, {"shard": (0, 0)}]
)
def test_arguments_out_of_range(changed):
  with pytest.raises(ValueError, match="n must be at least 1, start and seed at least 0, and shard"):
    stream.batches(**{"sources": [Source(4)], "n": 2, "seed": 0} | changed)


def test_an_empty_source():
  with pytest.raises(ValueError, match=r"sources of \[3, 0\] examples: each needs at least one"):
    stream.batches([Source(3), Source(0)], 2, seed=0)
