"""Least-squares GAN with DCGAN networks on handwritten digits, 32x32. Mao et al. 2017, with targets 0, 1 and 1.

    python -m experiments.run --config=lsgan

Seeds 10 to 12, ten minutes on one CPU core each: Fréchet distance of a classifier's features 14.8 (12.6 to 15.0; real
data 7.4; dcgan 11.3), class entropy 2.292 (2.288 to 2.299) of 2.303. One digit in five has a stroke too many or too
few.
"""

from ml_collections import ConfigDict

from experiments import dcgan


def get_config() -> ConfigDict:
  config = dcgan.get_config()
  config.game.loss = {"name": "adversarial.least_squares", "a": 0.0, "b": 1.0, "c": 1.0}
  return config
