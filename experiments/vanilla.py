"""The first GAN, with dense networks on handwritten digits. Goodfellow et al. 2014.

    python -m experiments.run --config=vanilla                  # minimax: the generator saturates
    python -m experiments.run --config=vanilla:nonsaturating

Two CPU cores: 20,000 rounds in about a minute.
"""

from ml_collections import ConfigDict

from experiments import base

VARIANTS = {"minimax": "adversarial.minimax", "nonsaturating": "adversarial.non_saturating"}


def get_config(variant: str = "minimax") -> ConfigDict:
  config = base.get_config()
  config.game = {"name": "gan", "loss": {"name": VARIANTS[variant]}, "latent_dim": 64}
  config.nets.generator = {"name": "mlp.generator", "hidden": (256, 512), "batch_norm": True}
  config.nets.discriminator = {"name": "mlp.discriminator", "hidden": (512, 256)}
  config.optimizer.discriminator = base.adam(2e-4)
  config.optimizer.generator = base.adam(2e-4)
  config.train.rounds = 20_000
  config.eval.evaluators = ("samples", "images")
  return config
