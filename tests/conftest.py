"""Strict settings for every test: no silent promotion of types or ranks, and a cache folder of the tests' own.

What one test has compiled is kept there for the next, as commands keep it, and for the processes that tests start.
"""

import atexit
import os
import shutil
import tempfile

# What a test compiles runs a few times: to have LLVM optimise it would take most of the time.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"

if "PYTEST_XDIST_WORKER" not in os.environ:  # the workers share the first process's
  os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="gan_jax_tests_")
  atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

import jax

from gan_jax import cache

jax.config.update("jax_num_cpu_devices", 4)  # virtual ones, for what is split over devices
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
cache.keep_programs()
