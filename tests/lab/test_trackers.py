"""Rows and pictures for TensorBoard and Weights & Biases: each once, however a run was interrupted."""

import importlib.util
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.lab import configs, loop, members, trackers
from gan_jax import report

with_tensorboard = pytest.mark.skipif(
  importlib.util.find_spec("tensorboardX") is None, reason="tensorboardX is not installed: pip install -e '.[trackers]'"
)


def config_with(**log):
  config = configs.load("fgan_kl", {"data.name": "digits"})
  config.data.batch_size = 8
  config.nets.generator.hidden = config.nets.discriminator.hidden = (16,)
  config.train.update({"rounds": 40, "chunk": 10})
  config.eval.every, config.checkpoint.every, config.eval.samples.n = 20, 20, 9
  config.eval.evaluators = ("samples",)
  config.log.update({"every": 5} | log)
  return config


def events(folder: Path):
  """All events under a folder, as (tag, round, value), a picture's value being its size."""
  from tensorboardX.proto import event_pb2

  found = []
  for path in sorted(folder.rglob("*tfevents*")):
    data = path.read_bytes()
    while data:  # a record is its length, a checksum of that, itself and its checksum
      (length,) = struct.unpack("<Q", data[:8])
      event = event_pb2.Event.FromString(data[12 : 12 + length])
      data = data[16 + length :]
      for value in event.summary.value:
        if value.HasField("image"):
          found.append((value.tag, event.step, (value.image.height, value.image.width)))
        elif value.HasField("simple_value"):
          found.append((value.tag, event.step, value.simple_value))
  return found


@with_tensorboard
def test_a_run_leaves_each_event_once(tmp_path):
  """The first part is without a tracker, which then gets its rows and pictures too."""
  config = config_with()
  config.train.rounds = 20
  loop.run(config, tmp_path / "run", "run")
  assert not (tmp_path / "run" / "tensorboard").exists() and not (tmp_path / "run" / "trackers.json").exists()
  loop.run(config_with(tensorboard=True), tmp_path / "run", "run")
  rows = report.read_metrics(tmp_path / "run" / "metrics.jsonl")
  expected = {(tag, row["step"]): np.float32(v) for row in rows for tag, v in row.items() if tag != "step"}
  found = events(tmp_path / "run" / "tensorboard")
  scalars = {(tag, step): value for tag, step, value in found if tag != "samples"}
  assert scalars == expected and len(scalars) >= 8 * 4
  assert [(tag, step) for tag, step, _ in found if tag == "samples"] == [("samples", s) for s in (20, 40)]
  assert len(found) == len(expected) + 2


def workdir(folder):
  rows = [{"step": step, "a/loss": step / 2, "b": None if step == 20 else 1.0} for step in (10, 20, 30)]
  report.write_metrics(folder / "metrics.jsonl", rows[:2])
  for name in ("0000010", "0000020", "0000020_x_to_y", "mine"):
    (folder / "samples").mkdir(exist_ok=True)
    report.save_image(folder / "samples" / f"{name}.png", np.zeros((4, 6, 1)))
  return rows


@with_tensorboard
def test_rows_that_are_played_again_are_not_handed_over_again(tmp_path):
  """Interrupted after round 30, with a checkpoint of round 20."""
  rows = workdir(tmp_path)
  for _ in range(2):
    with trackers.opened(config_with(tensorboard=True), tmp_path, {}, 20) as tracked:
      tracked.rows(rows[2:])
      tracked.pictures(20)
  assert sorted(events(tmp_path)) == sorted(
    [("a/loss", 10, 5.0), ("a/loss", 20, 10.0), ("a/loss", 30, 15.0), ("b", 10, 1.0), ("b", 30, 1.0)]
    + [("samples", 10, (4, 6)), ("samples", 20, (4, 6)), ("x_to_y", 20, (4, 6))]
  )


def test_weights_and_biases_gets_one_run_offline(tmp_path, monkeypatch):
  """A stand-in for the package notes what it gets."""
  opened, logged, closed = [], [], []
  run = SimpleNamespace(
    define_metric=lambda name, step_metric: None, log=logged.append, finish=lambda: closed.append(True)
  )
  module = SimpleNamespace(init=lambda **given: opened.append(given) or run, Image=lambda path: Path(path).name)
  monkeypatch.setitem(sys.modules, "wandb", module)
  monkeypatch.delenv("WANDB_MODE", raising=False)
  rows = workdir(tmp_path)
  for mode in ("offline", "online"):
    with trackers.opened(config_with(wandb="mine"), tmp_path, {"seed": 0}, 20) as tracked:
      tracked.rows(rows[2:])
    monkeypatch.setenv("WANDB_MODE", "online")
    assert opened[-1]["mode"] == mode and opened[-1]["project"] == "mine" and opened[-1]["config"] == {"seed": 0}
  assert opened[0]["id"] == opened[1]["id"] and opened[1]["resume"] == "allow" and closed == [True, True]
  assert logged == [
    {"round": 10, "a/loss": 5.0, "b": 1.0},
    {"round": 20, "a/loss": 10.0},
    {"round": 10, "samples": "0000010.png"},
    {"round": 20, "samples": "0000020.png"},
    {"round": 20, "x_to_y": "0000020_x_to_y.png"},
    {"round": 30, "a/loss": 15.0, "b": 1.0},
  ]


@pytest.mark.parametrize("log", [{"tensorboard": True}, {"wandb": "mine"}])
def test_a_package_that_is_missing_is_named_before_anything_is_written(tmp_path, monkeypatch, log):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(
    ValueError, match=r"log\.\w+ needs \w+, which is not installed: pip install 'gan_jax\[trackers\]'"
  ):
    loop.run(config_with(**log), tmp_path / "run", "run")
  assert not (tmp_path / "run").exists()


def test_a_sweep_has_no_trackers(tmp_path):
  with pytest.raises(ValueError, match=r"log\.wandb is for experiments\.run"):
    members.sweep(config_with(wandb="mine"), {}, 2, tmp_path / "sweep", "sweep")
  assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("content", ["{", '{"tensorboard": 3}', '{"wandb": {"row": null, "picture": 0}}'])
def test_a_damaged_record_is_named(tmp_path, content):
  (tmp_path / "trackers.json").write_text(content)
  with (
    pytest.raises(ValueError, match=r"trackers\.json is damaged"),
    trackers.opened(config_with(wandb="mine"), tmp_path, {}, 0),
  ):
    pass


def test_nothing_is_written_where_nobody_asked(tmp_path):
  rows = workdir(tmp_path)
  before = sorted(tmp_path.rglob("*"))
  for config, writes in ((config_with(), True), (config_with(wandb="mine"), False)):
    with trackers.opened(config, tmp_path, {}, 20, writes) as tracked:
      tracked.rows(rows)
      tracked.pictures(20)
  assert sorted(tmp_path.rglob("*")) == before
