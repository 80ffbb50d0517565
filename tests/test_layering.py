"""Who may import whom, read from the source; and what `import gan_jax` must not bring with it."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PURE = {"jax", "chex"}
STANDARD = set(sys.stdlib_module_names)
LIBRARIES = STANDARD | {"numpy", "scipy", "sklearn", "skimage", "mlxtend", "tensorflow_datasets", "PIL"}
LIBRARIES |= {"matplotlib", "tqdm", "orbax", "grain", "threadpoolctl"}
ERRORS = {"gan_jax.errors"}
HOST = {"gan_jax.host"}
PIXELS = {"gan_jax.pixels"}
OF_METRICS = {"optax", "gan_jax.metrics", "gan_jax.cache", "gan_jax.weights", "gan_jax.nets"}
OF_A_PAGE = {"gan_jax.commands", "gan_jax.curves", "gan_jax.metrics.health", "gan_jax.report"}
_OF_GAMES = ("losses", "pool", "pyramid", "forward", "optim", "priors", "augment", "game", "games")
OF_GAMES = {f"gan_jax.{name}" for name in _OF_GAMES}

# What the files of a package, or a module, may import. A file falls under the longest name that fits.
MAY_IMPORT = {
  "gan_jax/__init__.py": set(),
  "gan_jax/errors.py": STANDARD,
  "gan_jax/host.py": STANDARD,
  "gan_jax/commands.py": STANDARD | ERRORS,
  "gan_jax/priors.py": STANDARD | PURE,
  "gan_jax/pixels.py": STANDARD | PURE | {"numpy"},
  "gan_jax/pool.py": STANDARD | PURE,
  "gan_jax/pyramid.py": STANDARD | PURE,
  "gan_jax/augment.py": STANDARD | PURE | ERRORS,
  "gan_jax/losses": STANDARD | PURE | ERRORS | {"gan_jax.losses"},
  "gan_jax/game.py": STANDARD | PURE | {"optax"},
  "gan_jax/forward.py": STANDARD | PURE | {"gan_jax.game"},
  "gan_jax/optim.py": STANDARD | PURE | {"optax", "gan_jax.game"},
  "gan_jax/nets": STANDARD | PURE | ERRORS | {"flax", "gan_jax.game", "gan_jax.nets", "gan_jax.pyramid"},
  "gan_jax/games": STANDARD | PURE | ERRORS | OF_GAMES | {"optax"},
  "gan_jax/train.py": STANDARD | PURE | {"optax", "gan_jax.game"},
  "gan_jax/shard.py": STANDARD | PURE | ERRORS | {"numpy", "gan_jax.game"},
  "gan_jax/checkpoint.py": STANDARD | PURE | ERRORS | {"numpy", "orbax", "gan_jax.game", "gan_jax.shard"},
  "gan_jax/cache.py": STANDARD | {"jax", "numpy", "filelock"},
  "gan_jax/weights.py": STANDARD | ERRORS | {"jax", "numpy", "safetensors"},
  "gan_jax/data": LIBRARIES | PURE | ERRORS | HOST | PIXELS | {"gan_jax.data", "gan_jax.cache"},
  "gan_jax/metrics": LIBRARIES | PURE | ERRORS | PIXELS | OF_METRICS,
  "gan_jax/report.py": LIBRARIES | ERRORS | PIXELS,
  "gan_jax/curves.py": STANDARD | {"numpy"},
  "gan_jax/page.py": LIBRARIES | ERRORS | OF_A_PAGE,
}
# The same within experiments, of experiments alone. A command is a module directly in it that calls cli.start; any
# other one is a config.
USES = {
  "command": {"config", "lab", "evaluators", "pytorch"},
  "pytorch": {"pytorch", "lab"},
  "lab": {"lab", "evaluators"},
  "evaluators": {"evaluators"},
  "config": {"config"},
}
MODULES = {
  ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
  for folder in ("gan_jax", "experiments")
  for path in sorted((ROOT / folder).rglob("*.py"))
}


def imported(path: Path) -> set[str]:
  """Every module that a file imports, at its top or within a function."""
  modules = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      modules |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f"{path}: imports are absolute"
      modules |= {f"{node.module}.{alias.name}" for alias in node.names}
  return modules


def neighbours(path: Path) -> set[str]:
  """The modules of this repository that a file imports."""
  found = set()
  for module in imported(path):
    known = [other for other in MODULES if module == other or module.startswith(f"{other}.")]
    found |= {max(known, key=len)} if known else set()
  return found


def allowed(module: str, permitted: set[str]) -> bool:
  return any(module == p or module.startswith(f"{p}.") for p in permitted)


def foreign(path: Path, of: str | None = None) -> set[str]:
  """What a file of gan_jax imports and must not; `of` names another entry of `MAY_IMPORT` than the file's own."""
  if of is None:
    relative = path.relative_to(ROOT).as_posix()
    of = max((name for name in MAY_IMPORT if relative == name or relative.startswith(f"{name}/")), key=len)
  return {module for module in imported(path) if not allowed(module, MAY_IMPORT[of])}


def layer(name: str) -> str:
  """Of a module of experiments: its folder, or whether it is a command or a config."""
  _, first, *_ = name.split(".")
  if (ROOT / "experiments" / first).is_dir():
    return first
  return "command" if "cli.start(" in MODULES[name].read_text() else "config"


