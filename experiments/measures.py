"""What `config.eval.metrics` can name: each makes of an experiment's parts a measure, `state -> {name: scalar}`."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from ml_collections import ConfigDict

from gan_jax import train
from gan_jax.data.dataset import Dataset
from gan_jax.game import Game, TrainState
from gan_jax.losses.divergences import FDivergence, integrate, integrate_bound
from gan_jax.metrics import mixture
from gan_jax.metrics import modes as mixture_modes

Measure = Callable[[TrainState], dict[str, jax.Array]]


def modes(config: ConfigDict, game: Game, dataset: Dataset) -> Measure:
  """`metrics.modes` on 2,500 samples: of the averaged generator, and as raw_... of the weights themselves.

  Raises:
    ValueError: if the data has no modes to be found.
  """
  if not dataset.name.startswith(("ring8", "grid25")):
    raise ValueError(f"eval.metrics lists 'modes', which {dataset.name} does not have; ring8 and grid25 do")
  truth = dataset.draw.args[0]

  def measure(state):
    key = jax.random.key(config.seed)
    both = {"": train.averaged(state), "raw_": (state.params, state.stats)}
    samples = {prefix: game.sample(*nets, key, 2_500) for prefix, nets in both.items()}
    found = {prefix: mixture_modes.evaluate(x, truth["means"], truth["scales"]) for prefix, x in samples.items()}
    return {prefix + name: value for prefix, values in found.items() for name, value in values.items()}

  return measure


def mixture_fit(find: Callable[[str], FDivergence], config: ConfigDict, game: Game, dataset: Dataset) -> Measure:
  """How near a linear generator has come to the best Gaussian: mu, sigma and the bound, by quadrature, beside the best.

  Args:
    find: from a divergence's name in a config to the divergence, the same object each time.
    config: the experiment's.
    game: an f-GAN whose generator is affine.
    dataset: mixture1d.

  Raises:
    ValueError: if it is another experiment.
  """
  if dataset.name != "mixture1d" or config.nets.generator.name != "affine" or config.game.name != "fgan":
    raise ValueError("eval.metrics lists 'mixture_fit', which is for an fgan with an affine generator on mixture1d")
  divergence = find(config.game.divergence)
  truth = {k: np.asarray(v, np.float64).ravel() for k, v in dataset.draw.args[0].items()}
  settings = {k: config.game[k] for k in ("data_first", "parametrisation") if k in config.game}
  best = _best_gaussian(divergence, settings.get("data_first", True), *(tuple(truth[k]) for k in sorted(truth)))
  x, log_p = mixture.grid(**truth)
  x, log_p = jnp.asarray(x, jnp.float32), jnp.asarray(log_p, jnp.float32)

  def measure(state):
    generator = state.params["generator"]
    mu, sigma = generator["mu"][0], jnp.exp(generator["log_sigma"][0])
    scores, _ = game.nets["discriminator"].apply(
      state.params["discriminator"], state.stats["discriminator"], x[:, None], train=False
    )
    log_q = norm.logpdf(x, mu, sigma)
    bound = integrate_bound(divergence, scores, log_p, log_q, x, **settings)
    return {"mu": mu, "sigma": sigma, "bound": bound} | {k: jnp.asarray(v, jnp.float32) for k, v in best.items()}

  return measure


def numbers(config: ConfigDict, game: Game, dataset: Dataset) -> Measure:
  """The parameters themselves, of networks that are single numbers, and the radius: how far from 0 they all are."""

  def measure(state):
    named = {name: value for params in state.params.values() for name, value in params.items()}
    found = {name: value for name, value in named.items() if not isinstance(value, dict) and jnp.ndim(value) == 0}
    return found | {"radius": jnp.sqrt(sum(jnp.square(value) for value in found.values()))}

  return measure


@functools.cache  # a search, done once for all members of a sweep, and outside of their trace
def _best_gaussian(divergence: FDivergence, data_first: bool, means, scales, weights) -> dict[str, float]:
  truth = {"means": np.array(means), "scales": np.array(scales), "weights": np.array(weights)}
  with jax.enable_x64(True):
    return mixture.best_gaussian(jax.jit(functools.partial(integrate, divergence)), **truth, data_first=data_first)
