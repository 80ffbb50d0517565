"""The console command, in a checkout and as a wheel has it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gan_jax import __version__, commands

ROOT = Path(__file__).parent.parent


def called(folder: Path, *arguments: str, path: Path = ROOT, before: str = "pass") -> subprocess.CompletedProcess:
  """`gan-jax ARGUMENTS` in a folder that has a package experiments of somebody else's."""
  (folder / "experiments").mkdir()
  (folder / "experiments" / "__init__.py").write_text("raise RuntimeError('not this one')")
  code = f"import sys; {before}; sys.path.insert(0, {str(path)!r}); from gan_jax.commands import main; main()"
  command = [sys.executable, "-P", "-c", code, *arguments]
  return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
  """A folder with gan_jax as pyproject.toml lays it out in a wheel."""
  folder = tmp_path_factory.mktemp("wheel")
  ignored = shutil.ignore_patterns("__pycache__", "notebooks")
  shutil.copytree(ROOT / "gan_jax", folder / "gan_jax", ignore=ignored)
  shutil.copytree(ROOT / "experiments", folder / "gan_jax" / "_commands" / "experiments", ignore=ignored)
  return folder


def test_it_runs_a_command(tmp_path):
  ended = called(tmp_path, "run", "--config=dirac", "--config.train.rounds=20", f"--workdir={tmp_path / 'run'}")
  assert ended.returncode == 0, ended.stderr
  page = (tmp_path / "run" / "report.html").read_text()
  assert "python -m experiments.run" in page and "gan-jax" not in page


def test_a_wheel_runs_a_command_and_names_it_as_it_is_called_there(tmp_path, wheel):
  game = (ROOT / "experiments" / "dirac.py").read_text()
  (tmp_path / "mine.py").write_text(game)  # a config of one's own imports experiments.base
  ended = called(
    tmp_path, "run", "--config=mine.py", "--config.train.rounds=20", f"--workdir={tmp_path / 'run'}", path=wheel
  )
  assert ended.returncode == 0, ended.stderr
  page = (tmp_path / "run" / "report.html").read_text()
  assert "gan-jax run" in page and "python -m experiments" not in page


def test_help_of_a_command_in_a_wheel(tmp_path, wheel):
  ended = called(tmp_path, "run", "--help", path=wheel)
  assert ended.returncode == 0, ended.stderr
  assert "gan-jax run --config=EXPERIMENT" in ended.stdout and "python -m" not in ended.stdout.split("experiments (")[0]
  assert "--workdir" in ended.stdout and "fgan_kl" in ended.stdout


@pytest.mark.parametrize(("name", "message"), [("", "no command is given"), ("rum", "Did you mean 'run'")])
def test_a_command_that_is_not_there_is_one_message(tmp_path, name, message):
  ended = called(tmp_path, *([name] if name else []))
  assert ended.returncode == 1 and message in ended.stderr and "Traceback" not in ended.stderr
  listed = re.findall(r"^  (\w+) ", ended.stdout, re.M)
  assert {"run", "sweep", "sample", "translate", "evaluate", "export"} <= {*listed} and "base" not in listed


def test_what_the_commands_need_beside_the_library_is_named(tmp_path, wheel):
  ended = called(tmp_path, "run", "--config=dirac", path=wheel, before="sys.modules['ml_collections'] = None")
  assert ended.returncode == 1 and ended.stderr.strip().count("\n") == 0
  assert "pip install 'gan_jax[experiments]'" in ended.stderr


def test_the_version_is_the_installed_one():
  installed = pytest.importorskip("importlib.metadata").version("gan_jax")
  assert re.fullmatch(r"\d+\.\d+\.\d+", __version__) and installed == __version__


def test_how_a_command_is_called_here():
  assert commands.shown("sample") == "python -m experiments.sample"