def foreign_in_experiments(path: Path, of: str) -> set[str]:
  """What a file of this layer of experiments imports of experiments and must not."""
  used = {other for other in neighbours(path) if other.startswith("experiments.")}
  return {other for other in used if layer(other) not in USES[of]}


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
  """A path that comes back to where it started, or nothing."""
  done: set[str] = set()

  def visit(name: str, path: list[str]) -> list[str]:
    if name in path:
      return [*path[path.index(name) :], name]
    if name in done:
      return []
    for other in sorted(graph[name]):
      if found := visit(other, [*path, name]):
        return found
    done.add(name)
    return []

  return next((found for name in graph if (found := visit(name, []))), [])


@pytest.mark.parametrize("path", sorted((ROOT / "gan_jax").rglob("*.py")), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_one_way(path):
  assert not foreign(path), f"{path.relative_to(ROOT)} imports {sorted(foreign(path))}"


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("experiments.")])
def test_commands_use_the_lab_and_the_lab_evaluators_and_not_the_other_way_round(name):
  """Configs use configs alone, and no command another one."""
  wrong = foreign_in_experiments(MODULES[name], layer(name))
  assert not wrong, f"{name}, of the layer {layer(name)!r}, imports {sorted(wrong)}"


def test_no_function_is_longer_than_sixty_lines():
  for path in MODULES.values():
    for node in ast.walk(ast.parse(path.read_text())):
      if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
        assert node.end_lineno - node.lineno < 60, f"{path.relative_to(ROOT)}: {node.name}"


def test_no_module_imports_itself_by_way_of_others():
  graph = {name: neighbours(path) - {name} for name, path in MODULES.items()}
  assert len(graph) > 40 and sum(map(len, graph.values())) > 100
  assert cycle(graph) == []


def test_the_rules_would_catch_a_break(tmp_path):
  source = tmp_path / "bad.py"
  source.write_text("import jax\ndef f():\n  from flax import linen\n  import gan_jax.train\n")
  assert foreign(source, "gan_jax/losses") == {"flax.linen", "gan_jax.train"}
  source.write_text("import jax\ndef f():\n  from experiments import run, base\n  from experiments.lab import names\n")
  assert foreign_in_experiments(source, "config") == {"experiments.run", "experiments.lab.names"}
  assert foreign_in_experiments(source, "lab") == {"experiments.run", "experiments.base"}
  assert foreign_in_experiments(source, "command") == {"experiments.run"}
  assert cycle({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}) == ["b", "d", "b"]
  assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_import_is_light():
  """Neither TensorFlow nor matplotlib comes with the parts that a notebook imports, nor with the data sources."""
  code = (
    "import sys, gan_jax, gan_jax.train, gan_jax.games.fgan, gan_jax.nets.dcgan, gan_jax.data.tfds, gan_jax.data.mnist;"
    "heavy = {'tensorflow', 'matplotlib', 'torch'} & set(sys.modules);"
    "assert not heavy, heavy"
  )
  subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# The modules that need more than the library's own dependencies: docs/library.md names them.
OF_THE_EXTRA = {"cache", "data.folder", "data.idx", "data.mnist", "data.mnist2colour", "data.mnist3", "data.npz"}
OF_THE_EXTRA |= {
  "data.outlines",
  "data.tfds",
  "data.transforms",
  "metrics.classifier",
  "metrics.codes",
  "metrics.probe",
}
OF_THE_EXTRA |= {"page", "report"}


def test_the_library_needs_its_own_dependencies_alone():
  """Those of pyproject.toml, and SciPy, orbax and absl, which come with jax, flax and chex."""
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  names = lambda listed: {re.match(r"[\w-]+", each)[0].replace("-", "_") for each in listed}
  assert names(project["dependencies"]) == {"jax", "flax", "optax", "chex", "numpy"}
  extra = names(project["optional-dependencies"]["experiments"])
  assert {"pillow", "scikit_learn", "filelock"} < extra
  code = (
    "import importlib, pkgutil, sys, gan_jax\n"
    "sys.modules |= dict.fromkeys(sys.argv[1].split())\n"  # None: importing it is a ModuleNotFoundError
    "for info in pkgutil.walk_packages(gan_jax.__path__, 'gan_jax.'):\n"
    "  try:\n"
    "    importlib.import_module(info.name)\n"
    "  except ModuleNotFoundError:\n"
    "    print(info.name.removeprefix('gan_jax.'))\n"
  )
  modules = extra - {"scipy", "orbax_checkpoint", "absl_py", "importlib_resources"} | {"PIL", "sklearn", "skimage"}
  command = [sys.executable, "-c", code, " ".join(modules)]
  ended = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
  assert set(ended.stdout.split()) == OF_THE_EXTRA
  page = (ROOT / "docs" / "library.md").read_text()
  assert all(f"`{name}`" in page for name in OF_THE_EXTRA)


def test_a_run_waits_only_for_the_libraries_that_it_uses():
  code = (
    "import sys, experiments.run;"
    "slow = {'matplotlib', 'sklearn', 'skimage', 'pandas', 'grain', 'tensorflow_datasets', 'torch'} & set(sys.modules);"
    "assert not slow, slow"
  )
  subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
