"""Fills the table of results from sweeps: python -m experiments.results --sweeps=runs/results --out=docs/results.md
[--overview=README.md]

Each sweep under that folder, of one experiment over several seeds, becomes a line: medians and ranges, what real data
gets, seeds, rounds, duration and machine. The rest of the page stays as it is, and so do lines of other experiments.
With --overview the table of all experiments in another page is filled from --out and from the experiments' files, and
from the pictures NAME.png in the folder images/games beside --out.
"""

from pathlib import Path

from absl import flags

from experiments.lab import cli, results
from gan_jax.errors import ConfigError

SWEEPS = flags.DEFINE_string("sweeps", None, "a folder that holds sweeps' workdirs")
OUT = flags.DEFINE_string("out", None, "the page to fill; if not given the table is printed")
OVERVIEW = flags.DEFINE_string("overview", None, "a page with a table of all experiments, to fill from --out")


def main() -> None:
  if SWEEPS.value is None and OVERVIEW.value is None:
    raise ConfigError("which sweeps? For example --sweeps=runs/results")
  found = results.read(Path(SWEEPS.value)) if SWEEPS.value else {}
  if OUT.value is None:
    if OVERVIEW.value:
      raise ConfigError("--overview is filled from a page of results; give it as --out=docs/results.md")
    print(results.table(found))
    return
  page = _page(OUT.value)
  page.write_text(results.filled(page.read_text(), found))
  print(f"filled: {page}")
  if OVERVIEW.value:
    overview = _page(OVERVIEW.value)
    images = page.parent / "images" / "games"
    overview.write_text(results.overview(overview.read_text(), results.shown(page.read_text()), images))
    print(f"filled: {overview}")


def _page(given: str) -> Path:
  if not Path(given).is_file():
    raise ConfigError(f"there is no page {given}; it needs two lines, between which its table is filled")
  return Path(given)


if __name__ == "__main__":
  cli.start(main)
