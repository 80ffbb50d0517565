"""WGAN with weight clipping, dense networks on eight Gaussians. Arjovsky et al. 2017.

    python -m experiments.run --config=wgan
    python -m experiments.run --config=wgan:paper     # their clip and rates, which are for images and far more rounds

Clipping: on seeds 20 to 24, three minutes each on one CPU core, 8 of 8 modes are covered on every seed, 8 (7 to 8) have
half their share, high quality is 0.87 (0.81 to 0.92), and the KL of the mode histogram 0.003 (0.001 to 0.026). After
half of the rounds, on seeds 10 to 14: 7 (3 to 8) with half their share, high quality 0.69 (0.44 to 0.73).
The penalty (`wgan_gp`), 10,000 rounds: 8 of 8 covered, high quality 0.89 (0.85 to 0.91), KL 0.001.
The paper's numbers after 5,000 rounds, seed 0: 6 covered, high quality 0.4%, as of uniform noise (metrics/modes.py).
"""

from ml_collections import ConfigDict

from experiments import base

VARIANTS = {  # clip, learning rate, rounds
  "ring": (0.1, 5e-4, 20_000),
  "paper": (0.01, 5e-5, 5_000),
}


def get_config(variant: str = "ring") -> ConfigDict:
  clip, rate, rounds = VARIANTS[variant]
  config = base.get_config()
  config.threads = 1
  config.game = {"name": "wgan", "latent_dim": 16, "clip": clip, "critic_steps": 5}
  config.nets.generator = {"name": "mlp.generator", "hidden": (128, 128, 128)}
  config.nets.critic = {"name": "mlp.discriminator", "hidden": (128, 128, 128)}
  config.train.rounds = rounds
  for player in ("critic", "generator"):
    config.optimizer[player] = {"name": "optax.rmsprop", "learning_rate": rate}
    if variant == "ring":
      schedule = {"name": "optim.constant_then_exponential", "rounds": config.train.get_ref("rounds")}
      config.optimizer[player].schedule = schedule
  config.data.name = "ring8"
  config.data.batch_size = 256
  config.eval.evaluators = ("samples", "modes")
  return config
