"""A hook of mkdocs, which makes pages of the code at each build: one a game, and the reference of every public module.

The tree is the registry here too: a file in gan_jax/games gets its page, and a module its place in the reference, by
being there. Nothing is written beside the site.
"""

import ast
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # the command mkdocs does not look for modules in its folder, as python -m does

from experiments.lab import configs, names, results  # noqa: E402

GAMES = "gan_jax.games"


def on_config(config: Any) -> Any:
  """Appends the pages to the navigation, when mkdocs asks."""
  games = [{name: f"games/{name}.md"} for name in game_names()]
  config.nav += [{"Games": ["games/index.md", *games]}, {"Reference": reference_nav()}]
  return config


def on_files(files: Any, config: Any) -> Any:
  """Adds the pages to the site, when mkdocs asks."""
  from mkdocs.structure.files import File  # here, so that the tests do not need it

  for path, text in pages().items():
    files.append(File.generated(config, path, content=text))
  return files


def pages() -> dict[str, str]:
  """Every page that is made of code, in Markdown, by its path below docs/."""
  found = {_page_of(module): reference_page(module) for module in modules() if module != GAMES and not _is_game(module)}
  found["games/index.md"] = games_page()
  return found | {f"games/{name}.md": game_page(name) for name in game_names()}


def modules() -> dict[str, Path]:
  """The files of the public modules and packages of gan_jax, by name."""
  found = {}
  for path in sorted((ROOT / "gan_jax").rglob("*.py")):
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    if not any(part.startswith("_") for part in parts):
      found[".".join(parts)] = path
  return found


def game_names() -> list[str]:
  """The names of all games."""
  return [module.rpartition(".")[2] for module in modules() if _is_game(module)]


def game_page(name: str) -> str:
  """What a game is, the experiments that play it and their results, its settings, and its functions."""
  module = f"{GAMES}.{name}"
  game = importlib.import_module(module)
  parts = [f"# {name}", f"::: {module}\n    options:\n      members: false", _experiments_of(name), _results_of(name)]
  parts += [_settings(names.settings_of(game.specs, game.make)), "## Functions"]
  shown = "\n    options:\n      heading_level: 3\n      show_root_heading: true\n      show_root_toc_entry: true"
  parts += [f"::: {module}.{symbol}{shown}" for symbol in _symbols(modules()[module])]
  return _joined([*parts, _values(modules()[module])])


def games_page() -> str:
  """All games in a table."""
  lines = ["| game | what it is | experiments |", "|---|---|---|"]
  for name in game_names():
    played = ", ".join(f"`{path.stem}`" for path in experiments()[name])
    lines.append(f"| [{name}]({name}.md) | {_cell(_about(modules()[f'{GAMES}.{name}']))} | {played} |")
  intro = (
    "A game is one file in `gan_jax/games`, and its name in a config, `game.name`, is the name of that file. "
    "[Adding to it](../adding.md) shows how one is written."
  )
  return _joined(["# Games", intro, "\n".join(lines), f"::: {GAMES}\n    options:\n      members: false"])


def reference_page(module: str) -> str:
  """The reference of one module, or a package's list of what is in it."""
  path = modules()[module]
  lines = ["| module | what is in it |", "|---|---|"]
  for other in modules():
    if other.rpartition(".")[0] == module and path.stem == "__init__":
      page = "../../games/index.md" if other == GAMES else _page_of(other).removeprefix(f"{_page_of(module)[:-8]}")
      lines.append(f"| [{other}]({page}) | {_cell(_about(modules()[other]))} |")
  listed = "\n".join(lines) if len(lines) > 2 else ""
  return _joined([f"# {module}", f"::: {module}", listed, _values(path)])


def reference_nav() -> list[Any]:
  """The reference in the navigation: a section for each package."""
  tree: dict[str, list[Any]] = {}
  for module, path in modules().items():
    if not _is_game(module) and module != GAMES:
      package = module if path.stem == "__init__" else module.rpartition(".")[0]
      page = _page_of(module)
      tree.setdefault(package, []).append(page if path.stem == "__init__" else {module.rpartition(".")[2]: page})
  top = tree.pop("gan_jax")
  return [*top, *({package.rpartition(".")[2]: entries} for package, entries in tree.items())]


