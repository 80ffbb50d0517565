"""Least-squares GAN with DCGAN networks on handwritten digits, 32x32. Mao et al. 2017, with targets 0, 1 and 1.

python -m experiments.run --config=lsgan
"""

from ml_collections import ConfigDict

from experiments import dcgan


def get_config() -> ConfigDict:
  config = dcgan.get_config()
  config.game.loss = {"name": "adversarial.least_squares", "a": 0.0, "b": 1.0, "c": 1.0}
  return config
