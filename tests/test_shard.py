"""Many devices and many processes give what one gives. Devices are virtual.

What needs several processes runs in processes of its own; that a round on four devices is that on one: tests/contract.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny
from jax.sharding import PartitionSpec

from experiments.lab.trained import load
from gan_jax import report, shard, train
from gan_jax.errors import ConfigError
from gan_jax.game import Net, TrainState

ROOT = Path(__file__).parent.parent
DCGAN = [
  "--config=dcgan",
  "--config.data.name=digits",
  "--config.data.resolution=8",
  "--config.nets.generator.width=8",
  "--config.nets.discriminator.width=8",
]
CYCLEGAN = [
  "--config=cyclegan:folder",
  "--config.data.resolution=8",
  "--config.game.pool_size=10",
  "--config.eval.evaluators=('translation',)",  # the probe of steganography divides by steps too small for rounding
  "--config.eval.translation.judge=False",
  *(f"--config.nets.{net}.width=4" for net in ("x_to_y", "y_to_x", "discriminator_x", "discriminator_y")),
  *(f"--config.nets.{net}.blocks=1" for net in ("x_to_y", "y_to_x")),
  *(f"--config.nets.discriminator_{domain}.layers=1" for domain in "xy"),
  *(f"--config.optimizer.{player}.learning_rate=0.0001" for player in ("generators", "discriminators")),
  *(f"--config.optimizer.{player}.schedule.rounds=2500" for player in ("generators", "discriminators")),
]
EVERY = ["--config.train.chunk=10", "--config.log.every=5", "--config.eval.every=20", "--config.checkpoint.every=10"]


def environment(devices: int) -> dict[str, str]:
  return os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}


def start(arguments: list[str], devices: int) -> subprocess.Popen:
  return subprocess.Popen(
    [sys.executable, "-m", "experiments.run", *arguments, "--config.data.batch_size=8", *EVERY],
    cwd=ROOT,
    env=environment(devices),
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def finish(*processes: subprocess.Popen) -> list[str]:
  said = [process.communicate(timeout=600)[0] for process in processes]
  assert not any(process.returncode for process in processes), "\n".join(said)[-3000:]
  return said


def together(arguments: list[str]) -> list[str]:
  """What two processes of two devices each say."""
  return finish(*pair(arguments))


def pair(arguments: list[str]) -> list[subprocess.Popen]:
  """Two processes of two devices each."""
  with socket.socket() as free:
    free.bind(("localhost", 0))
    port = free.getsockname()[1]
  shared = ["--config.distributed.enabled=True", f"--config.distributed.coordinator=localhost:{port}"]
  shared += ["--config.distributed.processes=2", "--config.mesh.data=4"]
  return [start([*arguments, *shared, f"--config.distributed.process={i}"], 2) for i in range(2)]


def same_metrics(one: Path, other: Path, tolerance: float, but: str = "") -> None:
  rows, others = (tiny.timeless(report.read_metrics(workdir / "metrics.jsonl")) for workdir in (one, other))
  assert [row["step"] for row in rows] == [row["step"] for row in others]
  for row, its in zip(rows, others, strict=True):
    row.pop(but, None)
    values = (np.array(each, float) for each in ([*row.values()], [its[name] for name in row]))  # nan for what is null
    np.testing.assert_allclose(*values, rtol=tolerance, atol=tolerance)


def test_two_processes_equal_one(tmp_path):
  """Over 20 rounds of Adam rounding grows, by the rate and where losses have kinks; single rounds: tests/contract."""
  one, two = tmp_path / "one", tmp_path / "two"
  rounds = lambda n: f"--config.train.rounds={n}"
  alone = start([*DCGAN, rounds(20), f"--workdir={one}"], 1)
  together([*DCGAN, rounds(10), f"--workdir={two}"])
  first, second = together([*DCGAN, rounds(20), f"--workdir={two}"])
  finish(alone)
  assert "continuing after round 10, up to round 20" in first
  assert second.strip() == "" or "workdir" not in second  # only one of them reports
  same_metrics(one, two, 2e-3)
  experiment, state = load(two)  # from four devices of two processes to one
  assert int(state.step) == 20 and experiment.game.sample(*train.averaged(state), state.key, 2).shape == (2, 8, 8, 1)


def test_each_process_reads_its_share_of_a_stream(tmp_path):
  """Streamed images, of which each of two processes reads half, train as they do in one process."""
  tiny.two_folders(tmp_path / "data")
  data = [f"--config.data.name=folder:{tmp_path / 'data'}", "--config.data.memory=0.0", "--config.data.resize=10"]
  arguments = [*CYCLEGAN, *data]
  one, two = tmp_path / "one", tmp_path / "two"
  alone = start([*arguments, "--config.train.rounds=20", f"--workdir={one}"], 1)
  together([*arguments, "--config.train.rounds=20", f"--workdir={two}"])
  finish(alone)
  # Instance norms of few pixels blow rounding up where they are nearly constant, in a gradient more than in a loss.
  same_metrics(one, two, 2e-2, but="generators/gradient")


@pytest.mark.parametrize("victim", [0, 1])
def test_where_one_process_dies_the_other_says_which_and_ends(tmp_path, victim):
  """Without a traceback, and without waiting: jax's own way out takes a minute, and aborts.

  The first process coordinates; where it dies, jax may abort the other before that has said so.
  """
  arguments = [*DCGAN, "--config.train.rounds=1000000", "--config.eval.evaluators=()", f"--workdir={tmp_path}"]
  processes = pair(arguments)
  while not (tmp_path / "checkpoints" / "20").exists():
    assert all(process.poll() is None for process in processes), processes[victim].communicate()[0][-3000:]
    time.sleep(0.1)
  processes[victim].kill()
  said, _ = processes[1 - victim].communicate(timeout=120)
  processes[victim].communicate()
  if victim == 0 and processes[1].returncode == -signal.SIGABRT:
    assert "the JAX distributed service detected fatal errors" in said
    return
  named = (
    rf"error: process {victim} of 2, counted from 0, ended.*; start every process again .* from round \d+, the last"
  )
  assert re.search(named, said)
  assert "Traceback" not in said and "Fatal Python error" not in said
  assert processes[1 - victim].returncode == 1


needs_four_devices = pytest.mark.skipif(len(jax.devices()) < 4, reason="needs four devices")


def specs(tree):
  return jax.tree.map(lambda leaf: leaf.sharding.spec if isinstance(leaf, jax.Array) else leaf.spec, tree)


@needs_four_devices
def test_a_mesh_has_members_and_data_and_no_more_devices_than_there_are():
  assert dict(shard.mesh(data=2, member=2).shape) == {"member": 2, "data": 2} and shard.mesh().size == 1
  too_many = len(jax.devices()) + 1
  with pytest.raises(ConfigError, match=f"a mesh of data {too_many} and member 1 takes {too_many} devices"):
    shard.mesh(data=too_many)
  for wrong in ({"data": 0}, {"member": -1}):
    with pytest.raises(ConfigError, match="both are at least 1"):
      shard.mesh(**wrong)


def test_processes_that_are_not_given_and_not_found_are_a_mistake_of_the_config():
  with pytest.raises(ConfigError, match="the processes of the run did not find each other.*distributed.coordinator"):
    shard.connect()


@needs_four_devices
def test_batches_are_split_where_they_divide_and_whole_elsewhere():
  """Every input of the net; numbers of no axis stay whole, and settings go through."""
  seen = {}

  def apply(params, stats, *inputs, key=None, train=True):
    for name, x in zip("xyz", inputs):
      jax.debug.inspect_array_sharding(x, callback=lambda s, name=name: seen.update({name: s.is_fully_replicated}))
    return inputs[0] * params + inputs[2], {"train": train}

  net = Net(lambda key: (jnp.array(2.0), {}), apply)
  whole, split = (shard.split_batches(shard.mesh(n), net) for n in (1, 4))
  assert whole is net
  x, y = jnp.arange(8.0), jnp.arange(6.0)
  run = jax.jit(lambda x, y, z: split.apply(jnp.array(2.0), {}, x, y, z, train=False))
  output, stats = run(*shard.replicate(shard.mesh(4), (x, y, jnp.array(1.0))))
  np.testing.assert_array_equal(output, 2.0 * x + 1.0)
  assert seen == {"x": False, "y": True, "z": True} and not stats["train"]


@needs_four_devices
def test_fsdp_splits_large_arrays_along_their_longest_axis_that_divides():
  large, odd, small = jnp.zeros((64, 128)), jnp.zeros((63, 127)), jnp.zeros((8, 8))
  params = {"net": {"large": large, "tall": jnp.zeros((1024, 6)), "odd": odd, "small": small}}
  state = TrainState(
    step=jnp.array(0),
    key=jax.random.key(0),
    params=params,
    stats={"net": large},
    opt={"net": optax.sgd(0.1, momentum=0.9).init(params)},
    ema={"net": {"params": params["net"], "stats": {}}},
    memory={"x": large},
  )
  whole = PartitionSpec()
  expected = {"large": PartitionSpec(None, "data"), "tall": PartitionSpec("data"), "odd": whole, "small": whole}
  mesh = shard.mesh(4)
  plain, fsdp = (specs(shard.state_shardings(mesh, state, on)) for on in (False, True))
  assert set(jax.tree.leaves(plain, is_leaf=lambda s: isinstance(s, PartitionSpec))) == {whole}
  assert fsdp.params == {"net": expected} and fsdp.ema["net"]["params"] == expected
  assert fsdp.opt["net"][0].trace == {"net": expected}
  assert {fsdp.step, fsdp.key, fsdp.stats["net"], fsdp.memory["x"]} == {whole}
  placed = jax.device_put(state, shard.state_shardings(mesh, state, True))
  assert placed.params["net"]["large"].addressable_data(0).shape == (64, 32)


@needs_four_devices
def test_what_is_put_on_the_devices_is_fetched_as_it_was():
  mesh = shard.mesh(4)
  tree = {"a": np.arange(12.0, dtype=np.float32).reshape(1, 3, 4), "b": np.array(3)}
  copies = shard.replicate(mesh, tree)
  assert all(leaf.is_fully_replicated and len(leaf.devices()) == 4 for leaf in jax.tree.leaves(copies))
  batches = shard.shard_batches(mesh, {"x": tree["a"]})
  assert batches["x"].addressable_data(0).shape == (1, 3, 1)
  for given, found in ((tree, shard.fetch(mesh, copies)), ({"x": tree["a"]}, shard.fetch(mesh, batches))):
    jax.tree.map(np.testing.assert_array_equal, found, given)
  assert shard.replicate(shard.mesh(1), tree) is tree


@needs_four_devices
def test_members_are_split_and_what_they_share_is_whole():
  """Each device has a share of the members, and all of what they share."""
  shapes = []

  def function(a, b, shared):
    shapes.append((a.shape, b.shape, shared.shape))
    return a * b[:, None] + shared.sum()

  a, b, shared = jnp.arange(8.0).reshape(4, 2), jnp.arange(4.0), jnp.ones(3)
  assert shard.split_members(shard.mesh(4), function) is function
  found = jax.jit(shard.split_members(shard.mesh(member=4), function))(a, b, shared)
  np.testing.assert_array_equal(found, a * b[:, None] + 3.0)
  assert shapes == [((1, 2), (1,), (3,))]


def test_a_flag_of_the_only_process_is_the_flag():
  assert shard.any_process(True) is True and shard.any_process(False) is False
