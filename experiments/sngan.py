"""SN-GAN on handwritten digits, 32x32: residual networks and spectral norm. Miyato et al. 2018.

    python -m experiments.run --config=sngan

Seven and a half minutes on one CPU core each, seeds 10 to 12: Fréchet distance 12.5 (9.5 to 15.3; real digits 7.4),
class entropy 2.297 (2.295 to 2.300) of 2.303, precision 0.92. One digit in ten is broken or has a stroke too much. The
rates are two and five times the paper's 2e-4. In batches of 64 as many images gave more than twice the distance:
docs/baselines.md.
"""

from ml_collections import ConfigDict

from experiments import base


def get_config() -> ConfigDict:
  config = base.get_config()
  config.game = {"name": "gan", "loss": {"name": "adversarial.hinge"}, "latent_dim": 128}
  config.nets.generator = {"name": "resnet.generator", "width": 16, "widest": 128}
  config.nets.discriminator = {"name": "resnet.discriminator", "width": 16, "widest": 128}
  config.optimizer = {
    "discriminator": base.adam(4e-4, b1=0.0, b2=0.9),
    "generator": base.adam(1e-3, b1=0.0, b2=0.9),
  }
  config.data.batch_size = 16
  config.data.resolution = 32
  config.train.rounds = 14_000
  config.train.chunk = 50
  config.train.ema_decay = 0.995
  config.eval.every = 500
  config.checkpoint.every = 500
  config.eval.evaluators = ("samples", "images")
  return config
