"""UNIT: handwritten digits into coloured ones and back through a shared latent space, 32x32. Liu et al. 2017.

    python -m experiments.run --config=unit
    python -m experiments.run --config=unit:domain       # with a domain discriminator on the latents

Eleven minutes on one CPU core each, seeds 10 to 12: 92.6% (90.0 to 93.6%) of the labels survive plain to coloured and
78.4% (76.2 to 86.4%) coloured to plain.
"""

from ml_collections import ConfigDict

from experiments import cyclegan

VARIANTS = ("plain", "domain")


def get_config(variant: str = "plain") -> ConfigDict:
  config = autoencoders("unit")
  if variant == "domain":
    config.game.domain_weight = 0.1
    config.nets.domain_discriminator = {"name": "mlp.head", "hidden": (128,)}
  return config


def autoencoders(game: str) -> ConfigDict:
  """What UNIT and XGAN have in common: residual nets in two parts, and how long they train."""
  config = cyclegan.translator(game, "translators", "discriminators")
  config.nets.encoder_first = {"name": "translation.encoder", "width": 16, "blocks": 2}
  config.nets.encoder_last = {"name": "translation.blocks", "blocks": 1}
  config.nets.generator_first = {"name": "translation.blocks", "blocks": 1}
  config.nets.generator_last = {"name": "translation.decoder", "width": 16, "blocks": 2, "upsampling": "resize"}
  config.nets.discriminator = cyclegan.PATCHES
  config.train.rounds = 1_000
  return config
