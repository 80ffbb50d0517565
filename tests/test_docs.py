"""The documentation says what is there: code in its pages runs, public symbols have docstrings, no page is left out."""

import ast
import contextlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gan_jax.data import sources

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
WITH_CODE = ("concepts", "library", "data", "adding")
MODULES = sorted((ROOT / "gan_jax").rglob("*.py"))


def blocks(page: str, language: str = "python") -> list[str]:
  found = re.findall(r"^```(\w*)\n(.*?)^```$", (DOCS / f"{page}.md").read_text(), re.S | re.M)
  return [block for of, block in found if of == language]


def commands(page: str) -> list[list[str]]:
  """The commands on a page, each as its words."""
  lines = "".join(blocks(page, "")).replace("\\\n", " ").splitlines()
  return [shlex.split(line) for line in lines if "python -m" in line]


def written(page: str, folder: Path) -> list[str]:
  """Writes those blocks of a page that are files, which their first line says, into a folder; returns all blocks."""
  for block in blocks(page):
    if named := re.match(r"# (\w+\.py)\n", block):
      (folder / named[1]).write_text(block)
  return blocks(page)


def public(body: list[ast.stmt], owner: str = ""):
  """Every public class, function and method, `Class.method`, and its node."""
  for node in body:
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
      yield owner + node.name, node
      if isinstance(node, ast.ClassDef):
        yield from public(node.body, f"{owner}{node.name}.")


def undocumented(source: str) -> list[str]:
  """The public symbols of a module that have no docstring; "" is the module itself."""
  module = ast.parse(source)
  return [name for name, node in [("", module), *public(module.body)] if not ast.get_docstring(node)]


def misnamed(source: str) -> list[str]:
  """Arguments that docstrings explain and functions do not have."""
  wrong = []
  for name, node in public(ast.parse(source).body):
    args = re.search(r"^Args:\n(.*?)(?:\n\n|\Z)", ast.get_docstring(node) or "", re.S | re.M)
    if args and isinstance(node, ast.FunctionDef):
      a = node.args
      known = {each.arg for each in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg) if each}
      explained = re.findall(r"^  (\S[^:\n]*):", args[1], re.M)
      wrong += [f"{name}: {each}" for line in explained for each in line.split(", ") if each.lstrip("*") not in known]
  return wrong


def vanishing(source: str) -> list[str]:
  """Text in a docstring that a browser would parse as a tag and not show; between backticks it is shown."""
  nodes = [
    node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
  ]
  texts = [re.sub(r"`[^`]*`", "", ast.get_docstring(node) or "") for node in nodes]
  return [tag for text in texts for tag in re.findall(r"<[A-Za-z/!].*", text)]


@pytest.fixture(scope="module")
def generate():
  spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
  assert spec and spec.loader
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_public_symbols_have_docstrings_that_name_their_arguments(path):
  assert undocumented(path.read_text()) == [] or path.name.startswith("_") and path.stem != "__init__"
  assert misnamed(path.read_text()) == [] and vanishing(path.read_text()) == []


def test_a_missing_docstring_is_seen():
  source = '"""A module."""\nclass A:\n  """A class."""\n  def b(self): ...\n  def _c(self): ...\ndef d(): ...\n'
  assert undocumented(source) == ["A.b", "d"]
  assert undocumented("def _a(): ...\n") == [""]
  assert misnamed('def f(a, *, b):\n  """F.\n\n  Args:\n    a, c: of these.\n    b: this.\n  """\n') == ["f: c"]
  assert vanishing('"""The product <V c, x>, `<a, b>`, and a < b."""') == ["<V c, x>, , and a < b."]


@pytest.mark.parametrize("page", WITH_CODE)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(tmp_path)
  given = {"__name__": f"docs_{page}"}
  with contextlib.chdir(tmp_path):
    for block in written(page, tmp_path):
      exec(compile(block, f"{page}.md", "exec"), given)


def test_other_pages_with_code_have_tests_of_their_own():
  others = {path.name for path in DOCS.glob("*.md") if blocks(path.stem)} - {f"{page}.md" for page in WITH_CODE}
  tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__))
  assert [name for name in sorted(others) if name not in tests] == []


@pytest.mark.parametrize("page", ("data", "adding"))
def test_what_a_page_adds_trains_by_its_command(page, tmp_path):
  written(page, tmp_path)
  fields = ("train.rounds", "train.chunk", "log.every", "eval.every", "checkpoint.every")
  short = [*(f"--config.{field}=4" for field in fields), f"--workdir={tmp_path / 'run'}"]
  ((variable, python, *words),) = commands(page)
  assert variable == "PYTHONPATH=/elsewhere" and python == "python"
  if not any("evaluators" in word for word in words):
    short.append("--config.eval.evaluators=samples")  # another one would train a network that looks at images
  environment = os.environ | {"PYTHONPATH": str(tmp_path)}
  done = subprocess.run(
    [sys.executable, *words, *short], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
  )
  assert done.returncode == 0, done.stdout + done.stderr
  assert page != "adding" or "brightness" in done.stdout.lower()


def test_the_game_in_contributing_is_shown_on_the_page_about_adding():
  assert '--8<-- "CONTRIBUTING.md:game"' in (DOCS / "adding.md").read_text()
  _, shown, _ = re.split(
    r"^<!-- --8<-- \[(?:start|end):game\].*-->$", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.M
  )
  assert shown.count("```python\n") == 2


def test_every_source_of_data_is_on_its_page():
  page = (DOCS / "data.md").read_text()
  assert [name for name in sources.SOURCES if f"`{name}`" not in page] == []
  assert [kind for kind in sources.PLACES if f"| `{kind}:" not in page] == []


def test_every_page_is_in_the_navigation():
  listed = re.findall(r"^ +- (?:[\w ]+: )?(\w+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
  assert sorted(listed) == sorted(path.name for path in DOCS.glob("*.md"))


def test_every_game_module_experiment_and_result_has_its_place(generate):
  pages = generate.pages()
  games = {path.stem for path in (ROOT / "gan_jax" / "games").glob("[!_]*.py")}
  assert {name for name in games if f"::: gan_jax.games.{name}.make" in pages[f"games/{name}.md"]} == games
  parts = [path.relative_to(ROOT).with_suffix("").parts for path in MODULES]
  names = [".".join(part).removesuffix(".__init__") for part in parts]
  text = "".join(pages.values())
  assert [name for name in names if "._" not in name and f"::: {name}\n" not in text] == []
  of_games = "".join(pages[f"games/{name}.md"] for name in games)
  assert [path.stem for path in generate.configs.experiments_in() if f"| `{path.stem}" not in of_games] == []
  assert [line for line in generate.measured() if f"| {line} |" not in of_games] == []
