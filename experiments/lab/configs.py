"""Configs: from an experiment's file to a whole record of its settings, with what the command line replaces."""

import ast
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict, FieldReference

from experiments.lab import names
from gan_jax.data import sources
from gan_jax.errors import ConfigError, nearest

# A ConfigDict, of whose fields a type checker knows nothing.
Config = Any

EXPERIMENTS = Path(__file__).parent.parent
_SCHEDULE = {
  "schedule": inspect.Parameter(
    "schedule", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Callable[[Any], Any] | None
  )
}
# The parts of a config that a stage may replace; the lengths between evaluations and checkpoints are the run's.
_OF_A_STAGE = ("game", "nets", "optimizer", "data", "dtype", "eval")
_OF_THE_RUN = ("eval.every", "eval.best", "eval.highest", "eval.patience")
_BATCH = {"batch_size": inspect.Parameter("batch_size", inspect.Parameter.KEYWORD_ONLY, default=64)}


class Stage(NamedTuple):
  """A part of a run.

  Attributes:
    start: the round after which it begins.
    end: its last round.
    config: what is played in it.
    keep_optimizers: whether it keeps the optimizers' state of the stage before, where that fits.
  """

  start: int
  end: int
  config: Config
  keep_optimizers: bool


def load(given: str, changes: Mapping[str, Any] | None = None) -> Config:
  """The config of an experiment, complete.

  Args:
    given: a name, `fgan_kl` or `fgan:pearson`, or a file, `experiments/fgan.py:pearson`.
    changes: field -> value, as `change` takes them.

  Raises:
    ConfigError: if there is no such experiment or variant, it is no experiment (it is not executed then), or a name or
      setting in it is not known.
  """
  config = read(given)
  change(config, changes or {})
  complete(config)
  return config


