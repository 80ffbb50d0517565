"""CycleGAN: handwritten digits into coloured ones and back, without pairs. Zhu et al. 2017.

    python -m experiments.run --config=cyclegan

cyclegan.py:unet has pix2pix's generators in place of residual ones. cyclegan.py:folder is for images of one's own, in
folders trainA and trainB, as the paper augments them: --config.data.name=folder:DIR.

2,500 rounds take 10 to 15 minutes on one CPU core. On seeds 0, 1 and 2 94, 93 and 94% of labels survive X to Y, 86, 87
and 78% Y to X; the cycle's L1 error is 0.035 from X and 0.19 from Y. docs/codes_and_translations.md has the pictures.
"""

from ml_collections import ConfigDict

from experiments import base

TRANSLATORS = {
  "resnet": {"name": "translation.resnet", "width": 16, "blocks": 3},
  "unet": {"name": "translation.unet", "width": 32},
}
VARIANTS = (*TRANSLATORS, "folder")


def get_config(variant: str = "resnet") -> ConfigDict:
  """The experiment with one of `TRANSLATORS` as both generators, or on a folder."""
  config = base.get_config()
  config.game = {
    "name": "cyclegan",
    "loss": {"name": "adversarial.least_squares", "scale": 1.0},
    "cycle_weight": 10.0,
    "identity_weight": 0.5,
    "pool_size": 50,
  }
  for role in ("x_to_y", "y_to_x"):
    config.nets[role] = TRANSLATORS.get(variant, TRANSLATORS["resnet"])
  for role in ("discriminator_x", "discriminator_y"):
    config.nets[role] = {"name": "translation.patches", "width": 32, "layers": 2}
  schedule = {"name": "optim.constant_then_linear", "rounds": config.train.get_ref("rounds"), "hold": 0.5}
  config.optimizer.generators = base.adam(1e-3) | {"schedule": schedule}
  config.optimizer.discriminators = base.adam(4e-4) | {"schedule": schedule}
  config.data = {"name": "mnist2colour", "batch_size": 16, "resolution": 32}
  if variant == "folder":
    config.data = {"name": "folder:.", "batch_size": 4, "resolution": 64, "resize": 72, "flip": True, "memory": 4.0}
  config.train.rounds = 2_500
  config.eval.every = 500
  config.eval.evaluators = ("translation",)
  return config
