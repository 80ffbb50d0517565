"""pix2pix: handwritten digits from their outlines, 32x32. Isola et al. 2017.

    python -m experiments.run --config=pix2pix

pix2pix.py:folder is for aligned pairs of one's own, side by side in one file each, in folders train and test (or val),
with the paper's networks and its jitter, and as many rounds as it takes for its 400 facades:

    --config.data.name=folder:DIR --config.data.paired=BtoA

Seeds 10 to 12, two and a half minutes on one core each: 97.3% (97.3 to 97.4%) of digits have the label of the true one
by a classifier whose own accuracy is 97.9%; the L1 error is 0.020, structural similarity 0.961. Broad strokes of one
seed are left grey inside.
"""

from ml_collections import ConfigDict

from experiments import base

VARIANTS = ("outlines", "folder")


def get_config(variant: str = "outlines") -> ConfigDict:
  """The experiment on outlines of digits, or on a folder."""
  config = base.get_config()
  config.game = {"name": "conditional", "loss": {"name": "adversarial.non_saturating"}, "condition": "image"}
  config.game.update({"latent_dim": 0, "mismatch_weight": None, "l1_weight": 100.0})
  config.nets.generator = {"name": "translation.unet", "width": 32, "dropout": 0.5}
  config.nets.discriminator = {"name": "translation.patches", "width": 16, "layers": 1}
  config.optimizer.discriminator = base.adam(2e-4)
  config.optimizer.generator = base.adam(1e-3)
  config.data = {"name": "outlines", "batch_size": 16, "resolution": 32}
  if variant == "folder":
    config.nets.generator.width = config.nets.discriminator.width = 64
    config.nets.discriminator.layers = 3
    config.optimizer.generator.learning_rate = 2e-4
    config.data = {"name": "folder:.", "batch_size": 1, "resolution": 256, "resize": 286, "flip": True}
    config.data.paired = "AtoB"
  config.train.rounds = 1_500 if variant == "outlines" else 80_000
  config.train.ema_decay = 0.99
  config.eval.every = 500
  config.eval.evaluators = ("translation",)
  return config
