"""A conditional DCGAN: handwritten digits by their label, 32x32. Mirza and Osindero 2014.

    python -m experiments.run --config=cgan

--config.nets.discriminator.name=conditional.two_part and conditional.plain are the other two forms.

Seeds 10 to 12, five minutes on one core each: a classifier finds the digit that was asked for in 99.8% (99.7 to 99.9%)
of samples, its accuracy on real ones being 97.9%; class entropy 2.299 of 2.303, Fréchet distance of its features 14.0
(12.2 to 18.6; real data 7.4).
"""

from ml_collections import ConfigDict

from experiments import base


def get_config() -> ConfigDict:
  config = base.get_config()
  config.game = {"name": "conditional", "loss": {"name": "adversarial.non_saturating"}, "condition": "label"}
  config.game.update({"latent_dim": 100, "mismatch_weight": 0.5, "prior": {"name": "priors.uniform"}})
  config.nets.generator = {"name": "dcgan.generator", "width": 32}
  config.nets.discriminator = {"name": "conditional.projection", "width": 32}
  config.optimizer.discriminator = base.adam(2e-4)
  config.optimizer.generator = base.adam(2e-4)
  config.data.resolution = 32
  config.train.rounds = 2_000
  config.train.chunk = 50
  config.eval.every = 500
  config.checkpoint.every = 500
  config.eval.evaluators = ("conditions", "images")
  return config
