"""Programs that are kept between processes: found again, never in the way, and written by several at once."""

import os
import subprocess
import sys

import pytest

# Prints what was computed, and how many programs were found before and after; keeps even the smallest.
PROGRAM = """
import jax, numpy as np
from gan_jax import cache
found = []
jax.monitoring.register_event_listener(lambda event, **_: found.extend([event] * event.endswith("/cache_hits")))
cache.keep_programs()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
x = np.linspace(0.0, 1.0, 64, dtype=np.float32)
print(len(found), jax.jit(lambda x: np.float32(2) * x @ jax.numpy.sin(x), keep_unused=True)(x), len(found))
"""


def start(home, **environment):
  environment = os.environ | {"XDG_CACHE_HOME": str(home)} | environment
  command = [sys.executable, "-c", PROGRAM]
  return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
  """(programs found, what was computed, what was complained of)"""
  stdout, stderr = process.communicate(timeout=120)
  assert process.returncode == 0, stderr
  _, value, found = stdout.split()
  return int(found), float(value), stderr


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
  """A cache folder that a process has left, and what it computed."""
  home = tmp_path_factory.mktemp("home")
  found, value, complaints = finish(start(home))
  assert found == 0 and not complaints
  return home, value


def programs(home):
  return sorted((home / "gan_jax" / "compiled").glob("*-cache"))


def test_the_next_process_finds_it(kept):
  home, value = kept
  assert len(programs(home)) == 1
  assert finish(start(home)) == (1, value, "")


def test_a_corrupt_program_costs_a_warning(kept, tmp_path):
  _, value = kept
  finish(start(tmp_path))
  (program,) = programs(tmp_path)
  os.truncate(program, 100)
  found, again, complaints = finish(start(tmp_path))
  assert (found, again) == (0, value) and complaints.count("Warning: ") == 1


def test_what_a_killed_process_has_left_is_cleared_away(kept, tmp_path):
  """jax writes a program and then when it was used: without the latter it could make room for no other."""
  _, value = kept
  folder = tmp_path / "gan_jax" / "compiled"
  os.makedirs(folder)
  (folder / "half-cache").write_bytes(b"half")
  assert finish(start(tmp_path)) == (0, value, "")
  assert len(programs(tmp_path)) == 1 and not (folder / "half-cache").exists()


@pytest.mark.parametrize("place", ["home", "home/gan_jax", "home/gan_jax/compiled"])
def test_a_folder_that_cannot_be_is_no_matter(kept, tmp_path, place):
  _, value = kept
  path = tmp_path / place
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text("in the folder's place")
  assert finish(start(tmp_path / "home")) == (0, value, "")
  assert path.read_text() == "in the folder's place"


def test_a_folder_of_the_users_own_goes_first(tmp_path):
  found, _, complaints = finish(start(tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own")))
  assert found == 0 and not complaints
  assert [p.name for p in tmp_path.iterdir()] == ["own"] and any((tmp_path / "own").iterdir())


def test_several_processes_at_once(kept, tmp_path):
  _, value = kept
  started = [start(tmp_path) for _ in range(3)]
  assert {finish(process)[1:] for process in started} == {(value, "")}
  assert len(programs(tmp_path)) == 1
