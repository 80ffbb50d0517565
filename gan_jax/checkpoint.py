"""A `TrainState` written down and read back, by orbax, with a digest of every array, so that damage is seen."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from gan_jax.errors import ConfigError
from gan_jax.game import TrainState
from gan_jax.shard import in_first

KEPT = 2  # checkpoints of a run
_DIGESTS = "digests_{}.json"
_PASSING = ("RESOURCE_EXHAUSTED", "PERMISSION_DENIED", "Too many open files")  # of a machine, and not of a file


class Damaged(ConfigError):
  """A checkpoint that cannot be read, or holds other bits than were saved."""


def open_folder(folder: str | Path, keep: int = KEPT, create: bool = True) -> ocp.CheckpointManager:
  """Opens a folder of checkpoints, one per saved round; the newest `keep` stay.

  It is made if it is not there, unless `create` is False: then it counts as empty.
  """
  options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=create)
  handler = ocp.StandardCheckpointHandler()  # named, so that shapes can be read before arrays are
  return ocp.CheckpointManager(Path(folder).absolute(), item_handlers=handler, options=options)


def save(checkpoints: ocp.CheckpointManager, state: TrainState) -> None:
  """Saves `state` under its round, in the background; whoever ends the program calls `checkpoints.close()` first.

  A checkpoint appears under its name only when it is complete, so an interrupted save leaves the earlier ones as they
  are.
  """
  _save(checkpoints, _plain(state))


def prune(checkpoints: ocp.CheckpointManager, keep: int = KEPT) -> None:
  """Removes all but the newest, as a save does; an interruption in it may have left more."""
  for step in sorted(checkpoints.all_steps())[:-keep]:
    checkpoints.delete(step)


def save_alone(folder: str | Path, state: TrainState) -> None:
  """Saves `state` in place of what is in the folder, at once; a state of the same round or a later one stays.

  In one process of several, a state that is whole here is written as every process has it.
  """
  with open_folder(folder, keep=1) as checkpoints:
    step = checkpoints.latest_step()
    if step is None or step < int(state.step):
      _save(checkpoints, jax.tree.map(_host, _plain(state)))


def _save(checkpoints: ocp.CheckpointManager, plain: dict[str, Any]) -> None:
  """Saves arrays and, in a file of their own beside them, their digests; those of checkpoints that are gone go too."""
  step, found = int(plain["step"]), digests(plain)

  def write():
    file = _digests_of(checkpoints, step)
    file.parent.mkdir(parents=True, exist_ok=True)  # orbax, too, makes a folder again that was removed in mid-run
    kept = {_digests_of(checkpoints, each) for each in (*checkpoints.all_steps(), step)}
    for other in {*file.parent.glob(_DIGESTS.format("*"))} - kept:
      other.unlink()
    unfinished = file.with_suffix(".partial")
    unfinished.write_text(json.dumps(found))
    unfinished.replace(file)

  in_first(write)
  checkpoints.save(step, args=ocp.args.StandardSave(plain))


def _digests_of(checkpoints: ocp.CheckpointManager, step: int) -> Path:
  return Path(checkpoints.directory) / _DIGESTS.format(step)


def put_aside(checkpoints: ocp.CheckpointManager, step: int) -> Path:
  """Renames a damaged checkpoint to damaged_STEP, so that the same round can be saved again; returns its new place.

  Every process calls it, and the first does it.
  """
  folder = Path(checkpoints.directory)
  aside = folder / f"damaged_{step}"

  def rename():
    shutil.rmtree(aside, ignore_errors=True)
    (folder / str(step)).rename(aside)

  in_first(rename)
  checkpoints.reload()
  return aside


def _host(leaf: Any) -> Any:
  """In NumPy what orbax would not take for shared by all processes."""
  return jax.device_get(leaf) if jax.process_count() > 1 and leaf.is_fully_addressable else leaf


def restore(checkpoints: ocp.CheckpointManager, like: TrainState, step: int | None = None) -> TrainState | None:
  """Returns the newest state in the folder, or that after round `step`, or None where there is none.

  Args:
    checkpoints: the folder.
    like: a state of the same game, arrays or `jax.ShapeDtypeStruct`s: says the structure, and by shardings where each
      array goes; what has none goes to the first device, wherever it was saved from.
    step: one of `checkpoints.all_steps()`.

  Raises:
    Damaged: if the checkpoint cannot be read, or an array is not what was saved.
    ConfigError: if it is another game's.
  """
  step = checkpoints.latest_step() if step is None else step
  if step is None:
    return None
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])  # without it orbax looks for where it was saved from

  def target(leaf: Any, plain: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(plain.shape, plain.dtype, sharding=getattr(leaf, "sharding", None) or here)

  plain = jax.tree.map(target, _fields(like), jax.eval_shape(_plain, like))
  folder = Path(checkpoints.directory) / str(step)
  try:
    _check_same_game(checkpoints.item_metadata(step), plain, folder)
    arrays = checkpoints.restore(step, args=ocp.args.StandardRestore(plain))
    file = _digests_of(checkpoints, step)
    saved = json.loads(file.read_text()) if file.exists() else None  # of a checkpoint from before there were any
  except (ConfigError, MemoryError, PermissionError):
    raise
  except Exception as error:  # orbax raises whatever its storage layers do: the cause goes into the message
    if any(sign in str(error) for sign in _PASSING):
      raise
    reason = str(error).strip().split("\n")[0]
    raise Damaged(f"the checkpoint {folder} cannot be read ({type(error).__name__}: {reason})") from error
  found = digests(arrays)
  differ = [name for name, digest in found.items() if saved is not None and saved.get(name) != digest]
  if differ:
    raise Damaged(f"the checkpoint {folder} is damaged: {', '.join(differ[:3])} is not what was saved")
  return jax.tree.map(lambda a, b: jax.random.wrap_key_data(a) if _is_key(b) else a, TrainState(**arrays), like)


def _check_same_game(found: Any, wanted: dict[str, Any], folder: Path) -> None:
  """Raises ConfigError if a checkpoint has other arrays than are wanted, or some of other shapes or types."""
  name = lambda path: jax.tree_util.keystr(path, simple=True, separator="/")
  shapes = lambda tree: {name(path): (leaf.dtype, leaf.shape) for path, leaf in jax.tree.leaves_with_path(tree)}
  there, here = shapes(found.tree), shapes(wanted)
  differ = [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
  if differ:
    of = lambda shapes: "{} {}".format(*shapes[differ[0]]) if differ[0] in shapes else "missing"
    raise ConfigError(
      f"the checkpoint {folder} is another game's: {differ[0]} is {of(there)} there and {of(here)} here"
    )


def digests(tree: Any) -> dict[str, int]:
  """A number of 64 bits for each array, by its path; the same however it is sharded. Every process has to call it.

  It is sum_i (2 i + 1) b_i mod 2^64 over the entries' bits b_i, so that no change of one entry leaves it as it is.
  """
  named = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}
  own = np.array([_digest(leaf) for leaf in named.values()], np.uint64)
  if jax.process_count() > 1:
    halves = np.stack([own >> np.uint64(32), own & np.uint64(2**32 - 1)]).astype(np.uint32)  # jax has no 64 bits
    high, low = np.moveaxis(multihost_utils.process_allgather(halves), 1, 0).astype(np.uint64)
    own = np.asarray(np.sum((high << np.uint64(32)) + low, axis=0, dtype=np.uint64))
  return dict(zip(named, map(int, own), strict=True))


def _digest(leaf: Any) -> int:
  """What this process has of an array's digest: each entry counts in one process."""
  everything = tuple(slice(0, n) for n in leaf.shape)
  if isinstance(leaf, jax.Array):
    parts = [(shard.index, shard.data) for shard in leaf.addressable_shards if not shard.replica_id]
  else:
    parts = [(everything, leaf)] if jax.process_index() == 0 else []
  total = 0
  for index, data in parts:
    data = np.ascontiguousarray(data)
    bits = data.reshape(-1).view(f"u{data.dtype.itemsize}").astype(np.uint64)
    place = np.zeros((), np.uint64)
    for dimension, (part, n) in enumerate(zip(index, leaf.shape)):
      stride = math.prod(leaf.shape[dimension + 1 :])
      place = np.add.outer(place, np.arange(*part.indices(n), dtype=np.uint64) * np.uint64(stride))
    total += int(np.sum(bits * (np.uint64(2) * place.reshape(-1) + np.uint64(1)), dtype=np.uint64))
  return total % 2**64


def _plain(state: TrainState) -> dict[str, Any]:
  """The state as a dictionary of ordinary arrays, random keys as their bits."""
  return jax.tree.map(lambda a: jax.random.key_data(a) if _is_key(a) else a, _fields(state))


def _fields(state: TrainState) -> dict[str, Any]:
  return {name: getattr(state, name) for name in TrainState.__annotations__}


def _is_key(leaf: Any) -> bool:
  return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
