"""XGAN: handwritten digits into coloured ones and back, keeping their embedding, 32x32. Royer et al. 2017.

    python -m experiments.run --config=xgan
    python -m experiments.run --config=xgan:teacher      # whose first stage trains a teacher on the digits' labels

Three minutes on one CPU core each, seeds 10 to 12: 85.0% (84.4 to 86.4%) of the labels survive coloured to plain, 78.0%
(71.4 to 85.0%) plain to coloured. Longer training trades one for the other: 1,000 rounds with a semantic weight of 1
gave 90 and 71%.
"""

from ml_collections import ConfigDict

from experiments.direct import trained_first
from experiments.unit import autoencoders

VARIANTS = ("plain", "teacher")


def get_config(variant: str = "plain") -> ConfigDict:
  config = autoencoders("xgan")
  config.game.update({"reconstruction_weight": 10.0, "semantic_weight": 5.0, "domain_weight": 0.1})
  config.train.rounds = 600
  config.nets.domain_discriminator = {"name": "mlp.head", "hidden": (128,)}
  if variant == "teacher":
    config.game.teacher_weight = 1.0
    config.nets.teacher = {"name": "translation.encoder", "width": 16, "blocks": 1}
    config.train.stages = trained_first(config, "teacher")
  return config
