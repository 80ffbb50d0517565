"""Trains an experiment: python -m experiments.run --config=EXPERIMENT[:VARIANT] [--config.SETTING=VALUE ...]
[--workdir=DIR]

The workdir gets report.html, the page of the run; config.json, environment.json, metrics.jsonl, warnings.jsonl,
evaluation.json, samples/ and checkpoints/. Run the same command again to resume where the last checkpoint left off; ask
for more rounds with --config.train.rounds (where schedules span the run, the message says what to add).
"""

from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from experiments.lab import cli, configs, loop

WORKDIR = flags.DEFINE_string("workdir", None, "where the run is kept; if not given runs/NAME[_VARIANT]")


def main(config: ConfigDict, given: str) -> None:
  loop.limit_threads(config)
  loop.run(config, Path(WORKDIR.value or Path("runs") / configs.name_of(given)), given)


if __name__ == "__main__":
  cli.start(main, takes_config=True)
