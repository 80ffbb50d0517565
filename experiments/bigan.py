"""BiGAN with dense networks on handwritten digits: an encoder beside the generator. Donahue et al. 2017.

    python -m experiments.run --config=bigan

Seeds 10 to 12, 10,000 rounds: Frechet distance of a classifier's features 116 (99 to 117; real data 4.9), class entropy
2.23 (2.22 to 2.26) of 2.303. Two digits in three can be read; grey specks lie around the strokes.
"""

from ml_collections import ConfigDict

from experiments import base


def get_config() -> ConfigDict:
  config = base.get_config()
  config.game = {"name": "bigan", "loss": {"name": "adversarial.minimax"}, "latent_dim": 50}
  config.game.prior = {"name": "priors.uniform"}
  config.nets.generator = {"name": "mlp.generator", "hidden": (512, 512), "batch_norm": True}
  config.nets.encoder = {"name": "mlp.head", "hidden": (512, 512)}
  config.nets.discriminator = {"name": "mlp.discriminator", "hidden": (512, 512)}
  for player in ("discriminator", "generator"):
    config.optimizer[player] = base.adam(2e-4)
  config.train.rounds = 10_000
  config.eval.evaluators = ("samples", "reconstructions", "images")
  return config
