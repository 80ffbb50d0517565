"""WGAN with gradient penalty, dense networks on eight Gaussians. Gulrajani et al. 2017, algorithm 1.

    python -m experiments.run --config=wgan_gp
    python -m experiments.sweep --config=wgan_gp --seeds=4 --grid="game.penalty_weight=0.1,1,10"

10,000 rounds take a minute on one CPU core. Four seeds: 8 of 8 modes on each, high quality 0.89 (0.85 to 0.91), KL of
the mode histogram 0.001. The rates are ten times the paper's, at which 5,000 rounds reached 3 modes.
"""

from ml_collections import ConfigDict

from experiments import base, wgan


def get_config() -> ConfigDict:
  config = wgan.get_config()
  config.game = {"name": "wgan_gp", "latent_dim": 16, "penalty_weight": 10.0, "critic_steps": 5}
  for player in ("critic", "generator"):
    config.optimizer[player] = base.adam(1e-3, b1=0.0, b2=0.9)
  config.train.rounds = 10_000
  return config
