"""Fills the table of results from sweeps: python -m experiments.results --sweeps=runs/results --out=docs/results.md

Each sweep under that folder, of one experiment over several seeds, becomes a line: medians and ranges, what real data
gets, seeds, rounds, duration and machine. The rest of the page stays as it is, and so do lines of other experiments.
"""

from pathlib import Path

from absl import flags

from experiments.lab import cli, results
from gan_jax.errors import ConfigError

SWEEPS = flags.DEFINE_string("sweeps", "runs", "a folder that holds sweeps' workdirs")
OUT = flags.DEFINE_string("out", None, "the page to fill; if not given the table is printed")


def main() -> None:
  found = results.read(Path(SWEEPS.value))
  if OUT.value is None:
    print(results.table(found))
    return
  page = Path(OUT.value)
  if not page.is_file():
    raise ConfigError(f"there is no page {page}; it needs the lines {results.BEGIN} and {results.END}")
  page.write_text(results.filled(page.read_text(), found))
  print(f"filled: {page}")


if __name__ == "__main__":
  cli.start(main)
