"""The console command: `gan-jax run --config=fgan_kl` is `python -m experiments.run --config=fgan_kl`.

A wheel holds the package `experiments` inside gan_jax, so that it does not claim that name on the user's Python path;
this command adds it there, for what it starts and for configs of one's own. In a checkout it lies beside gan_jax.
"""

import ast
import importlib.util
import runpy
import sys
from pathlib import Path

from gan_jax.errors import nearest

_SHIPPED = Path(__file__).parent / "_commands"  # pyproject.toml puts the package experiments there


def shown(name: str) -> str:
  """How a person calls the command `name` here: `gan-jax NAME`, or in a checkout `python -m experiments.NAME`."""
  return f"gan-jax {name}" if _SHIPPED.is_dir() else f"python -m experiments.{name}"


def main() -> None:
  """Runs the command that the first argument names, with all others."""
  folder = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parent.parent
  commands = _found(folder / "experiments")
  name, *rest = sys.argv[1:] or [""]
  if name not in commands:
    usage = "\n".join(f"  {command:<10} {about}" for command, about in commands.items())
    print(f"gan-jax COMMAND [--FLAG=VALUE ...]; gan-jax COMMAND --help has its flags.\n\n{usage}")
    wrong = f"error: there is no command {name!r}.{nearest(name, commands)}" if name else "error: no command is given"
    sys.exit(0 if name in ("-h", "-help", "--help", "help") else wrong)
  if importlib.util.find_spec("ml_collections") is None:
    sys.exit("error: the commands need more packages than the library: pip install 'gan_jax[experiments]'")
  sys.path.insert(0, str(folder))
  sys.argv = [f"gan-jax {name}", *rest]
  runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)


def _found(experiments: Path) -> dict[str, str]:
  """The commands, by what they do: the files directly in the package that call cli.start."""
  sources = {path.stem: path.read_text() for path in sorted(experiments.glob("*.py"))}
  first = lambda source: (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
  return {name: first(source).partition(":")[0] for name, source in sources.items() if "cli.start(" in source}
