"""SN-GAN on handwritten digits, 32x32: residual networks and spectral norm. Miyato et al. 2018.

python -m experiments.run --config=sngan
"""

from ml_collections import ConfigDict

from experiments import base


def get_config() -> ConfigDict:
  config = base.get_config()
  config.game = {"name": "gan", "loss": {"name": "adversarial.hinge"}, "latent_dim": 128}
  config.nets.generator = {"name": "resnet.generator", "width": 16, "widest": 128}
  config.nets.discriminator = {"name": "resnet.discriminator", "width": 16, "widest": 128}
  for player in ("discriminator", "generator"):
    config.optimizer[player] = base.adam(2e-4, b1=0.0, b2=0.9)
  config.data.resolution = 32
  config.train.rounds = 3_000
  config.train.chunk = 50
  config.eval.every = 500
  config.checkpoint.every = 500
  config.eval.evaluators = ("samples", "images")
  return config
