"""Strict settings for every test: no silent promotion of types or ranks, and a cache folder of the tests' own.

What one test has compiled is kept there for the next, as commands keep it, and for the processes that tests start.
"""

import atexit
import functools
import gc
import os
import shutil
import tempfile

import pytest

# What a test compiles runs a few times, so LLVM need not optimise it, and XLA's older emitters of fused loops, of which
# nothing goes through MLIR, take half the time of the new ones; and one program need not be split, to be
# compiled in parallel. What runs long asks for more: `runs_long`.
os.environ["XLA_FLAGS"] = " ".join(
  [
    os.environ.get("XLA_FLAGS", ""),
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
  ]
)

if "PYTEST_XDIST_WORKER" not in os.environ:  # the workers share the first process's
  os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="gan_jax_tests_")
  atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

import jax

from gan_jax import cache

jax.config.update("jax_num_cpu_devices", 4)  # virtual ones, for what is split over devices
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
cache.keep_programs()
gc.set_threshold(50_000)  # Tracing makes many small objects, and looking for garbage among them takes a sixth of it.


@pytest.fixture
def runs_long(monkeypatch):
  """What the test compiles runs long, and is optimised: several times as fast, compiled in twice the time."""
  monkeypatch.setattr(jax, "jit", functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1}))


@pytest.fixture
def unread():
  """For tests of damaged checkpoints: what orbax began to read is cleared up in them, not in the next one."""
  yield
  gc.collect()


def pytest_collection_modifyitems(items):
  for item in items:
    if item.path.parent.name in {"contract", "evaluators", "experiments", "lab"}:
      item.add_marker(pytest.mark.no_cover)  # Counting gan_jax's lines takes a fifth of the time: its own tests do.
    if "unread" in getattr(item, "fixturenames", ()):
      item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
