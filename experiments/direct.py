"""Direct transformation: handwritten digits into coloured ones by one generator and one discriminator, 32x32.

    python -m experiments.run --config=direct              # a shallow generator, whose shape keeps the digit
    python -m experiments.run --config=direct:deep         # a U-Net, which need not keep it
    python -m experiments.run --config=direct:consistent   # the U-Net, kept to what a trained network sees

The network of :consistent learns the digits' labels in the first stage of the run, and is left as it is then: the
f-constancy of Taigman et al. 2017.

Two to five minutes on one CPU core each, seeds 10 to 12: 74.2% (70.4 to 75.8%) of the labels survive, with :deep 12.2%
(10.2 to 17.2%), with :consistent 83.0% (80.6 to 84.8%). docs/codes_and_translations.md has the losses one by one.
"""

from ml_collections import ConfigDict

from experiments import base, cyclegan

VARIANTS = ("shallow", "deep", "consistent")


def get_config(variant: str = "shallow") -> ConfigDict:
  config = cyclegan.translator("direct", "generator", "discriminator")
  config.nets.generator = {"name": "translation.resnet", "width": 16, "blocks": 1, "upsampling": "resize"}
  if variant != "shallow":
    config.nets.generator = {"name": "translation.unet", "width": 32}
  config.nets.discriminator = cyclegan.PATCHES
  config.train.rounds = 3_000
  if variant == "consistent":
    config.game.update({"consistency_weight": 1.0, "identity_weight": 1.0})
    config.nets.features = {"name": "dcgan.trunk", "width": 16, "features": 128}
    config.train.stages = trained_first(config, "features")
  return config


def trained_first(config: ConfigDict, net: str) -> tuple[dict, dict]:
  """A tenth of the rounds, in which that net learns the digits' labels, and the game."""
  first = {
    "rounds": config.train.get_ref("rounds") // 10,
    "game.pretraining": True,
    "nets": {**config.nets, "classifier": {"name": "mlp.head", "hidden": ()}},
    "optimizer": {net: base.adam(1e-3)},
  }
  return first, {}
