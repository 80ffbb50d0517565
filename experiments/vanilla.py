"""The first GAN, with dense networks on handwritten digits. Goodfellow et al. 2014.

    python -m experiments.run --config=experiments/vanilla.py                  # minimax: the generator saturates
    python -m experiments.run --config=experiments/vanilla.py:nonsaturating

Two CPU cores: 20,000 rounds in about a minute.
"""

from ml_collections import ConfigDict

from experiments import base


def get_config(variant: str = "minimax") -> ConfigDict:
  losses = {"minimax": "minimax", "nonsaturating": "non_saturating"}
  if variant not in losses:
    raise ValueError(f"vanilla.py has no variant {variant!r}. Accepted: {', '.join(losses)}.")
  config = base.get_config()
  config.game = {"name": "gan", "loss": {"name": losses[variant]}, "latent_dim": 64, "prior": "normal"}
  config.nets.generator = {"name": "mlp_generator", "hidden": (256, 512), "batch_norm": True}
  config.nets.discriminator = {"name": "mlp_discriminator", "hidden": (512, 256)}
  config.optimizer.discriminator = base.adam(2e-4)
  config.optimizer.generator = base.adam(2e-4)
  config.train.rounds = 20_000
  return config
