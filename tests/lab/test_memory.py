"""What does not fit into memory is refused by its size, or named where the device refuses it."""

import jax
import jax.numpy as jnp
import pytest

from experiments.lab import memory
from gan_jax import host
from gan_jax.errors import ConfigError


def test_the_size_of_arrays_is_counted(monkeypatch):
  """3 x 4 float32 and 8 bfloat16 are 64 bytes."""
  shapes = {"a": jax.ShapeDtypeStruct((3, 4), jnp.float32), "b": jax.ShapeDtypeStruct((8,), jnp.bfloat16)}
  for there in (64, None):
    monkeypatch.setattr(memory, "_of_device", lambda devices, there=there: there)
    memory.check_fits("it", shapes)
  monkeypatch.setattr(memory, "_of_device", lambda devices: 63)
  with pytest.raises(ConfigError, match=r"it takes 0.0 GiB, and there are 0.0 GiB"):
    memory.check_fits("it", shapes)


def test_the_largest_arrays_of_a_scanned_round_are_found():
  """Of x [4, 8] in a scan: the product [4, 1024] is 16 KiB, made in a part of the program."""

  def play(x):
    def step(x, _):
      return x + jnp.sum(jnp.tanh(x @ jnp.ones((8, 1024)))), None

    return jax.lax.scan(step, x, None, 3)[0]

  first, second = memory.largest(jax.jit(play), jax.ShapeDtypeStruct((4, 8), jnp.float32), n=2)
  assert first == "float32 [8, 1024] (0.00 GiB)" and second == "float32 [4, 1024] (0.00 GiB)"


def test_where_memory_runs_out_the_batch_and_the_largest_arrays_are_named():
  """Of 2^44 bytes, which no machine has; other errors of the device stay what they are."""
  many = jnp.arange(2**22, dtype=jnp.float32)[None]
  play = jax.jit(lambda x: jnp.sum(jnp.sin(jnp.broadcast_to(x[:, None], (2**20, 2**22)) * many)[::3, 5]))
  x, message = jnp.ones(2**20), "RESOURCE_EXHAUSTED: Out of memory allocating 17592186044416 bytes.\nmore"
  named = r"data.batch_size = 1,000 .*float32 \[1048576, 4194304\] \(16,384.00 GiB\)"
  with pytest.raises(MemoryError, match=named), memory.named(play, x, batch=1_000):
    raise jax.errors.JaxRuntimeError(message)
  with pytest.raises(jax.errors.JaxRuntimeError, match="other"), memory.named(play, x, batch=1_000):
    raise jax.errors.JaxRuntimeError("INTERNAL: other")


def test_a_program_that_does_not_fit_is_refused_before_it_runs(monkeypatch):
  """x [2^20] in float32 and its sine, with nothing kept between, are 8 MiB."""
  x = jax.ShapeDtypeStruct((2**20,), jnp.float32)
  play = jax.jit(jnp.sin)
  monkeypatch.setattr(memory, "_of_device", lambda devices: 2**23)
  assert memory.compiled(play, x, batch=4)(jnp.zeros(2**20)).shape == (2**20,)
  monkeypatch.setattr(memory, "_of_device", lambda devices: 2**23 - 1)
  with pytest.raises(ConfigError, match=r"takes 0.0 GiB.*data.batch_size = 4 .*float32 \[1048576\] \(0.00 GiB\)"):
    memory.compiled(play, x, batch=4)


def test_what_is_written_over_an_argument_counts_once():
  """A donated x [2^20] and its sine share 4 MiB; kept apart they are 8."""
  x = jax.ShapeDtypeStruct((2**20,), jnp.float32)
  size = lambda **options: memory.of_program(jax.jit(jnp.sin, **options).lower(x).compile())
  assert size() == 2**23 and size(donate_argnums=0) == 2**22


def test_a_container_may_have_less_than_its_machine(monkeypatch, tmp_path):
  monkeypatch.setattr(host, "_CONTAINER", tmp_path / "memory.max")
  machine = host.memory()
  assert machine is not None and machine > 1_000_000
  for text, expected in (("1000000\n", 1_000_000), ("max\n", machine), (f"{10 * machine}\n", machine)):
    (tmp_path / "memory.max").write_text(text)
    assert host.memory() == memory._of_device() == expected


def test_the_devices_of_a_cpu_share_its_memory(monkeypatch):
  """x [2^20] in float32 and its sine are 8 MiB on each of two devices."""
  mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:2])
  on_both = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  play = jax.jit(jnp.sin, in_shardings=on_both, out_shardings=on_both)
  x = jax.ShapeDtypeStruct((2**20,), jnp.float32)
  monkeypatch.setattr(host, "memory", lambda: 2**24)
  memory.compiled(play, x, batch=4)
  memory.check_fits("it", x, devices=4)
  monkeypatch.setattr(host, "memory", lambda: 2**24 - 1)
  memory.compiled(jax.jit(jnp.sin), x, batch=4)
  for check in (lambda: memory.compiled(play, x, batch=4), lambda: memory.check_fits("it", x, devices=4)):
    with pytest.raises(ConfigError, match=r"takes 0.0 GiB"):
      check()
