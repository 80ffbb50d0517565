"""Twenty-five Gaussians on a grid, the standard test of mode collapse: R3GAN with noise that anneals.

    python -m experiments.run --config=grid25
    python -m experiments.sweep --config=grid25 --seeds=8

A discriminator that sharpens too early loses modes, and one too blunt loses quality. So all that it sees carries
noise that falls from 1 to about the width of a mode, its penalties fall with the noise's variance, and its Fourier
features appear as the noise that hides them goes. Relativistic pairing with R1 and R2, Huang et al. 2024.

Two CPU cores, 8 seeds, 7.6 minutes: 25 of 25 modes on every seed, high quality 0.955 (0.947 to 0.962; the data has
0.989), KL of the mode histogram 0.008 (0.007 to 0.024). The averaged generator's modes have 0.83 of the data's spread,
the raw one's 0.95.
"""

from ml_collections import ConfigDict

from experiments import base


def get_config(noise: float = 0.02) -> ConfigDict:
  config = base.get_config()
  config.threads = 1
  config.train.rounds = 16_000
  rounds = config.train.get_ref("rounds")
  anneal = (0.88 * rounds.to_float()).to_int()
  config.game = {
    "name": "r3gan",
    "latent_dim": 2,
    "gamma": {"name": "optim.geometric", "start": 3.0, "end": 3.0 * noise**2, "rounds": anneal},
    "instance_noise": {"name": "optim.geometric", "start": 1.0, "end": noise, "rounds": anneal},
    "noise_conditional": True,
  }
  config.nets.generator = {"name": "mlp.generator", "hidden": (128, 128)}
  config.nets.discriminator = {"name": "mlp.discriminator", "hidden": (128, 128), "fourier": 32}
  schedule = {"name": "optim.constant_then_exponential", "rounds": rounds, "hold": 0.6, "end": 0.01}
  for player in ("discriminator", "generator"):
    config.optimizer[player] = base.adam(2e-3, b1=0.0, b2=0.99) | {"schedule": schedule}
  config.data.name = "grid25"
  config.data.batch_size = 256
  config.train.chunk = 500
  config.train.ema_decay = 0.995
  config.eval.every = 2_000
  config.eval.evaluators = ("samples", "modes")
  return config
