"""Says how good a run is: python -m experiments.evaluate --workdir=runs/fgan_kl [--checkpoint=best] [--weights=raw]
Or pictures from elsewhere: python -m experiments.evaluate --images=DIR --reference=DIR [--extractor=efficientnet]

It prints a table, and writes it with the protocol of each number as JSON.
"""

import json
from pathlib import Path

from absl import flags

from experiments.lab import cli, judge
from gan_jax.errors import ConfigError

WORKDIR = flags.DEFINE_string("workdir", None, "a run that experiments.run has left")
CHECKPOINT = flags.DEFINE_string("checkpoint", "newest", "newest, best (where the run has eval.best), or a round")
WEIGHTS = flags.DEFINE_enum("weights", "averaged", ["averaged", "raw"], "of the generator")
IMAGES = flags.DEFINE_string("images", None, "a folder of generated images, in place of --workdir")
REFERENCE = flags.DEFINE_string("reference", None, "a folder of real images to compare them with")
TRAIN = flags.DEFINE_string("train", None, "a folder of the images that their generator was trained on, if known")
N = flags.DEFINE_integer("n", 0, "samples; 0: as many as are held out, at most 10,000; of a folder all")
EXTRACTOR = flags.DEFINE_string("extractor", "", "classifier, discriminator, efficientnet or inception; else what fits")
INCEPTION = flags.DEFINE_string("inception", "", "the file of InceptionV3's weights")
TENSORFLOW = flags.DEFINE_bool("tensorflow", False, "resize for InceptionV3 as the first FID did")
RESOLUTION = flags.DEFINE_integer("resolution", None, "side in pixels that --images and the others are brought to")
OUT = flags.DEFINE_string("out", None, "the JSON file; if not given evaluation.json, of a run WORKDIR/evaluated.json")


def main() -> None:
  settings = {"n": N.value, "extractor": EXTRACTOR.value, "weights": INCEPTION.value, "tensorflow": TENSORFLOW.value}
  if INCEPTION.value:
    settings["extractor"] = settings["extractor"] or "inception"
  if (INCEPTION.value or TENSORFLOW.value) and settings["extractor"] != "inception":
    raise ConfigError("--inception and --tensorflow are for --extractor=inception")
  of_folders = [flag.name for flag in (IMAGES, REFERENCE, TRAIN, RESOLUTION) if flag.value is not None]
  of_a_run = [flag.name for flag in (WORKDIR, CHECKPOINT, WEIGHTS) if flag.present]
  if of_folders and of_a_run:
    raise ConfigError(f"--{of_a_run[0]} is for a run and --{of_folders[0]} for folders of pictures; give one kind")
  if N.value < 0:
    raise ConfigError(f"--n is {N.value}; it has to be at least 0")
  if WORKDIR.value is not None:
    found = judge.of_run(Path(WORKDIR.value), CHECKPOINT.value, WEIGHTS.value == "raw", settings)
    out = Path(OUT.value or Path(WORKDIR.value) / "evaluated.json")
  else:
    found = judge.of_folders(IMAGES.value, REFERENCE.value, TRAIN.value, RESOLUTION.value, settings)
    out = Path(OUT.value or "evaluation.json")
  print(judge.table(found))
  out.parent.mkdir(parents=True, exist_ok=True)
  out.write_text(json.dumps(found, indent=2))
  print(f"with the protocol: {out}")


if __name__ == "__main__":
  cli.start(main)
