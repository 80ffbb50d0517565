"""What all commands share: flags, the front door, and mistakes that end in one message and exit status 1."""

import ast
import difflib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import jax
from absl import app, flags, logging
from ml_collections import ConfigDict

from experiments.lab import configs, processes
from gan_jax import cache, commands, report
from gan_jax.errors import ConfigError

_HELP = {"-h", "-help", "--help", "-helpshort", "--helpshort", "-helpfull", "--helpfull", "-?", "--?"}


def start(main: Callable[..., object], takes_config: bool = False, takes_arguments: bool = False) -> None:
  """Parses the command line and calls `main`.

  A ConfigError, a loss that stopped being finite, a file that cannot be read and a flag that cannot be parsed are
  mistakes of the person at the keyboard: the message is printed without a traceback. Anything else keeps its own.

  Args:
    main: the command.
    takes_config: whether it is called with the config that --config names, as --config.SETTING=VALUE changes it, and
      with what --config was. Without --config the usage and the experiments are shown.
    takes_arguments: whether it is called with what is given beside the flags.
  """
  found: list[object] = []

  def parse(argv: list[str]) -> list[str]:
    argv, given, changes = _split(argv) if takes_config else (argv, "", {})
    if _HELP & set(argv[1:]) or takes_config and not given:
      print(usage(given, takes_config))
      sys.exit(0 if _HELP & set(argv[1:]) else _missing(argv[1:]))
    if takes_config:
      found.extend((_guarded(_config, given, changes), given))
    try:
      return flags.FLAGS(argv)
    except flags.Error as error:
      sys.exit(f"error: {error}")

  def run(argv: list[str]) -> None:
    logging.set_verbosity(logging.WARNING)  # orbax reports every file that it writes
    if len(argv) > 1 and not takes_arguments:
      sys.exit(f"error: there is no argument {argv[1]!r}; settings are given as --config.field=value")
    _guarded(main, *found, *argv[1:])

  app.run(run, flags_parser=parse)


def _missing(arguments: list[str]) -> str:
  """The error of a command line without --config, which may be there under another name."""
  named = [re.match(r"--?([a-zA-Z]+)", argument) for argument in arguments]
  wrong = [name[1] for name in named if name and difflib.get_close_matches(name[1], ["config"])]
  return f"error: there is no --config; did --{wrong[0]} mean it?" if wrong else "error: --config is missing"


def check_out(path: Path, overwrite: bool) -> None:
  """Makes the folder of a picture that a command was asked to write, and sees that it replaces nobody else's file.

  Raises:
    ConfigError: if there is something that `gan_jax.report` has not written, unless it is to be overwritten; a folder,
      or the folder cannot be written to.
  """
  if path.is_dir():
    raise ConfigError(f"{path} is a folder; give the picture a name in it, such as {path / 'samples.png'}")
  if (path.exists() or path.is_symlink()) and not overwrite and not report.made_here(path):
    what = "a link" if path.is_symlink() else "a file that no command here has written"
    raise ConfigError(f"{path} is {what}; choose another --out, or replace it with --overwrite")
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise ConfigError(f"the folder {path.parent} cannot be made ({error.strerror}); choose another --out") from error
  if not os.access(path.parent, os.W_OK):
    raise ConfigError(f"the folder {path.parent} cannot be written to; choose another --out")


def usage(given: str = "", takes_config: bool = True) -> str:
  """How a command is called, and where it takes a config the experiments there are, or the settings of one."""
  about = (sys.modules["__main__"].__doc__ or "").strip().replace("python -m experiments.", commands.shown(""))
  lines = [about, "", "flags:"]
  own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
  lines += [f"  --{flag.name:<10} {flag.help} (default: {flag.default})" for flag in own]
  if not takes_config:
    return "\n".join(lines)
  if given:
    config = _guarded(configs.load, given)
    lines += ["", f"settings of {given}, each --config.SETTING=VALUE:"]
    return "\n".join([*lines, *(f"  {field} = {value!r}" for field, value in configs.flatten(config).items())])
  lines += ["", "experiments (--config=NAME or --config=NAME:VARIANT):"]
  for path in configs.experiments_in():
    about = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    lines.append(f"  {path.stem:<16} {about}")
    if variants := configs.variants_of(path):
      lines.append(f"  {'':<16} variants: {', '.join(variants)}")
  return "\n".join([*lines, "", "With --config=NAME --help: the settings of an experiment and their values."])


def _guarded(function: Callable, *arguments: object) -> object:
  try:
    return function(*arguments)
  except (ConfigError, FloatingPointError, OSError) as error:
    if getattr(error, "__notes__", None):  # it comes out of a loss, which a note says: its line matters
      raise
    if jax.distributed.is_initialized() and not isinstance(error, FloatingPointError):  # others may not have failed
      processes.end(f"error: {error}")
    sys.exit(f"error: {error}")
  except MemoryError as error:
    sys.exit(f"error: it does not fit into memory ({error}); make the batch, the images or the nets smaller")
  except jax.errors.JaxRuntimeError as error:
    what = str(error).partition("\n")[0]
    if jax.distributed.is_initialized():
      processes.end(f"error: another process of the run has ended, or cannot be reached; it may say why ({what})")
    if "RESOURCE_EXHAUSTED" not in str(error):
      raise
    sys.exit(
      f"error: it does not fit into the device's memory ({what}); make the batch, the images or the nets smaller"
    )
  except KeyboardInterrupt as interruption:
    sys.exit(str(interruption) or "interrupted")


def _config(given: str, texts: dict[str, str]) -> ConfigDict:
  """The config of an experiment with what the command line changes."""
  config = configs.read(given)
  structure = {field: text for field, text in texts.items() if configs.is_structure(field)}
  for field in structure.keys() - {field for field in structure if field.endswith(".name")}:
    structure[field] = configs.parsed(config, field, structure[field])
  configs.change(config, structure)
  configs.complete(config)
  configs.change(config, {k: configs.parsed(config, k, v) for k, v in texts.items() if k not in structure})
  if config.compilation_cache:
    cache.keep_programs()
  return config


def _split(argv: list[str]) -> tuple[list[str], str, dict[str, str]]:
  """The arguments without those of the config, what --config is given, and the settings; --a=b and --a b are the
  same."""
  flag = lambda argument: re.match(r"--?[a-zA-Z]", argument)  # and not a negative number
  rest, given, changes = argv[:1], "", {}
  following = iter([*argv[1:], ""])
  argument = next(following)
  while argument:
    after = next(following, "")
    name, equals, value = argument.lstrip("-").partition("=")
    if not flag(argument) or (name != "config" and not name.startswith("config.")):
      rest.append(argument)
    else:
      if not equals and after and not flag(after):
        value, after = after, next(following, "")
      if name == "config":
        given = value
      else:
        changes[name.removeprefix("config.")] = value
    argument = after
  return rest, given, changes
