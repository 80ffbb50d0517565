"""A process of several sees by its lock that another has ended, and takes nothing else for an end: test_shard.py."""

import filelock
import jax
import pytest

from experiments.lab import configs, processes
from gan_jax.errors import ConfigError


def test_a_free_lock_is_an_end_and_a_file_that_is_gone_is_none(tmp_path):
  file = processes._file(tmp_path, 1)
  with filelock.FileLock(file):
    others = {1: processes._inode(file)}
    assert processes._lost(tmp_path, others) == []  # it lives
  file.touch()
  others = {1: processes._inode(file)}
  assert processes._lost(tmp_path, others) == [1] and processes._lost(tmp_path, {}) == []
  file.rename(tmp_path / "kept")
  assert processes._lost(tmp_path, others) == []
  file.touch()  # another file
  assert processes._lost(tmp_path, others) == []


def test_an_earlier_process_that_still_lives_is_named(tmp_path, monkeypatch):
  monkeypatch.setattr(processes, "_PATIENCE", 0.05)
  file = processes._file(tmp_path, jax.process_index())
  with (
    filelock.FileLock(file.absolute(), is_singleton=False),
    pytest.raises(ConfigError, match="an earlier process 0 of a run in .* still lives; stop it"),
  ):
    processes._hold(tmp_path)
  processes._hold(tmp_path)
  processes._own.cache_clear()


def test_one_process_alone_holds_nothing(tmp_path):
  with processes.together(tmp_path, lambda: ""):
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changes", [{"coordinator": "host:1"}, {"processes": 2}, {"process": 0}])
def test_processes_that_are_described_and_not_enabled_are_refused(changes):
  config = configs.load("ring8", {f"distributed.{field}": value for field, value in changes.items()})
  with pytest.raises(ConfigError, match="distributed.enabled is False; each would be a run of its own"):
    processes.connect(config)
  processes.connect(configs.load("ring8"))
