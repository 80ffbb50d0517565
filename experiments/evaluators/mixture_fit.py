"""How near an f-GAN's Gaussian has come to the best there is for a mixture on the line."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from experiments.evaluators import Context, Evaluation
from gan_jax import train
from gan_jax.errors import ConfigError
from gan_jax.losses.divergences import FDivergence, integrate, integrate_bound

EXPLAINED = {
  "mu": ("mu", "where the fitted Gaussian is"),
  "mu_star": ("mu*", "where the best Gaussian is"),
  "sigma": ("sigma", "how wide the fitted Gaussian is"),
  "sigma_star": ("sigma*", "how wide the best Gaussian is"),
  "bound": ("bound", "what V reaches of the divergence"),
  "divergence_star": ("divergence*", "of the best Gaussian, which a perfect V would find"),
}
EXPLAINED |= {
  f"raw_{name}": (f"{EXPLAINED[name][0]}, raw", f"{EXPLAINED[name][1]}; without averaging")
  for name in ("mu", "sigma", "bound")
}


def make(context: Context, /) -> Evaluation:
  """mu, sigma and the bound, by quadrature, beside the best: mu_star, sigma_star, divergence_star.

  They are of the averaged generator, and as raw_... of the raw one; V is the same for both, for it is not averaged.

  The generator is taken for affine in its latent, so mu is G(0) and sigma G(1) - G(0).

  Raises:
    ConfigError: if the game minimises no divergence, or the data is no mixture on the line.
  """
  game, settings, truth = context.game, context.settings, context.dataset.arrays
  divergence, sample, score = settings.get("divergence"), game.sample, game.score
  if not isinstance(divergence, FDivergence) or sample is None or score is None:
    raise ConfigError("it needs a game that minimises a divergence, such as fgan")
  if "means" not in truth or context.dataset.shape != (1,) or settings.get("latent_dim") != 1:
    raise ConfigError(
      f"it needs a mixture on the line, mixture1d, and a latent of one entry; not {context.dataset.name}"
    )
  from gan_jax.metrics import mixture  # here, so that other experiments do not wait for scipy

  truth = {k: np.asarray(truth[k], np.float64).ravel() for k in ("means", "scales", "weights")}
  shape = {k: settings[k] for k in ("data_first", "parametrisation") if k in settings}
  sign = 1.0 if shape.get("data_first", True) else -1.0  # `score` is high for data in either case
  best = _best_gaussian(divergence, shape.get("data_first", True), *(tuple(truth[k]) for k in sorted(truth)))
  on_line = mixture.grid(truth["weights"], truth["means"], truth["scales"])
  x, log_p = (jnp.asarray(values, jnp.float32) for values in on_line)

  def fitted(nets):
    ends = sample(*nets, jax.random.key(0), 2, latents=jnp.array([[0.0], [1.0]]))[:, 0]
    mu, sigma = ends[0], ends[1] - ends[0]
    log_q = norm.logpdf(x, mu, sigma)
    bound = integrate_bound(divergence, sign * score(*nets, x[:, None]), log_p, log_q, x, **shape)
    return {"mu": mu, "sigma": sigma, "bound": bound}

  def measure(state):
    raw = {f"raw_{name}": value for name, value in fitted((state.params, state.stats)).items()}
    return fitted(train.averaged(state)) | raw | {k: jnp.asarray(v, jnp.float32) for k, v in best.items()}

  headline = ("mu", "mu_star", "sigma", "sigma_star", "bound", "divergence_star")
  return Evaluation(measure, explained=EXPLAINED, headline=headline, protocol={"how": "quadrature on the line"})


@functools.cache  # a search, done once for all members of a sweep, and outside of their trace
def _best_gaussian(divergence: FDivergence, data_first: bool, means, scales, weights) -> dict[str, float]:
  from gan_jax.metrics import mixture

  truth = {"means": np.array(means), "scales": np.array(scales), "weights": np.array(weights)}
  with jax.ensure_compile_time_eval(), jax.enable_x64(True):
    return mixture.best_gaussian(jax.jit(functools.partial(integrate, divergence)), **truth, data_first=data_first)
