"""CycleGAN: handwritten digits into coloured ones and back, without pairs. Zhu et al. 2017.

    python -m experiments.run --config=cyclegan

cyclegan.py:unet has pix2pix's generators in place of residual ones. cyclegan.py:folder is for images of one's own, in
folders trainA and trainB, as the paper augments them: --config.data.name=folder:DIR. cyclegan.py:paper is the same with
the paper's networks, rates and sizes, for a GPU: 256x256 crops of 286x286 in batches of 1. Its 200 epochs, the rate
falling to 0 over the second half, are 266,800 rounds of horse2zebra, whose larger domain has 1,334 images; of other
data give --config.train.rounds=$((200 * IMAGES)).

The cycle weight is a schedule of the round, here one that falls; for one that begins low and rises, or one that stays,
give --config.game.cycle_weight.init_value and .end_value.

What G makes of digits is changed into its negatives before F takes it back (`augment_y`), except in :folder and :paper.

The 4,500 rounds of cyclegan.py:resnet take 19 minutes on one CPU core. On seeds 10 to 12 93.0% (92.8 to 95.0%) of
labels survive X to Y and 91.6% (88.2 to 92.2%) Y to X. cyclegan.py:unet was not measured with its settings.
docs/codes_and_translations.md has the pictures, and what was tried for Y to X.
"""

from typing import Any

from ml_collections import ConfigDict

from experiments import base

TRANSLATORS = {
  "resnet": {"name": "translation.resnet", "width": 16, "blocks": 3},
  "unet": {"name": "translation.unet", "width": 32},
}
PATCHES = {"name": "translation.patches", "width": 32, "layers": 2}
VARIANTS = (*TRANSLATORS, "folder", "paper")


def translator(game: str, generators: str, discriminators: str, domains: int = 2) -> ConfigDict:
  """Data, losses of scores, rates and lengths of games that translate digits; nets are left to fill in.

  Args:
    game: its name.
    generators: the player who translates.
    discriminators: the one against it.
    domains: of which two play in each round.
  """
  config = base.get_config()
  config.game = {"name": game, "loss": {"name": "adversarial.least_squares", "scale": 1.0}}
  rounds = config.train.get_ref("rounds") * 2 // domains
  schedule = {"name": "optim.constant_then_linear", "rounds": rounds, "hold": 0.5}
  config.optimizer[generators] = base.adam(1e-3) | {"schedule": schedule}
  config.optimizer[discriminators] = base.adam(4e-4) | {"schedule": schedule}
  config.data = {"name": "mnist2colour", "batch_size": 16, "resolution": 32}
  config.train.rounds = 2_500
  config.train.chunk = 50
  config.train.ema_decay = 0.99
  config.eval.every = 500
  config.checkpoint.every = 500
  config.eval.evaluators = ("translation",)
  return config


def falling(config: ConfigDict) -> dict[str, Any]:
  """A cycle weight from 10 to 2: a digit holds no photograph, so less and less of one is asked back from it."""
  name = "optax.linear_schedule"
  return {"name": name, "init_value": 10.0, "end_value": 2.0, "transition_steps": config.train.get_ref("rounds")}


def get_config(variant: str = "resnet") -> ConfigDict:
  """The experiment with one of `TRANSLATORS` as both generators, or on a folder, also as the paper has it."""
  config = translator("cyclegan", "generators", "discriminators")
  config.game.update({"identity_weight": 0.5, "pool_size": 50})
  config.game.cycle_weight = falling(config) if variant in TRANSLATORS else 10.0
  if variant in TRANSLATORS:
    # G paints few of the colourings that Y has; F has to find the digit in all of them.
    config.game.augment_y = {"name": "augment.negative"}
    config.data.batch_size = 8
    config.train.rounds = 4_500
  config.eval.evaluators = ("translation", "steganography")
  for role in ("x_to_y", "y_to_x"):
    config.nets[role] = TRANSLATORS.get(variant, TRANSLATORS["resnet"])
  for role in ("discriminator_x", "discriminator_y"):
    config.nets[role] = PATCHES
  if variant in ("folder", "paper"):
    config.data = {"name": "folder:.", "batch_size": 4, "resolution": 64, "resize": 72, "flip": True, "memory": 4.0}
  if variant == "paper":
    config.data.update({"batch_size": 1, "resolution": 256, "resize": 286})
    for role in ("x_to_y", "y_to_x"):
      config.nets[role].update({"width": 64, "blocks": 9})
    for role in ("discriminator_x", "discriminator_y"):
      config.nets[role].update({"width": 64, "layers": 3})
    for player in ("generators", "discriminators"):
      config.optimizer[player].learning_rate = 2e-4
    config.train.rounds = 200 * 1_334
    config.eval.every = config.checkpoint.every = 5_000
  return config
