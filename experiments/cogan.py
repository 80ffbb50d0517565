"""CoGAN: handwritten digits, and digits on photographs, from one latent, without pairs, 32x32. Liu and Tuzel 2016.

    python -m experiments.run --config=cogan
    python -m experiments.run --config=cogan:outlines    # digits and their outlines

Classifiers of the two domains agree on 66.0% (65.1 to 68.1%) of the pairs on seeds 10 to 12, 13 minutes on one CPU core
each; most of the others are malformed digits. docs/codes_and_translations.md says what was tried to make it more.
"""

from ml_collections import ConfigDict

from experiments import base

VARIANTS = {"colours": ("mnist2colour", {}), "outlines": ("mnist3", {"domains": ("x", "z")})}


def get_config(variant: str = "colours") -> ConfigDict:
  data, of_data = VARIANTS[variant]
  config = base.get_config()
  config.game = {"name": "cogan", "loss": {"name": "adversarial.non_saturating"}, "latent_dim": 100}
  # As in the paper, all but the last layer of the generators and all but the first of the discriminators are shared.
  config.nets.generator_first = {"name": "parts.first_doublings", "width": 128, "doublings": 2}
  config.nets.generator_last = {"name": "parts.last_doublings"}
  config.nets.discriminator_first = {"name": "parts.first_halvings", "width": 32, "halvings": 1}
  config.nets.discriminator_last = {"name": "parts.last_halvings"}
  schedule = {"name": "optim.constant_then_linear", "rounds": config.train.get_ref("rounds"), "hold": 0.5}
  for player, rate in (("discriminators", 2e-4), ("generators", 1e-3)):
    config.optimizer[player] = base.adam(rate) | {"schedule": schedule}
  config.data = {"name": data, "batch_size": 64, "resolution": 32, **of_data}
  config.train.rounds = 5_000
  config.train.chunk = 50
  config.train.ema_decay = 0.995
  config.eval.every = 500
  config.checkpoint.every = 500
  config.eval.evaluators = ("counterparts",)
  return config
