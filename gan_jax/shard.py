"""Games on many devices. Shardings are applied from outside: no loss, net or game knows of a mesh.

The compiler splits what one device would have computed, so batch statistics, relativistic pairs and pools are those of
the whole batch, and every random number is the one that a single device would have drawn.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax.errors import ConfigError
from gan_jax.game import Net, TrainState

_FIELDS = tuple(TrainState.__annotations__)
_SMALL = 2**12  # elements of an array that is not worth splitting


def connect(coordinator: str = "", processes: int = 0, process: int = -1, heartbeat: int = 100) -> None:
  """Makes one run of many processes; to be called in each before anything is computed.

  Args:
    coordinator: HOST:PORT where process 0 listens. Empty on TPU pods, Slurm and Kubernetes, where it is found, as are
      the others.
    processes: how many there are; 0 to be found.
    process: which of them this is; -1 to be found.
    heartbeat: seconds; jax ends the others when one of them has not been heard of for so long. A process that ends is
      seen at once, one whose host or network has gone by this alone.

  Raises:
    ConfigError: if they can neither be found nor are given.
  """
  given = coordinator or None, processes or None, None if process < 0 else process
  try:
    jax.distributed.initialize(*given, heartbeat_timeout_seconds=heartbeat)
  except (ValueError, RuntimeError) as error:
    raise ConfigError(
      f"the processes of the run did not find each other: {error} Outside of TPU pods, Slurm and Kubernetes give "
      "distributed.coordinator=HOST:PORT, distributed.processes and, to each, its distributed.process"
    ) from error


def mesh(data: int = 1, member: int = 1) -> Mesh:
  """The first data * member devices, with axes "member" and "data".

  Raises:
    ConfigError: if there are fewer, or a run of many processes would leave some idle.
  """
  if data < 1 or member < 1:
    raise ConfigError(f"a mesh of data {data} and member {member}: both are at least 1")
  devices, wanted = jax.devices(), data * member
  if wanted > len(devices) or (jax.process_count() > 1 and wanted != len(devices)):
    raise ConfigError(
      f"a mesh of data {data} and member {member} takes {wanted} devices; this run has {len(devices)}, "
      f"in {jax.process_count()} processes"
    )
  return Mesh(np.array(devices[:wanted]).reshape(member, data), ("member", "data"))


def split_batches(mesh: Mesh, net: Net) -> Net:
  """The same network, splitting whatever batch it is given over the mesh's "data" axis, for a game to be made of.

  A batch that does not split evenly stays whole.
  """
  sharding, parts = NamedSharding(mesh, PartitionSpec("data")), mesh.shape["data"]
  if parts == 1:
    return net

  def split(x):
    return jax.lax.with_sharding_constraint(x, sharding) if x.ndim and x.shape[0] % parts == 0 else x

  def apply(params, stats, *inputs, **settings):
    return net.apply(params, stats, *map(split, inputs), **settings)

  return net._replace(apply=apply)


def split_members(mesh: Mesh, function: Callable) -> Callable:
  """A function of members and of what they share, (a, b, shared), split over the mesh's "member" axis."""
  if mesh.shape["member"] == 1:
    return function
  split, whole = PartitionSpec("member"), PartitionSpec()
  return jax.shard_map(function, mesh=mesh, in_specs=(split, split, whole), out_specs=split, check_vma=False)


def state_shardings(mesh: Mesh, state: TrainState, fsdp: bool = False) -> TrainState:
  """The sharding of each array of a state, as a state: replicated, or with `fsdp` split.

  Args:
    mesh: the devices.
    state: arrays or `jax.ShapeDtypeStruct`s.
    fsdp: splits parameters, their averages and the optimizers' state for them over "data", each array along the longest
      axis that divides evenly; small ones and the rest of the state are replicated.
  """
  whole = NamedSharding(mesh, PartitionSpec())
  parts = mesh.shape["data"]

  def place(leaf):
    axes = [axis for axis, length in enumerate(leaf.shape) if length % parts == 0]
    if not fsdp or not axes or math.prod(leaf.shape) < _SMALL:
      return whole
    longest = max(axes, key=lambda axis: leaf.shape[axis])
    return NamedSharding(mesh, PartitionSpec(*[None] * longest, "data"))

  fields = {name: getattr(state, name) for name in _FIELDS}
  split = {name: jax.tree.map(place, fields[name]) for name in ("params", "opt", "ema")}
  return TrainState(**{name: jax.tree.map(lambda leaf: whole, field) for name, field in fields.items()} | split)


def replicate(mesh: Mesh, tree: Any) -> Any:
  """Puts arrays that every process has, the same in each, on every device."""
  if mesh.size == 1:
    return tree
  return _from_processes(mesh, PartitionSpec(), tree)


def shard_batches(mesh: Mesh, batches: Any) -> Any:
  """Batches [rounds, draws, n, ...] of which every process has read its share, as the whole batches on all devices."""
  return _from_processes(mesh, PartitionSpec(None, None, "data"), batches)


def fetch(mesh: Mesh, tree: Any) -> Any:
  """Gathers arrays on this process's first device, to be looked at. Every process has to call it."""
  return jax.tree.map(lambda a: a.addressable_data(0), _gather(mesh)(tree))


def in_first(function: Callable[[], Any], elsewhere: Any = None) -> Any:
  """What `function` returns in the first process, and `elsewhere` in others; every process has to call it.

  Raises:
    ConfigError: in the others, where the first one raises: it raises what it is.
  """
  found, error = elsewhere, None
  if jax.process_index() == 0:
    try:
      found = function()
    except Exception as raised:
      error = raised
  if any_process(error is not None):
    raise error or ConfigError("the first process cannot go on; it says why")
  return found


def any_process(flag: bool) -> bool:
  """Whether the flag is set in any process. Every process has to call it."""
  return flag if jax.process_count() == 1 else bool(np.any(multihost_utils.process_allgather(np.array(flag))))


@functools.cache
def _gather(mesh: Mesh) -> Callable:
  return jax.jit(lambda tree: tree, out_shardings=NamedSharding(mesh, PartitionSpec()))


def _from_processes(mesh: Mesh, spec: PartitionSpec, tree: Any) -> Any:
  make = lambda a: jax.make_array_from_process_local_data(NamedSharding(mesh, spec), np.asarray(a))
  return jax.tree.map(make, tree)
