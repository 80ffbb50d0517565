"""Plays an experiment over seeds and settings, as one compiled program:

    python -m experiments.sweep --config=wgan_gp --seeds=16 --grid="game.penalty_weight=0.1,1,10"

Every member is the run that `experiments.run` would do with that seed and those settings. A sweep has no checkpoints
and no warnings; the workdir gets report.html, its page, config.json, members.csv (every member), sweep.csv (median and
range over seeds for each setting), sweep.png, evaluation.json, samples/ and, where eval.best names a number, best/, the
best member as a run of its own. On a CPU each core is a device and plays its share of the members;
--config.mesh.member=N takes N devices, JAX_NUM_CPU_DEVICES=N makes N of a CPU.
"""

from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from experiments.lab import cli, configs, members

WORKDIR = flags.DEFINE_string("workdir", None, "where the sweep is kept; if not given runs/sweep_NAME[_VARIANT]")
SEEDS = flags.DEFINE_integer("seeds", 8, "how many seeds, counted up from config.seed")
GRID = flags.DEFINE_multi_string("grid", [], "FIELD=VALUE,VALUE,...; given again, the product of all")


def main(config: ConfigDict, given: str) -> None:
  members.one_device_a_core(config)
  workdir = Path(WORKDIR.value or Path("runs") / f"sweep_{configs.name_of(given)}")
  members.sweep(config, members.parse_grid(GRID.value, config), SEEDS.value, workdir, given)


if __name__ == "__main__":
  cli.start(main, takes_config=True)
