"""The DiracGAN, two numbers that chase each other, and what makes them settle. Mescheder et al. 2018.

    python -m experiments.run --config=dirac:nonsaturating
    python -m experiments.run --config=dirac:r1

Variants: minimax, nonsaturating, wgan, wgan_gp, r1, r1_r2, noise, optimistic, extra_gradient. Both players take
gradient steps of 0.1 at once, from (theta, psi) = (1, 1); the equilibrium is at 0, and "radius" is the distance to it.
"""

from ml_collections import ConfigDict

from experiments import base

VARIANTS = {
  "minimax": {"loss": {"name": "adversarial.minimax"}},
  "nonsaturating": {"loss": {"name": "adversarial.non_saturating"}},
  "wgan": {"loss": {"name": "adversarial.wasserstein"}},
  "wgan_gp": {
    "loss": {"name": "adversarial.wasserstein"},
    "penalty": {"name": "penalties.gradient_penalty"},
    "penalty_weight": 0.25,
  },
  "r1": {"loss": {"name": "adversarial.non_saturating"}, "penalty": {"name": "penalties.r1"}, "penalty_weight": 0.3},
  "r1_r2": {
    "loss": {"name": "adversarial.relativistic"},
    "penalty": {"name": "penalties.r1_and_r2"},
    "penalty_weight": 0.3,
  },
  "noise": {"loss": {"name": "adversarial.non_saturating"}, "instance_noise": 0.7},
  "optimistic": {"loss": {"name": "adversarial.minimax"}},
  "extra_gradient": {"loss": {"name": "adversarial.minimax"}, "extra_gradient": True},
}


def get_config(variant: str = "nonsaturating") -> ConfigDict:
  config = base.get_config()
  config.threads = 1
  config.game = {"name": "gan", "latent_dim": 1} | VARIANTS[variant]
  if variant != "extra_gradient":
    config.game.simultaneous = True
  config.nets.generator = {"name": "linear.point", "start": 1.0}
  config.nets.discriminator = {"name": "linear.slope", "start": 1.0}
  descent = "optax.optimistic_gradient_descent" if variant == "optimistic" else "optax.sgd"
  for player in ("discriminator", "generator"):
    config.optimizer[player] = {"name": descent, "learning_rate": 0.1}
  config.data.name = "point"
  config.data.batch_size = 64
  config.train.rounds = 1_000
  config.train.chunk = config.log.every = config.eval.every = 20
  config.eval.evaluators = ("samples", "numbers")
  config.eval.samples = {"n": 1}
  return config
