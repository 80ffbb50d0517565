"""The mistakes of the person at the keyboard, as distinct from bugs."""


class ConfigError(ValueError):
  """A setting, a name, a flag or a file is wrong; the message says which and what would be right.

  Raised where configs, names, flags and files are read. Commands print the message alone, without a traceback. Every
  other error is a bug, in this package or in a loss that someone is writing, and keeps its traceback.
  """
