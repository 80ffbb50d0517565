"""What is slow to make, kept between runs in the user's cache folder: arrays, and programs that jax has compiled."""

import os
import pathlib
import tempfile
import zipfile
import zlib
from collections.abc import Mapping

import filelock
import jax
import numpy as np

_PROGRAMS = 2**30  # bytes
_WORTH_KEEPING = 0.1  # seconds of compilation: with each that is kept, jax looks at all that are there


def path(name: str) -> pathlib.Path:
  """Where the file or folder `name` belongs: in `$XDG_CACHE_HOME/gan_jax`, or `~/.cache/gan_jax` if that is not set."""
  return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "gan_jax", name)


def load(name: str) -> dict[str, np.ndarray]:
  """What `store` was given under this name; empty if the file is not there, truncated or corrupt."""
  try:
    with path(name).open("rb") as file, np.load(file) as stored:
      return {key: stored[key] for key in stored.files}
  except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
    return {}  # whoever asks can make the arrays again


def store(name: str, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes arrays to a file that appears whole or not at all; where the folder cannot be written to, does nothing.

  Args:
    name: of the file, ending in ".npz".
    arrays: to be had back from `load`.
  """
  place = path(name)
  try:
    place.parent.mkdir(parents=True, exist_ok=True)
    # Next to its place, and so on the same file system, where a rename is atomic: several runs may start at once.
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
      unfinished = pathlib.Path(folder, place.name)
      np.savez(unfinished, **dict(arrays))  # pyright: ignore[reportArgumentType]
      os.replace(unfinished, place)
  except OSError:
    pass  # without a cache the next start is slower, and nothing else


def keep_programs() -> None:
  """Has jax keep what it compiles from now on, and load what earlier processes have left in the folder "compiled".

  Up to 1 GiB is kept, of programs that take 0.1 s or more to compile; those that have gone unused for longest make
  room. A program is found again by the computation, the version of jax, the kind of device and the compiler's flags.
  Several processes may use the folder at once; of a run of many processes the first writes. A corrupt file costs a
  warning and a compilation. Where `JAX_COMPILATION_CACHE_DIR` names another folder, that one is used as its owner has
  set it up; where ours cannot be written to, nothing is kept.
  """
  if jax.config.jax_compilation_cache_dir is not None:  # pyright: ignore[reportAttributeAccessIssue]
    return
  folder = path("compiled")
  try:
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / ".lockfile", timeout=10):  # jax's own: only its holder writes
      for program in folder.glob("*-cache"):
        if not program.with_name(f"{program.name.removesuffix('cache')}atime").exists():
          program.unlink()  # of a process that was killed as it wrote: jax would write no other beside it
  except (OSError, NotImplementedError):  # the latter from file systems without locks
    return
  jax.config.update("jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING)
  jax.config.update("jax_compilation_cache_max_size", _PROGRAMS)
  jax.config.update("jax_compilation_cache_dir", str(folder))
