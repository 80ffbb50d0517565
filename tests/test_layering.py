"""Who may import whom, read from the source; and what `import gan_jax` must not bring with it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PURE = {"jax", "chex"}
STANDARD = set(sys.stdlib_module_names)
LIBRARIES = STANDARD | {"numpy", "scipy", "sklearn", "skimage", "mlxtend", "tensorflow_datasets", "PIL"}
LIBRARIES |= {"matplotlib", "tqdm", "orbax", "grain"}

# A room, and what its files may import; of gan_jax the longest prefix is named.
OWN = {"gan_jax.errors"}
MAY_IMPORT = {
  "gan_jax/errors.py": STANDARD,
  "gan_jax/priors.py": STANDARD | PURE,
  "gan_jax/losses": STANDARD | PURE | OWN | {"gan_jax.losses"},
  "gan_jax/game.py": STANDARD | PURE | {"optax"},
  "gan_jax/forward.py": STANDARD | PURE | {"gan_jax.game"},
  "gan_jax/nets": STANDARD | PURE | OWN | {"flax", "gan_jax.game", "gan_jax.nets"},
  "gan_jax/pool.py": STANDARD | PURE,
  "gan_jax/games": STANDARD
  | PURE
  | OWN
  | {f"gan_jax.{name}" for name in ("losses", "pool", "forward", "optim", "priors", "game", "games")}
  | {"gan_jax", "optax"},
  "gan_jax/optim.py": STANDARD | PURE | {"optax", "gan_jax.game"},
  "gan_jax/shard.py": STANDARD | PURE | OWN | {"numpy", "gan_jax.game"},
  "gan_jax/train.py": STANDARD | PURE | {"optax", "gan_jax.game"},
  "gan_jax/data": LIBRARIES | PURE | OWN | {"gan_jax.data", "gan_jax.cache"},
  "gan_jax/metrics": LIBRARIES | PURE | OWN | {"optax", "gan_jax.metrics", "gan_jax.cache", "gan_jax.nets.conv"},
  "gan_jax/cache.py": STANDARD | {"jax", "numpy", "filelock"},
  "gan_jax/checkpoint.py": STANDARD | PURE | OWN | {"orbax", "gan_jax.game"},
  "gan_jax/report.py": LIBRARIES | OWN,
  "gan_jax/__init__.py": set(),
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


def room(path: Path) -> str:
  relative = path.relative_to(ROOT).as_posix()
  return max((name for name in MAY_IMPORT if relative == name or relative.startswith(f"{name}/")), key=len)


def allowed(module: str, permitted: set[str]) -> bool:
  return any(module == p or (p != "gan_jax" and module.startswith(f"{p}.")) for p in permitted)


MODULES = {
  ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
  for folder in ("gan_jax", "experiments")
  for path in (ROOT / folder).rglob("*.py")
}


def neighbours(name: str) -> set[str]:
  """The modules of this repository that a module imports."""
  found = set()
  for module in imported(MODULES[name]):
    known = [other for other in MODULES if module == other or module.startswith(f"{other}.")]
    found |= {max(known, key=len)} if known else set()
  return found - {name}


def rooms(name: str) -> str:
  """Of experiments: a command, a config, or one of its folders."""
  parts = name.split(".")
  if len(parts) > 2:
    return parts[1]
  return "command" if "cli.start(" in MODULES[name].read_text() else "config"


ABOVE = {  # which rooms of experiments a room may use
  "command": {"command", "config", "lab", "evaluators", "pytorch"},
  "pytorch": {"pytorch", "lab"},
  "lab": {"lab", "evaluators"},
  "evaluators": {"evaluators"},
  "config": {"config"},
}


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("experiments.")))
def test_experiments_stand_apart(name):
  """Commands above, the lab below them, evaluators below that; configs know configs alone."""
  if name.count(".") == 1 and (ROOT / "experiments" / name.split(".")[1]).is_dir():
    return  # a folder's own docstring and types
  used = {other for other in neighbours(name) if other.startswith("experiments.")}
  for other in used:
    folder = (ROOT / other.replace(".", "/")).is_dir()
    room = other.split(".")[1] if folder else rooms(other)
    assert room in ABOVE[rooms(name)], f"{name} imports {other}"
  if rooms(name) == "command":
    assert not {other for other in used if not (ROOT / other.replace(".", "/")).is_dir() and rooms(other) == "command"}


def test_no_module_imports_itself_by_way_of_others():
  done: set[str] = set()

  def visit(name, path):
    assert name not in path, " -> ".join([*path, name])
    if name not in done:
      for other in neighbours(name):
        visit(other, [*path, name])
      done.add(name)

  for name in MODULES:
    visit(name, [])
  assert len(done) > 40


@pytest.mark.parametrize("path", sorted((ROOT / "gan_jax").rglob("*.py")), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_one_way(path):
  permitted = MAY_IMPORT[room(path)]
  foreign = sorted(m for m in imported(path) if not allowed(m, permitted))
  assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


def test_the_rule_would_catch_a_break(tmp_path):
  source = tmp_path / "bad.py"
  source.write_text("import jax\ndef f():\n  from flax import linen\n  import gan_jax.train\n")
  foreign = {m for m in imported(source) if not allowed(m, MAY_IMPORT["gan_jax/losses"])}
  assert foreign == {"flax.linen", "gan_jax.train"}


def test_import_is_light():
  """Neither TensorFlow nor matplotlib comes with the parts that a notebook imports, nor with the data sources."""
  code = (
    "import sys, gan_jax, gan_jax.train, gan_jax.games.fgan, gan_jax.nets.dcgan, gan_jax.data.tfds, gan_jax.data.mnist;"
    "heavy = {'tensorflow', 'matplotlib', 'torch'} & set(sys.modules);"
    "assert not heavy, heavy"
  )
  subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_run_waits_only_for_the_libraries_that_it_uses():
  code = (
    "import sys, experiments.run;"
    "heavy = {'matplotlib', 'sklearn', 'skimage', 'pandas', 'grain', 'tensorflow_datasets', 'torch'};"
    "unasked = heavy & set(sys.modules);"
    "assert not unasked, unasked"
  )
  subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
