"""R3GAN on handwritten digits, 32x32: relativistic pairing, R1 and R2, and no norm. Huang et al. 2024.

    python -m experiments.run --config=r3gan
    python -m experiments.run --config=r3gan --config.game.augment.name=augment.differentiable

Seed 0 alone, 1,600 rounds, 32 minutes on one core of a busy machine: Frechet distance of a classifier's features 90.6
(265 after 400 rounds, 196 after 800; real data 6.9), class entropy 2.20 of 2.303. It is still falling; digits can be
read, but strokes bulge or are outlines.

The networks are a CPU's: 8 to 64 channels, one block at each size, and groups of 32 channels where the paper has 16:
fewer convolutions to compile, for more arithmetic. Rates and gamma have not been tuned.
The paper's for 32x32 are --config.nets.PLAYER.width=768 with widest=768, blocks=2 and group=16 for both.
"""

from ml_collections import ConfigDict

from experiments import base


def get_config() -> ConfigDict:
  config = base.get_config()
  config.train.rounds = 1_600
  rounds = config.train.get_ref("rounds")
  gamma = {"name": "optim.geometric", "start": 1.0, "end": 0.1, "rounds": rounds // 2}
  config.game = {"name": "r3gan", "latent_dim": 64, "gamma": gamma}
  for player in ("generator", "discriminator"):
    config.nets[player] = {"name": f"r3gan.{player}", "width": 8, "widest": 64, "group": 32}
    config.optimizer[player] = base.adam(5e-4, b1=0.0, b2=0.99)
  config.data.resolution = 32
  config.train.chunk = 50
  config.eval.every = 400
  config.checkpoint.every = 400
  config.eval.evaluators = ("samples", "images")
  return config
