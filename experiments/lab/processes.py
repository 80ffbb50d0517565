"""The processes of one run: how they join, which one writes, and that each sees when another has ended."""

import contextlib
import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import filelock
import jax

from experiments.lab.configs import Config
from gan_jax import shard
from gan_jax.errors import ConfigError, at_least_one

_PATIENCE = 5.0  # seconds in which a process may end of itself after another has


def connect(config: Config) -> None:
  """Joins the other processes, where `config.distributed` says that there are some."""
  given = config.distributed
  if given.enabled:
    at_least_one("distributed.heartbeat", given.heartbeat)
    shard.connect(given.coordinator, given.processes, given.process, given.heartbeat)
  elif given.coordinator or given.processes or given.process >= 0:
    raise ConfigError(
      "the config describes processes, but distributed.enabled is False; each would be a run of its own"
    )


def writes() -> bool:
  """Whether this process is the one that writes."""
  return jax.process_index() == 0


def end(message: str) -> NoReturn:
  """Ends this process at once, with a message.

  jax's own way out would wait for the other processes, for a minute or more, and abort with a stack dump.
  """
  print(message, file=sys.stderr, flush=True)
  os._exit(1)


@contextlib.contextmanager
def together(workdir: Path, advice: Callable[[], str]) -> Iterator[None]:
  """Ends this process at once where another of the run ends, and says which. All enter it.

  Each holds a lock in the workdir as long as it lives, which the system lets go of when it dies, and looks each second
  whether another's is free. What computes together notices a death by itself, and raises; what waits for the dead, such
  as a checkpoint, does not. On a file system whose locks others do not see nobody looks, and the first process says so.

  Args:
    workdir: the folder, which all of them see.
    advice: the end of the message: what to do.

  Raises:
    ConfigError: in every process, if one still has an earlier run's process in its place, or cannot lock.
  """
  if jax.process_count() == 1:
    yield
    return
  _hold(workdir)
  others = {p: _inode(_file(workdir, p)) for p in range(jax.process_count()) if p != jax.process_index()}
  shared = not shard.any_process(bool(_lost(workdir, others)))
  if not shared and jax.process_index() == 0:
    print(f"{workdir} has no locks that all processes see; should one die, the others end by the heartbeat alone")
  left = threading.Event()
  watch = threading.Thread(target=_watch, args=(workdir, others, advice, left), daemon=True)
  if shared:
    watch.start()
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    if lost := _lost(workdir, others, _PATIENCE) if shared else []:
      end(_message(lost, str(error).partition("\n")[0], advice()))
    raise
  finally:
    left.set()
    if shared:
      watch.join()


def _file(workdir: Path, process: int) -> Path:
  return workdir / f".process_{process}"


@functools.cache
def _own(file: Path) -> filelock.FileLock:
  """This process's lock, kept until it ends, so that leaving the context early is not taken for an end."""
  return filelock.FileLock(file)


def _hold(workdir: Path) -> None:
  """Takes this process's lock; an earlier run's process may take some seconds to end."""
  wrong = ""
  try:
    _own(_file(workdir, jax.process_index()).absolute()).acquire(timeout=2 * _PATIENCE)
  except filelock.Timeout:
    wrong = f"an earlier process {jax.process_index()} of a run in {workdir} still lives; stop it, and start all again"
  except (OSError, NotImplementedError) as error:
    wrong = f"process {jax.process_index()} cannot lock a file in {workdir} ({error}); choose another --workdir"
  if shard.any_process(bool(wrong)):
    raise ConfigError(wrong or "another process of the run cannot begin; it says why")


def _inode(file: Path) -> int:
  with contextlib.suppress(OSError):
    return file.stat().st_ino
  return 0


def _lost(workdir: Path, others: Mapping[int, int], patience: float = 0.0) -> list[int]:
  """Which of the other processes have ended, where one is found within so many seconds.

  A lock whose file is gone, or another than at first, says nothing.
  """
  until, lost = time.monotonic() + patience, list[int]()
  while not lost:
    for process, inode in others.items():
      file = _file(workdir, process)
      if inode and _inode(file) == inode:
        with contextlib.suppress(filelock.Timeout, OSError), filelock.FileLock(file, timeout=0):
          lost.append(process)
    if time.monotonic() > until:
      break
    time.sleep(0.05)
  return lost


def _watch(workdir: Path, others: Mapping[int, int], advice: Callable[[], str], left: threading.Event) -> None:
  """Until the context is left, looks each second whether somebody has ended, and then gives this process time to."""
  while not left.wait(1.0):
    lost = _lost(workdir, others)
    if lost and not left.wait(_PATIENCE):
      end(_message(lost, "it waits for what they would have sent", advice()))


def _message(lost: list[int], cause: str, advice: str) -> str:
  which = f"process {lost[0]}" if len(lost) == 1 else f"processes {', '.join(map(str, lost))}"
  whom = f"{which} of {jax.process_count()}, counted from 0, ended"
  return f"error: {whom}, and this one cannot go on ({cause}); {advice}"
