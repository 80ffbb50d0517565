"""R3GAN on handwritten digits, 32x32: relativistic pairing, R1 and R2. Huang et al. 2024.

    python -m experiments.run --config=r3gan               # on DCGAN's networks, D without norm: quick on a CPU
    python -m experiments.run --config=r3gan:stacked       # three digits as colour channels: 1,000 modes
    python -m experiments.run --config=r3gan:paper         # on the paper's networks, small
    python -m experiments.run --config=r3gan --config.game.augment.name=augment.differentiable

On DCGAN's networks, seeds 10 to 12, twelve minutes on one core each: Fréchet distance of a classifier's features 12.4
(11.6 to 12.5; real data 7.4), class entropy 2.29 of 2.303, precision 0.87, recall 0.96; learning rates that do not fall
gave 14.2 (8.4 to 15.3). One digit in six has a stroke that is broken or too much. At width 32, for 2,400 rounds in
seven minutes, it was 28.0; with augmentation it learns more slowly: docs/baselines.md.

The paper's networks for 32x32 are those of r3gan:paper with --config.nets.PLAYER.width=768, widest=768, blocks=2 and
group=16 for both players. Here they have 8 to 64 channels, one block at each size, and groups of 32 channels: fewer
convolutions to compile, for more arithmetic. A round of them takes three times as long as one on DCGAN's; after 1,600,
seed 0, at rates that do not fall, the Fréchet distance of a classifier's features was 90.6 (265 after 400 rounds, 196
after 800; real data 6.9), class entropy 2.20 of 2.303, strokes bulging or in outline.
"""

from ml_collections import ConfigDict

from experiments import base

SMALL = {
  "generator": {"name": "dcgan.generator", "width": 16},
  "discriminator": {"name": "dcgan.discriminator", "width": 16, "batch_norm": False},
}
VARIANTS = {
  "dcgan": SMALL,
  "stacked": SMALL,
  "paper": {
    "generator": {"name": "r3gan.generator", "width": 8, "widest": 64, "group": 32},
    "discriminator": {"name": "r3gan.discriminator", "width": 8, "widest": 64, "group": 32},
  },
}


def get_config(variant: str = "dcgan") -> ConfigDict:
  config = base.get_config()
  config.train.rounds = 1_600 if variant == "paper" else 12_000
  rounds = config.train.get_ref("rounds")
  gamma = {"name": "optim.geometric", "start": 1.0, "end": 0.1, "rounds": rounds // 2}
  config.game = {"name": "r3gan", "latent_dim": 64, "gamma": gamma}
  config.nets = VARIANTS[variant]
  schedule = {"name": "optim.constant_then_exponential", "rounds": rounds, "hold": 0.75, "end": 0.1}
  for player in ("generator", "discriminator"):
    config.optimizer[player] = base.adam(5e-4, b1=0.0, b2=0.99) | {"schedule": schedule}
  config.data.name = "stacked:mnist5k" if variant == "stacked" else "mnist5k"
  config.data.resolution = 32
  config.train.chunk = 50
  config.train.ema_decay = 0.998
  config.eval.every = 400 if variant == "paper" else 1_000
  config.checkpoint.every = config.eval.get_ref("every")
  config.eval.evaluators = ("samples", "stacked" if variant == "stacked" else "images")
  if variant == "stacked":
    config.eval.stacked = {"n": 26_000}
  return config
