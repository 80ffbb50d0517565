"""Arrays that are slow to make, kept between runs as files in the user's cache folder."""

import os
import pathlib
import tempfile
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np


def path(name: str) -> pathlib.Path:
  """Where the file `name` belongs: in `$XDG_CACHE_HOME/gan_jax`, or `~/.cache/gan_jax` where that is not set."""
  return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "gan_jax", name)


def load(name: str) -> dict[str, np.ndarray]:
  """What `store` was given under this name; empty if the file is not there, cut short or spoilt."""
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
      np.savez(unfinished, **arrays)
      os.replace(unfinished, place)
  except OSError:
    pass  # without a cache the next start is slower, and nothing else
