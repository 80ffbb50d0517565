"""Trains an experiment: python -m experiments.run --config=EXPERIMENT[:VARIANT] [--config.SETTING=VALUE ...]
[--workdir=DIR]
[--from=WORKDIR[@ROUND]]

The workdir gets report.html, the page of the run; config.json, environment.json, metrics.jsonl, warnings.jsonl,
evaluation.json, samples/ and checkpoints/. Run the same command again to resume where the last checkpoint left off; ask
for more rounds with --config.train.rounds (where schedules span the run, the message says what to add). A run whose
settings are to change on the way, after a loss stopped being finite for example, goes on as a copy: --from=runs/a@4000
begins a new workdir with the state that runs/a had then, by default its newest one, and what it had measured.
"""

from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from experiments.lab import cli, configs, loop

WORKDIR = flags.DEFINE_string("workdir", None, "where the run is kept; if not given runs/NAME[_VARIANT]")
FROM = flags.DEFINE_string("from", None, "WORKDIR or WORKDIR@ROUND: another run, whose state a new workdir begins with")


def main(config: ConfigDict, given: str) -> None:
  loop.limit_threads(config)
  loop.run(config, Path(WORKDIR.value or Path("runs") / configs.name_of(given)), given, FROM.value)


if __name__ == "__main__":
  cli.start(main, takes_config=True)
