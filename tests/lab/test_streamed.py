"""Runs whose images are read from disk while they play: the same numbers, however reading and playing overlap."""

import itertools
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import tiny
from PIL import Image

from experiments.lab import configs, loop
from experiments.lab.build import build
from gan_jax import report

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def images(tmp_path):
  """A folder of 20 images, the last two of which are held out."""
  folder = tmp_path / "images"
  folder.mkdir()
  for i in range(20):
    Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8), np.uint8)).save(folder / f"{i:02d}.png")
  return folder


def streamed(images, rounds=40):
  data = {"data.name": f"folder:{images}", "data.resolution": 8, "data.memory": 0.0, "data.batch_size": 4}
  config = configs.load("fgan_kl", data)
  config.nets.generator.hidden = config.nets.discriminator.hidden = (16,)
  config.train.update({"rounds": rounds, "chunk": 10})
  config.log.every, config.eval.every, config.checkpoint.every, config.eval.samples.n = 5, 20, 20, 9
  config.eval.evaluators = ("samples",)
  return config


def rows(workdir):
  """Metrics without those of the clock, and these."""
  found = report.read_metrics(workdir / "metrics.jsonl")
  return tiny.timeless(found), [row.get("data/waiting") for row in found]


def assert_same(state, other):
  for a, b in zip(*(jax.tree.leaves(s.replace(key=0)) for s in (state, other)), strict=True):
    np.testing.assert_array_equal(a, b)


def test_resumed_equals_uninterrupted(images, tmp_path):
  whole = loop.run(streamed(images), tmp_path / "whole", "whole")
  loop.run(streamed(images, rounds=20), tmp_path / "resumed", "resumed")
  assert_same(loop.run(streamed(images), tmp_path / "resumed", "resumed"), whole)
  (found, waiting), (again, _) = rows(tmp_path / "whole"), rows(tmp_path / "resumed")
  assert found == again
  assert waiting[::2] == [None] * 4 and all(0.0 <= share <= 1.0 for share in waiting[1::2])


def test_the_next_chunk_is_read_while_one_is_played(images, tmp_path, monkeypatch):
  begun, chunks, rows = [threading.Event() for _ in range(4)], iter(range(4)), loop._rows
  stacked = loop._stacked

  def read(*arguments):
    begun[next(chunks)].set()
    return stacked(*arguments)

  def wait_for_the_reader(metrics, step, every):
    assert begun[min(step // 10 + 1, 3)].wait(30.0)
    return rows(metrics, step, every)

  monkeypatch.setattr(loop, "_stacked", read)
  monkeypatch.setattr(loop, "_rows", wait_for_the_reader)
  assert int(loop.run(streamed(images), tmp_path / "run", "run").step) == 40


def test_waiting_is_a_share_of_the_time_since_the_chunk_before(images, tmp_path, monkeypatch):
  clock = itertools.count(0.0, 8.0)
  monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: next(clock), strftime=time.strftime))
  monkeypatch.setattr(loop, "ahead", lambda chunks: zip(chunks, (2.0, 0.0, 8.0, 4.0)))
  loop.run(streamed(images), tmp_path / "run", "run")
  assert rows(tmp_path / "run")[1][1::2] == [0.25, 0.0, 1.0, 0.5]


def test_a_corrupt_file_saves_what_was_played(images, tmp_path):
  """Heads are read at the start, bodies when it is their turn: here one in the fourth batch, which is the fourth
  round's."""
  config = streamed(images)
  config.train.chunk = config.log.every = 1
  batches = build(config).dataset.stream(4, config.seed, 0, (0, 1))
  corrupt = [next(batches)["x"] for _ in range(4)][-1][0, :, :, 0]
  path = next(path for path in images.iterdir() if np.array_equal(np.asarray(Image.open(path)), corrupt))
  path.write_bytes(path.read_bytes()[:-40])
  with pytest.raises(ValueError, match=f"{path.name} cannot be read"):
    loop.run(config, tmp_path / "run", "run")
  assert [row["step"] for row in rows(tmp_path / "run")[0]] == [1, 2, 3]
  assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir() if p.name.isdigit()] == ["3"]
