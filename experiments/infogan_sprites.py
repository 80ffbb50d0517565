"""InfoGAN on drawn shapes whose factors are known: does a code find one of them? Chen et al. 2016.

    python -m experiments.run --config=experiments/infogan_sprites.py
"""

from ml_collections import ConfigDict

from experiments import infogan


def get_config() -> ConfigDict:
  config = infogan.get_config()
  config.game.categorical = ()
  config.game.continuous = 3
  config.game.latent_dim = 16
  config.game.continuous_weight = 0.5
  config.data = {
    "name": "sprites",
    "batch_size": 64,
    "resolution": 32,
    "kinds": ("square",),
    "x": (-0.5, 0.5),
    "y": (-0.5, 0.5),
    "scale": (0.5, 1.0),
    "angle": (0.0, 0.0),
  }
  config.train.rounds = 8_000
  return config
