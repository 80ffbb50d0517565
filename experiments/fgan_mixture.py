"""A Gaussian fitted to a mixture of two by any f-divergence. Nowozin et al. 2016, section 2.5.

    python -m experiments.run --config=fgan_mixture:kl
    python -m experiments.sweep --config=fgan_mixture:kl --seeds=8

The last line of metrics.jsonl holds mu, sigma and the bound that were reached, by quadrature, and the best there are.
The figures over 8 seeds stand in docs/choosing_a_divergence.md. For another mixture:
--config.data.weights=0.5,0.5 --config.data.means=-2.0,1.0 --config.data.scales=0.5,1.0
"""

from ml_collections import ConfigDict

from experiments import base, fgan

VARIANTS = fgan.VARIANTS
SEEKING = ("reverse_kl", "jeffreys")  # they weigh E_p[(q/p)^2], infinite where the generator's tail is heavier
POWERS = ("pearson", "neyman", "alpha")  # of the ratio itself: a score that grows as x^2 takes some of their seeds away


def get_config(variant: str = "kl") -> ConfigDict:
  config = base.get_config()
  config.threads = 1
  config.game = {
    "name": "fgan",
    "divergence": {"name": f"divergences.{variant}"} | fgan.PARAMETERS.get(variant, {}),
    "parametrisation": "activation" if variant == "total_variation" else "log_ratio",
    "latent_dim": 1,
    "discriminator_steps": 3,
  }
  config.nets.generator = {"name": "linear.affine"}
  config.nets.discriminator = {
    "name": "mlp.discriminator",
    "hidden": (64, 64),
    "activation": {"name": "activations.tanh"},
    "powers": 1 if variant in POWERS else 2,  # x and x^2, of which the log ratio of two Gaussians is a polynomial
  }
  seeking = variant in SEEKING  # larger batches and slower steps
  config.train.rounds = 2_500
  schedule = {
    "name": "optim.constant_then_exponential",
    "rounds": config.train.get_ref("rounds"),
    "hold": 0.3,
    "end": 1 / 300,
  }
  config.optimizer.discriminator = base.adam(2e-3 if seeking else 5e-3, b1=0.5, b2=0.99) | {"schedule": schedule}
  config.optimizer.generator = base.adam(1e-2, b1=0.5, b2=0.99) | {"schedule": schedule}
  config.data = {
    "name": "mixture1d",
    "batch_size": 4_096 if seeking else 1_024,
    "weights": (0.33, 0.67),
    "means": (-1.0, 2.0),
    "scales": (0.255, 1.415),
  }
  config.eval.evaluators = ("samples", "mixture_fit")
  config.eval.every = 500
  return config
