"""A `TrainState` written down and read back, by orbax."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from gan_jax.errors import ConfigError
from gan_jax.game import TrainState


def open_folder(folder: str | Path, keep: int = 2, create: bool = True) -> ocp.CheckpointManager:
  """Opens a folder of checkpoints, one per saved round; the newest `keep` stay.

  It is made if it is not there, unless `create` is False: then it counts as empty.
  """
  options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=create)
  return ocp.CheckpointManager(Path(folder).absolute(), options=options)


def save(checkpoints: ocp.CheckpointManager, state: TrainState) -> None:
  """Saves `state` under its round, in the background; whoever ends the program calls `checkpoints.close()` first.

  A checkpoint appears under its name only when it is complete, so an interrupted save leaves the earlier ones as they
  are.
  """
  checkpoints.save(int(state.step), args=ocp.args.StandardSave(_plain(state)))


def save_alone(folder: str | Path, state: TrainState) -> None:
  """Saves `state` in place of what is in the folder, at once; a state of the same round or a later one stays.

  In one process of several, a state that is whole here is written as every process has it.
  """
  with open_folder(folder, keep=1) as checkpoints:
    step = checkpoints.latest_step()
    if step is None or step < int(state.step):
      checkpoints.save(int(state.step), args=ocp.args.StandardSave(jax.tree.map(_host, _plain(state))))


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
    ConfigError: if the newest checkpoint cannot be read, or is another game's.
  """
  step = checkpoints.latest_step() if step is None else step
  if step is None:
    return None
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])  # without it orbax looks for where it was saved from

  def target(leaf: Any, plain: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(plain.shape, plain.dtype, sharding=getattr(leaf, "sharding", None) or here)

  plain = jax.tree.map(target, _fields(like), jax.eval_shape(_plain, like))
  try:
    arrays = checkpoints.restore(step, args=ocp.args.StandardRestore(plain))
  except Exception as error:  # orbax raises whatever its storage layers do: the cause goes into the message
    folder = Path(checkpoints.directory) / str(step)
    reason = str(error).strip().split("\n")[0]
    raise ConfigError(
      f"the checkpoint {folder} cannot be read ({type(error).__name__}: {reason}). With that folder moved away, "
      "the run goes on from the one before it, or from the start if there is none"
    ) from error
  return jax.tree.map(lambda a, b: jax.random.wrap_key_data(a) if _is_key(b) else a, TrainState(**arrays), like)


def _plain(state: TrainState) -> dict[str, Any]:
  """The state as a dictionary of ordinary arrays, random keys as their bits."""
  return jax.tree.map(lambda a: jax.random.key_data(a) if _is_key(a) else a, _fields(state))


def _fields(state: TrainState) -> dict[str, Any]:
  return {name: getattr(state, name) for name in TrainState.__annotations__}


def _is_key(leaf: Any) -> bool:
  return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
