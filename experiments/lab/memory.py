"""What fits into a device's memory, and what does not, named."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax import host
from gan_jax.errors import ConfigError


def check_fits(what: str, shapes: Any, shardings: Any = None, devices: int = 1) -> None:
  """Raises ConfigError if arrays of these shapes do not fit into memory.

  Args:
    what: they are, for the message.
    shapes: of the arrays on a device.
    shardings: of arrays of which each device has a share.
    devices: how many of this machine hold as much.
  """
  there, leaves = _of_device(devices), jax.tree.leaves(shapes)
  split = jax.tree.leaves(shardings) if shardings is not None else [None] * len(leaves)
  share = lambda leaf, sharding: leaf.shape if sharding is None else sharding.shard_shape(leaf.shape)
  size = sum(math.prod(share(*pair)) * pair[0].dtype.itemsize for pair in zip(leaves, split, strict=True))
  if there is not None and size > there:
    raise ConfigError(f"{what} takes {size / 2**30:,.1f} GiB, and there are {there / 2**30:,.1f} GiB of memory")


def compiled(function: Any, *arguments: Any, batch: int) -> jax.stages.Compiled:
  """A jitted function, compiled for such arguments.

  Linux gives a CPU's program memory that is not there, and kills it when it is used; so sizes are compared before.

  Args:
    function: what `jax.jit` returned.
    arguments: of each call.
    batch: the size of its batches, for messages.

  Raises:
    ConfigError: if it takes more than a device's memory, with its largest arrays.
    MemoryError: if memory runs out while it is compiled.
  """
  with named(function, *arguments, batch=batch):
    program = function.lower(*arguments).compile()
  used = {device for sharding in jax.tree.leaves(program.input_shardings) for device in sharding.device_set}
  there, size = _of_device(len(used & {*jax.local_devices()})), of_program(program)
  if there is not None and size > there:
    raise ConfigError(
      f"a chunk of rounds takes {size / 2**30:,.1f} GiB, and there are {there / 2**30:,.1f} GiB of memory. "
      f"{_described(function, arguments, batch)}"
    )
  return program


def of_program(compiled: jax.stages.Compiled) -> int:
  """Bytes that a compiled program and its arguments take on each device; 0 where the compiler does not say."""
  asked: Any = compiled.memory_analysis()
  if asked is None:
    return 0
  kept = asked.argument_size_in_bytes + asked.output_size_in_bytes - asked.alias_size_in_bytes
  return kept + asked.temp_size_in_bytes


@contextlib.contextmanager
def named(function: Callable, *arguments: Any, batch: int) -> Iterator[None]:
  """Where memory runs out while `function(*arguments)` is computed, says with which batch, and its largest arrays.

  Raises:
    MemoryError: then.
  """
  shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(jnp.shape(a), jnp.result_type(a)), arguments)
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    if "RESOURCE_EXHAUSTED" not in str(error):
      raise
    raise MemoryError(f"{str(error).partition(chr(10))[0]} {_described(function, shapes, batch)}") from error


def _described(function: Callable, arguments: Iterable[Any], batch: int) -> str:
  arrays = ", ".join(largest(function, *arguments))
  return f"With data.batch_size = {batch:,} the largest arrays, before the compiler joins some, are {arrays}"


def largest(function: Callable, *arguments: Any, n: int = 3) -> list[str]:
  """The n largest arrays, of different shapes, that `function` computes on its way: type, shape and size."""
  made = {(a.shape, a.dtype.name): _size(a) for a in _made(jax.make_jaxpr(function)(*arguments).jaxpr)}
  kinds = sorted(made, key=lambda kind: made[kind], reverse=True)[:n]
  return [f"{dtype} {list(shape)} ({made[shape, dtype] / 2**30:,.2f} GiB)" for shape, dtype in kinds]


def _made(jaxpr: Any) -> Iterator[Any]:
  """The arrays that a program computes, those of its parts too."""
  for equation in jaxpr.eqns:
    yield from (v.aval for v in equation.outvars if hasattr(v.aval, "shape"))
    for part in jax.tree.leaves(
      [*equation.params.values()], is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")
    ):
      part = getattr(part, "jaxpr", part)
      if hasattr(part, "eqns"):
        yield from _made(part)


def _size(array: Any) -> int:
  return math.prod(array.shape) * array.dtype.itemsize


def _of_device(devices: int = 1) -> int | None:
  """Bytes of a device's memory; several on a CPU share the machine's, or its container's; None where it does not
  say."""
  device = jax.local_devices()[0]
  if device.platform != "cpu":
    return (device.memory_stats() or {}).get("bytes_limit")
  there = host.memory()
  return there // max(devices, 1) if there is not None else None
