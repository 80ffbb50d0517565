"""MGAN on handwritten digits, 32x32: four generators that a classifier tells apart. Hoang et al. 2018.

python -m experiments.run --config=mgan
"""

from ml_collections import ConfigDict

from experiments import dcgan


def get_config() -> ConfigDict:
  config = dcgan.get_config()
  config.game = {"name": "mgan", "loss": {"name": "adversarial.non_saturating"}, "latent_dim": 100, "members": 4}
  config.eval.evaluators = ("samples", "images")  # not "latents": which member decodes one is drawn anew
  config.game.diversity_weight = 0.1
  config.nets.trunk = {"name": "dcgan.trunk", "width": 32, "features": 128}
  config.nets.discriminator = {"name": "mlp.discriminator", "hidden": ()}
  config.nets.classifier = {"name": "mlp.head", "hidden": ()}
  return config
