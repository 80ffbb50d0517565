"""A workdir is one run's at a time: who has it is said, and what a dead process held is free."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.lab import configs, loop, members, observer, workdir
from gan_jax.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent
HOLD = """
import sys, time
from pathlib import Path
from experiments.lab import workdir
with workdir.held(Path(sys.argv[1])):
  print("held", flush=True)
  time.sleep(600)
"""


def ring():
  config = configs.load("ring8")
  config.train.update({"rounds": 20, "chunk": 10})
  config.log.every = config.eval.every = config.checkpoint.every = 10
  config.eval.evaluators = ()
  return config


def test_a_second_run_or_sweep_in_one_workdir_names_who_has_it(tmp_path):
  folder = tmp_path / "run"
  message = f"{folder} is in use by process {os.getpid()} on {socket.gethostname()}, since 2.*choose another --workdir"
  with workdir.held(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(ConfigError, match=message):
      loop.run(ring(), folder, "ring8")
    with pytest.raises(ConfigError, match=message):
      members.sweep(ring(), {}, 2, folder, "ring8")
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
  with workdir.held(folder):  # and then it is free
    pass
  assert not (folder / workdir.HOLDER).exists()


def test_what_a_killed_process_held_is_free(tmp_path):
  command = [sys.executable, "-c", HOLD, str(tmp_path)]
  environment = os.environ | {"JAX_PLATFORMS": "cpu"}
  with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as other:
    assert other.stdout and other.stdout.readline() == b"held\n"
    with pytest.raises(ConfigError, match=f"in use by process {other.pid} on"), workdir.held(tmp_path):
      pass
    other.kill()
  assert (tmp_path / workdir.HOLDER).exists()  # it could not clear up
  with workdir.held(tmp_path):
    assert str(os.getpid()) in (tmp_path / workdir.HOLDER).read_text()


def test_every_start_is_kept_and_other_code_is_said_once(tmp_path, monkeypatch):
  version = lambda number: monkeypatch.setattr(workdir, "_version", lambda package: number)
  commit = lambda name: monkeypatch.setattr(workdir, "_commit", lambda: name)
  version("1.0")
  commit("a1")
  begin = lambda played: workdir.write(tmp_path, {"seed": 0}, "ring8", played)
  assert begin(0) == "" and begin(20) == ""
  commit("a1, with changes")
  assert begin(30) == "commit a1 then and a1, with changes now"
  version("1.1")
  assert "jax 1.0 then and 1.1 now" in begin(40) and begin(50) == ""
  record = json.loads((tmp_path / workdir.ENVIRONMENT).read_text())
  assert [start["after_round"] for start in record["starts"]] == [0, 20, 30, 40, 50]
  assert [start["to_round"] for start in record["starts"]] == [20, 30, 40, 50, None]
  assert [start["packages"]["jax"] for start in record["starts"]] == ["1.0", "1.0", "1.0", "1.1", "1.1"]
  assert record["experiment"] == "ring8" and record["packages"]["jax"] == "1.1"  # of the last one


def test_a_start_says_which_rounds_it_played(tmp_path):
  """Also where it was interrupted, and where it is started again with nothing left to play."""
  folder, config = tmp_path / "run", ring()
  starts = lambda: json.loads((folder / workdir.ENVIRONMENT).read_text())["starts"]
  rounds = lambda: [(start["after_round"], start["to_round"]) for start in starts()]
  observe = observer.Observer.write

  def interrupt(self, rows, seen):
    observe(self, rows, seen)
    signal.raise_signal(signal.SIGINT)

  with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
    patch.setattr(observer.Observer, "write", interrupt)
    loop.run(config, folder, "ring8")
  assert rounds() == [(0, 10)]
  for _ in range(2):
    loop.run(config, folder, "ring8")
    assert rounds() == [(0, 10), (10, 20)]


def test_the_commit_is_that_of_the_checkout(tmp_path, monkeypatch):
  git = lambda *words: (
    subprocess.run(["git", "-C", tmp_path, *words], check=True, capture_output=True, text=True).stdout
  )
  file = tmp_path / "lab" / "workdir.py"
  file.parent.mkdir()
  file.write_text("code")
  monkeypatch.setattr(workdir, "__file__", str(file))
  assert workdir._commit() is None  # no checkout
  commit_all = lambda name: git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", name)
  git("init", "-q")
  (tmp_path / "notes").write_text("of someone else's project")
  git("add", "notes")
  commit_all("first")
  assert workdir._commit() is None  # a checkout of something else
  git("add", ".")
  commit_all("second")
  commit = git("rev-parse", "HEAD").strip()
  assert workdir._commit() == commit
  file.write_text("other code")
  assert workdir._commit() == f"{commit}, with changes"
