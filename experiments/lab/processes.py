"""The processes of one run, of which none can go on without the others: each sees when another has ended."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import filelock
import jax

from gan_jax import shard

_LOCK = ".process_{}"  # in the workdir: the system lets go of what a dead process held
_PATIENCE = 5.0  # seconds in which a process may end of itself after another has


@contextlib.contextmanager
def together(workdir: Path, advice: Callable[[], str]) -> Iterator[None]:
  """Ends this process at once where another of the run ends within the context, and says which. All enter and leave it.

  What computes together notices a death by itself, and raises; what waits for the dead, such as a checkpoint, does not.
  jax's own way out would wait for the dead too, for a minute or more, and abort with a stack dump.

  Args:
    workdir: the folder, which all of them see.
    advice: the end of the message: what to do.
  """
  if jax.process_count() == 1:
    yield
    return
  left = threading.Event()
  with _lock(workdir, jax.process_index()):
    shard.any_process(False)  # everyone holds a lock before anyone looks at those of others
    watch = threading.Thread(target=_watch, args=(workdir, advice, left), daemon=True)
    watch.start()
    try:
      yield
      shard.any_process(False)  # nobody leaves before the others have come as far
    except jax.errors.JaxRuntimeError as error:
      if lost := _lost(workdir, _PATIENCE):
        _end(lost, str(error).partition("\n")[0], advice())
      raise
    finally:
      left.set()
      watch.join()


def _lock(workdir: Path, process: int) -> filelock.FileLock:
  return filelock.FileLock(workdir / _LOCK.format(process), timeout=0)


def _lost(workdir: Path, patience: float = 0.0) -> list[int]:
  """Which of the other processes have ended, where one is found within so many seconds."""
  until, lost = time.monotonic() + patience, list[int]()
  others = {*range(jax.process_count())} - {jax.process_index()}
  while not lost:
    for process in others:
      with contextlib.suppress(filelock.Timeout), _lock(workdir, process):
        lost.append(process)
    if time.monotonic() > until:
      break
    time.sleep(0.05)
  return lost


def _watch(workdir: Path, advice: Callable[[], str], left: threading.Event) -> None:
  """Until the context is left, looks each second whether somebody has ended, and then gives this process time to."""
  while not left.wait(1.0):
    lost = _lost(workdir)
    if lost and not left.wait(_PATIENCE):
      _end(lost, "it waits for what they would have sent", advice())


def _end(lost: list[int], cause: str, advice: str) -> NoReturn:
  which = f"process {lost[0]}" if len(lost) == 1 else f"processes {', '.join(map(str, lost))}"
  said = (
    f"error: {which} of {jax.process_count()}, counted from 0, ended, and this one cannot go on ({cause}); {advice}"
  )
  print(said, file=sys.stderr, flush=True)
  os._exit(1)
