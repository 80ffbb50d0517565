"""An f-GAN of any divergence on handwritten digits, with dense networks. Nowozin et al. 2016, section 4.2.

python -m experiments.run --config=experiments/fgan.py:pearson
"""

from ml_collections import ConfigDict

from experiments import base


def get_config(variant: str = "kl") -> ConfigDict:
  config = base.get_config()
  config.game = {
    "name": "fgan",
    "divergence": variant,
    "generator_step": "alternative",
    "parametrisation": "activation",
    "latent_dim": 64,
    "prior": "uniform",
  }
  config.nets.generator = {"name": "mlp_generator", "hidden": (256, 512), "batch_norm": True}
  config.nets.discriminator = {"name": "mlp_discriminator", "hidden": (240, 240), "activation": "elu"}
  config.optimizer.discriminator = base.adam(2e-4)
  config.optimizer.generator = base.adam(2e-4)
  config.train.rounds = 20_000
  return config