def read(given: str) -> Config:
  """What `get_config` of an experiment gives, as `load`, but as it is."""
  path, variant = file_of(given)
  spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
  if spec is None or spec.loader is None:
    raise ConfigError(f"{path} is not a Python file")
  if not _has_get_config(path):
    raise ConfigError(
      f"{path} is no experiment: it has no get_config. Experiments are files such as experiments/fgan_kl.py"
    )
  reachable(path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  if not variant:
    return module.get_config()
  variants = variants_of(path)
  if not inspect.signature(module.get_config).parameters:
    raise ConfigError(f"{path} has no variants, so ':{variant}' cannot be chosen; leave it out")
  if variants and variant not in variants:
    raise ConfigError(f"{path.name} has no variant {variant!r}.{nearest(variant, variants)}")
  return module.get_config(variant)


def file_of(given: str) -> tuple[Path, str]:
  """The file and the variant of an experiment that is given by name or by file."""
  name, _, variant = given.partition(":")
  path = Path(name)
  if not path.is_file() and path.name == name:
    name = name.removesuffix(".py")
    path = EXPERIMENTS / f"{name}.py"
  if path.is_file():
    return path, variant
  if path.parent == EXPERIMENTS:
    raise ConfigError(f"there is no experiment {name!r}.{nearest(name, map(_stem, experiments_in()))}")
  folder = Path(given.partition(":")[0]).parent
  if not folder.is_dir():
    raise ConfigError(f"there is no file {path}, and no folder {folder}")
  raise ConfigError(f"there is no file {path}.{nearest(path.name, (p.name for p in experiments_in(folder)))}")


def reachable(path: Path) -> None:
  """Lets modules beside an experiment's file be imported, such as a game of one's own."""
  folder = str(path.resolve().parent)
  if folder not in (*sys.path, str(EXPERIMENTS)):
    sys.path.append(folder)


def experiments_in(folder: Path = EXPERIMENTS) -> list[Path]:
  """The files in a folder that describe an experiment."""
  return [file for file in sorted(folder.glob("*.py")) if _has_get_config(file) and file.stem != "base"]


def variants_of(path: Path) -> tuple[str, ...]:
  """The variants that an experiment lists in its `VARIANTS`; there may be none."""
  spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
  module = importlib.util.module_from_spec(spec)  # pyright: ignore[reportArgumentType]
  spec.loader.exec_module(module)  # pyright: ignore[reportOptionalMemberAccess]
  return tuple(getattr(module, "VARIANTS", ()))


def name_of(given: str) -> str:
  """experiments/fgan.py:pearson -> fgan_pearson."""
  file, _, variant = given.partition(":")
  return "_".join(filter(None, [Path(file).stem, variant]))


def recorded(given: str) -> str:
  """An experiment as a run's record names it: one of this package by its name, another one by the whole path of its
  file, and what is neither, as a notebook or a test may name its own config, as it is given."""
  try:
    path, variant = file_of(given)
  except ConfigError:
    return given
  ours = path.resolve().parent == EXPERIMENTS.resolve()
  return ":".join(filter(None, [path.stem if ours else str(path.resolve()), variant]))


def complete(config: Config) -> None:
  """Completes every section with full names and the settings that its functions take, with their defaults, in place.

  Raises:
    ConfigError: if a name or a setting is not known.
  """
  config.unlock()
  config.game.name, game = names.find(names.GAME, config.game.name, "game.name")
  for ability in ("specs", "make"):
    if not hasattr(game, ability):
      raise ConfigError(f"game.name is {config.game.name!r}, which is no game: it has no function {ability!r}")
  names.fill(config.game, names.settings_of(game.specs, game.make, nets=config.nets), "game")
  for role, section in config.nets.items():
    names.complete(section, names.NET, f"nets.{role}")
  for player, section in config.optimizer.items():
    section.name, function = names.find(names.OPTIMIZER, section.get("name", ""), f"optimizer.{player}.name")
    names.fill(section, names.settings_of(function) | _SCHEDULE, f"optimizer.{player}")
  names.fill(config.data, names.settings_of(sources.source(config.data.name)) | _BATCH, "data")
  found = [names.find(names.EVALUATOR, name, "eval.evaluators") for name in config.eval.evaluators]
  config.eval.evaluators = tuple(name for name, _ in found)
  for name, module in found:
    key = section_of(name)
    config.eval[key] = config.eval.get(key, ConfigDict())
    names.fill(config.eval[key], names.settings_of(module.make), f"eval.{key}")


def section_of(evaluator: str) -> str:
  """The section of config.eval that has an evaluator's settings."""
  return evaluator.rstrip(":").rpartition(".")[2]


def is_structure(field: str) -> bool:
  """Whether other settings depend on a field: a name, evaluators, stages."""
  return field.endswith(".name") or field in ("eval.evaluators", "train.stages")


def change(config: Config, changes: Mapping[str, Any]) -> None:
  """Replaces settings in place; those that decide which others there are come first.

  A section that gets another name keeps what both functions take. Where a value becomes a section (penalty.name), or a
  section a value, the old one goes.

  Raises:
    ConfigError: if a field is not there.
  """
  structure = sorted(filter(is_structure, changes), key=lambda field: field.count("."))
  for field in structure:
    owner, _, last = field.rpartition(".")
    if last == "name":
      _rename(config, owner, changes[field])
    else:
      _set(config, field, changes[field])
  if structure:
    complete(config)
  others = [field for field in changes if field not in structure]
  for field in sorted(others, key=lambda field: field.count(".")):  # a section before its settings
    _set(config, field, changes[field])


def parsed(config: Config, field: str, text: str) -> Any:
  """What the command line gives for a field, of the type that it has: 5, 0.1, True, adam, 1,2 or "a","b", None.

  A section can be left out by None where what takes it does without by default.

  Raises:
    ConfigError: if it is of another type, or there is no such field.
  """
  check_field(config, field)
  old = get(config, field) if field in _fields(config) else None
  if isinstance(old, ConfigDict):
    if text == "None" and _may_be_none(config, field):
      return None
    raise ConfigError(f"{field} is a section; give its settings, such as {field}.{next(iter(old), 'name')}")
  if isinstance(old, str):
    return text
  if isinstance(old, bool) and text.lower() in ("", "true", "false", "1", "0"):
    return text.lower() in ("", "true", "1")
  try:
    value = ast.literal_eval(f"({text},)" if isinstance(old, tuple) and not text.startswith("(") else text)
  except (ValueError, SyntaxError):
    value = tuple(text.split(",")) if isinstance(old, tuple) else text
  if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
    value = float(value)
  if old is not None and type(value) is not type(old):
    raise ConfigError(f"{field} is given as {text!r}; it takes {type(old).__name__}s such as {old}")
  owner, _, last = field.rpartition(".")
  if old is None and owner and "name" in get(config, owner):
    annotation = _settings(owner, get(config, owner).name, config.nets)[last].annotation
    if not names.may_be(annotation, value):
      raise ConfigError(f"{field} is given as {text!r}; a function is given by its name, as {field}.name")
  return value


def check_field(config: Config, field: str) -> None:
  """Raises ConfigError if a config has no such field; the message names the nearest of that section."""
  path: list[str] = []
  section: Any = config
  for part in field.split("."):
    owner = ".".join(path)
    accepted = set(section.keys()) if isinstance(section, ConfigDict) else set()
    if "name" in accepted and owner:
      accepted |= set(_settings(owner, section.name, config.nets))  # those without a default are not there yet  # pyright: ignore[reportArgumentType]
    if part not in accepted:
      raise ConfigError(f"{owner or 'the config'} has no setting {part!r}.{nearest(part, accepted)}")
    section = section.get(part)
    path.append(part)


def stages(config: Config) -> list[Stage]:
  """The stages of a run: one, if `config.train.stages` has none.

  Raises:
    ConfigError: if a stage has no rounds, they do not add up to train.rounds, or a setting in it is not known.
  """
  rounds, given = config.train.rounds, config.train.get("stages", ())
  if not isinstance(given, tuple) or not all(hasattr(stage, "items") for stage in given):
    raise ConfigError(f'train.stages is {given!r}; it is a tuple such as ({{"rounds": 500, "FIELD": value}}, {{}})')
  described = [_resolved(stage) for stage in given]
  if not described:
    return [Stage(0, rounds, config, True)]
  found, start = [], 0
  for i, stage in enumerate(described):
    changes = {field: value for field, value in stage.items() if field not in ("rounds", "keep_optimizers")}
    for field in changes:
      if field.partition(".")[0] not in _OF_A_STAGE or field in _OF_THE_RUN:
        raise ConfigError(
          f"train.stages[{i}] changes {field}, which is the whole run's; a stage changes {', '.join(_OF_A_STAGE)}"
        )
    length = stage.get("rounds", rounds - start if i == len(described) - 1 else None)
    if not isinstance(length, int) or length < 1:
      raise ConfigError(f"train.stages[{i}] has rounds {length}; each stage has at least 1 of train.rounds = {rounds}")
    of_stage = config.copy_and_resolve_references()
    of_stage.train.stages = ()
    change(of_stage, changes)
    complete(of_stage)
    found.append(Stage(start, start + length, of_stage, stage.get("keep_optimizers", True)))
    start += length
  if start != rounds:
    raise ConfigError(f"the stages have {start:,} rounds in all, and train.rounds is {rounds:,}")
  return found


def plain(config: Any) -> Any:
  """A config as JSON can say it: references resolved, tuples as lists."""
  config = config.get() if isinstance(config, FieldReference) else config
  if isinstance(config, Mapping | ConfigDict):
    return {k: plain(v) for k, v in config.items()}
  return [plain(v) for v in config] if isinstance(config, list | tuple) else config


def from_plain(config: Mapping[str, Any]) -> Config:
  """The config that `plain` made JSON of."""
  tuples = lambda v: {k: tuples(w) for k, w in v.items()} if isinstance(v, Mapping) else _tuple(v)
  return ConfigDict(tuples(config))


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
  """{"train": {"rounds": 5}} -> {"train.rounds": 5}."""
  flat = {}
  for key, value in tree.items():
    flat |= flatten(value, f"{prefix}{key}.") if hasattr(value, "items") else {prefix + key: value}
  return flat


def _fields(config: Config) -> set[str]:
  """Every field and section that is there."""
  flat = flatten(config)
  return {field.rsplit(".", cut)[0] for field in flat for cut in range(field.count(".") + 1)}


def get(config: Any, field: str) -> Any:
  """The value of a field, "train.rounds"."""
  for part in field.split("."):
    config = config[part]
  return config


def _rename(config: Config, owner: str, name: str) -> None:
  """Gives the section `owner` another name; settings that only the old one takes go."""
  nets, (*path, last) = config.nets, owner.split(".")
  if path:
    check_field(config, ".".join(path))
  config = get(config, ".".join(path)) if path else config
  section = config.get(last)
  with config.unlocked(), config.ignore_type():
    if not isinstance(section, ConfigDict):
      config[last] = ConfigDict({"name": name})
      return
  taken = _settings(owner, name, nets)
  with section.unlocked():
    for key in [key for key in section if key != "name" and key not in taken]:
      del section[key]
    section.name = name


def _settings(owner: str, name: str, nets: Iterable[str]) -> Mapping[str, inspect.Parameter]:
  """The settings of what `owner`.name means; `nets` has the names of a game's nets."""
  if owner == "data":
    return names.settings_of(sources.source(name)) | _BATCH
  if owner == "game":
    _, game = names.find(names.GAME, name, "game.name")
    functions = [getattr(game, ability) for ability in ("specs", "make") if hasattr(game, ability)]
    return names.settings_of(*functions, nets=nets)
  kind = {"nets": names.NET, "optimizer": names.OPTIMIZER}.get(owner.partition(".")[0] if owner.count(".") == 1 else "")
  _, function = names.find(kind or names.VALUE, name, f"{owner}.name")
  return names.settings_of(function) | (_SCHEDULE if kind is names.OPTIMIZER else {})


def _may_be_none(config: Config, field: str) -> bool:
  """Whether the function that takes this setting does without by default."""
  owner, _, setting = field.rpartition(".")
  section = get(config, owner) if owner else None
  if not isinstance(section, ConfigDict) or "name" not in section:
    return False
  parameter = _settings(owner, section.name, config.nets).get(setting)  # pyright: ignore[reportArgumentType]
  return parameter is not None and parameter.default is None


def _set(config: Config, field: str, value: Any) -> None:
  check_field(config, field)
  *path, last = field.split(".")
  owner = get(config, ".".join(path)) if path else config
  with owner.unlocked(), owner.ignore_type():
    if last in owner and path != ["train"]:
      del owner[last]  # a reference to another setting, which is one of train's, would change that one
    owner[last] = value


def _resolved(stage: Any) -> dict[str, Any]:
  return {k: v.get() if isinstance(v, FieldReference) else v for k, v in dict(stage).items()}


def _tuple(value: Any) -> Any:
  return tuple(_tuple(v) for v in value) if isinstance(value, list) else value


def _stem(path: Path) -> str:
  return path.stem


def _has_get_config(path: Path) -> bool:
  return "\ndef get_config(" in "\n" + path.read_text()
