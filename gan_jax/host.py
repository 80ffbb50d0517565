"""What the machine has that the code runs on."""

import contextlib
import os
from pathlib import Path

_CONTAINER = Path("/sys/fs/cgroup/memory.max")  # of Linux


def memory() -> int | None:
  """Bytes of the machine's memory, or of its container's; None where the system does not say."""
  found = []
  with contextlib.suppress(AttributeError, ValueError, OSError):  # of systems that do not know these names
    found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
  with contextlib.suppress(ValueError, OSError):  # "max" is no limit
    found.append(int(_CONTAINER.read_text()))
  return min(found, default=None)
