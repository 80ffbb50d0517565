"""WGAN with gradient penalty, dense networks on eight Gaussians. Gulrajani et al. 2017, algorithm 1.

    python -m experiments.run --config=experiments/wgan_gp.py
    python -m experiments.sweep --config=experiments/wgan_gp.py --seeds=4 --grid="game.penalty_weight=0.1,1,10"
"""

from ml_collections import ConfigDict

from experiments import base, wgan


def get_config() -> ConfigDict:
  config = wgan.get_config()
  config.game = {"name": "wgan_gp", "latent_dim": 16, "penalty_weight": 10.0, "critic_steps": 5}
  for player in ("critic", "generator"):
    config.optimizer[player] = base.adam(1e-4, b1=0.0, b2=0.9)
  return config
