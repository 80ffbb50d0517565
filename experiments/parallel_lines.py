"""Two parallel lines: the Jensen-Shannon divergence cannot tell near from far, W1 can. Arjovsky et al. 2017.

    python -m experiments.run --config=parallel_lines                    # WGAN-GP: theta goes to 0
    python -m experiments.run --config=parallel_lines:jensen_shannon     # the bound stays at 2 log 2

The data is (0, u), the generator (theta, z), with u and z uniform in [0, 1]; theta starts at 1, and W1 is |theta|. The
f-GAN's Jensen-Shannon divergence is twice the usual one, so its value is 2 log 2 = 1.386 at every distance but 0.
"""

from ml_collections import ConfigDict

from experiments import base

VARIANTS = ("wgan_gp", "jensen_shannon")


def get_config(variant: str = "wgan_gp") -> ConfigDict:
  config = base.get_config()
  config.threads = 1
  if variant == "wgan_gp":
    config.game = {"name": "wgan_gp", "penalty_weight": 10.0, "critic_steps": 5}
    critic = "critic"
  else:
    config.game = {
      "name": "fgan",
      "divergence": {"name": "divergences.jensen_shannon"},
      "discriminator_steps": 5,
    }
    critic = "discriminator"
  config.game.latent_dim = 1
  config.game.prior = {"name": "priors.uniform", "low": 0.0}
  config.nets.generator = {"name": "linear.line", "start": 1.0}
  config.nets[critic] = {"name": "mlp.discriminator", "hidden": (64, 64)}
  config.optimizer[critic] = base.adam(1e-3, b1=0.0, b2=0.9)
  config.optimizer.generator = {"name": "optax.sgd", "learning_rate": 2e-3}
  config.data.name = "parallel_lines"
  config.data.batch_size = 256
  config.train.rounds = 1_000
  config.train.chunk = config.log.every = config.eval.every = 20
  config.eval.evaluators = ("samples", "numbers")
  return config