@functools.cache
def experiments() -> Mapping[str, Mapping[Path, list[str]]]:
  """For each game the files of the experiments that play it, each as --config has it: NAME, NAME:VARIANT."""
  found: dict[str, dict[Path, list[str]]] = {name: {} for name in game_names()}
  for path in configs.experiments_in():
    for given in (path.stem, *(f"{path.stem}:{variant}" for variant in configs.variants_of(path))):
      config = configs.read(given)
      played = {config.game.name, *(stage.get("game.name", config.game.name) for stage in config.train.stages)}
      for game in played & found.keys():
        found[game].setdefault(path, []).append(given)
  return found


@functools.cache
def measured() -> Mapping[str, results.Result]:
  """The lines of the table in docs/results.md."""
  return results.shown((ROOT / "docs" / "results.md").read_text())


def _experiments_of(name: str) -> str:
  lines = ["| `python -m experiments.run --config=`... | what it is |", "|---|---|"]
  lines += [f"| {_short(given)} | {_cell(_about(path))} |" for path, given in experiments()[name].items()]
  return "## Experiments\n\n" + ("\n".join(lines) if len(lines) > 2 else "No experiment here plays it.")


def _short(given: list[str]) -> str:
  """NAME, NAME:A and NAME:B as `NAME`, `:A`, `:B`; variants in full where NAME itself is another game's."""
  first, *others = given
  variants = [each.removeprefix(first) if ":" not in first else each for each in others]
  return ", ".join(f"`{each}`" for each in [first, *variants])


def _results_of(name: str) -> str:
  """Those lines of the results that are of a game's experiments, with their notes."""
  played = {configs.name_of(each) for given in experiments()[name].values() for each in given}
  rows = {line: result for line, result in measured().items() if line.split("`")[1] in played}
  about = "Medians and ranges over seeds; [all results](../results.md) says how they were found."
  return f"## Results\n\n{about}\n\n{results.table(rows)}" if rows else ""


def _settings(settings: Mapping[str, inspect.Parameter]) -> str:
  """A table of settings and their defaults."""
  about = (
    "What `config.game` takes beside `name`, here or as `--config.game.SETTING=VALUE`. "
    "What each is stands with the functions below, or where these send their other arguments."
  )
  lines = ["| setting | default |", "|---|---|"]
  lines += [f"| `{name}` | {_cell(_default(parameter))} |" for name, parameter in settings.items()]
  return f"## Settings\n\n{about}\n\n" + "\n".join(lines)


def _default(parameter: inspect.Parameter) -> str:
  default = parameter.default
  if default is parameter.empty:
    return "none: the config says it"
  if inspect.isfunction(default):
    return f"`{default.__module__.rpartition('.')[2]}.{default.__name__}`"
  return f"`{default!r}`"


def _symbols(path: Path) -> Iterator[str]:
  """The public functions and classes of a file, and what its `__all__` names of others, in the file's order."""
  body = ast.parse(path.read_text()).body
  own = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
  listed = getattr(importlib.import_module(f"{GAMES}.{path.stem}"), "__all__", ())
  return iter(sorted({*listed} - {*own}) + [name for name in own if not name.startswith("_")])


def _values(path: Path) -> str:
  """The public constants and types of a file as they stand in it, with their comments; "" where there are none."""
  source = path.read_text()
  lines, shown = source.splitlines(), []
  for node in ast.parse(source).body:
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    if isinstance(target, ast.Name) and not target.id.startswith("_"):
      above = lines[node.lineno - 2 : node.lineno - 1] if lines[node.lineno - 2].startswith("# ") else []
      shown += [*above, *lines[node.lineno - 1 : node.end_lineno]]
  return "\n".join(["## Constants and types\n", "```python", *shown, "```"]) if shown else ""


def _page_of(module: str) -> str:
  """Where the reference of a module is."""
  path = "reference/" + module.replace(".", "/")
  return f"{path}/index.md" if modules()[module].stem == "__init__" else f"{path}.md"


def _is_game(module: str) -> bool:
  return module.rpartition(".")[0] == GAMES


def _about(path: Path) -> str:
  """The first sentence of a file's docstring."""
  first, *_ = re.split(r"\.\s+(?=[A-Z])|\n\n", ast.get_docstring(ast.parse(path.read_text())) or "")
  return f"{' '.join(first.split()).rstrip('.:')}."


def _cell(text: str) -> str:
  return text.replace("|", "\\|")


def _joined(parts: Iterable[str]) -> str:
  return "\n\n".join(filter(None, parts)) + "\n"
