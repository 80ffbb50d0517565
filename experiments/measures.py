"""What `config.eval.metrics` can name: each makes of an experiment's parts a measure, `state -> {name: scalar}`."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from ml_collections import ConfigDict

from gan_jax import train
from gan_jax.data import sprites
from gan_jax.data.dataset import Dataset, decode
from gan_jax.game import Game, TrainState
from gan_jax.games.infogan import Codes
from gan_jax.losses.divergences import FDivergence, integrate, integrate_bound
from gan_jax.metrics import features
from gan_jax.metrics import modes as mixture_modes
from gan_jax.metrics import translation as translated

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
  from gan_jax.metrics import mixture  # here, so that other experiments do not wait for scipy

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


def codes(codes_of: Callable[[ConfigDict], Codes | None], config: ConfigDict, game: Game, dataset: Dataset) -> Measure:
  """What InfoGAN's recognition head reads off held-out images, against what is known of them.

  "accuracy_I" of the I-th categorical code against labels, after the best one-to-one assignment. Where the data's factors
  are known: "continuous_I/FACTOR", the mutual information of the I-th continuous code with each, in nats, and "gap", the mutual
  information gap of all codes. A continuous code is drawn from Q(c | x), or, where its variance is fixed, is Q's mean:
  which is a function of the image alone, and so tells much of a factor even where it hardly moves with it.

  Raises:
    ValueError: if the game has no codes, or the data neither labels nor factors.
  """
  read, test = codes_of(config.game), dataset.test
  if read is None:
    raise ValueError(f"eval.metrics lists 'codes', which the game {config.game.name} does not have")
  if not {"label", "factors"} & set(test):
    raise ValueError(
      f"eval.metrics lists 'codes', but {dataset.name} has neither labels nor factors to compare them with"
    )
  from gan_jax.metrics import codes as latent_codes  # here, so that other experiments do not wait for scikit-learn

  def compare(categories, continuous):
    categories, continuous = np.asarray(categories), np.asarray(continuous)
    if not np.isfinite(continuous).all():
      return {name: np.float32(np.nan) for name in scalars}
    found = {}
    if "label" in test:
      found |= {f"accuracy_{i}": latent_codes.accuracy(code, test["label"])[0] for i, code in enumerate(categories.T)}
    if "factors" in test:
      kind = (sprites.FACTORS.index("kind"),)
      known = latent_codes.mutual_information(continuous, test["factors"], (), kind)
      found |= {
        f"continuous_{i}/{name}": known[i, j] for i in range(read.continuous) for j, name in enumerate(sprites.FACTORS)
      }
      binned = latent_codes.discretise(test["factors"], kind)
      everything, discrete = np.concatenate([categories, continuous], 1), range(categories.shape[1])
      told = latent_codes.mutual_information(everything, binned, discrete, range(binned.shape[1]))
      found["gap"] = latent_codes.gap(told, latent_codes.entropies(binned))[0]
    return {name: np.float32(value) for name, value in found.items()}

  nothing = (np.zeros((len(test["x"]), k)) for k in (len(read.categorical), read.continuous))
  scalars = {name: jax.ShapeDtypeStruct((), jnp.float32) for name in compare(*nothing)}

  def measure(state):
    x = decode({"x": jnp.asarray(test["x"])})["x"]
    for net in ("trunk", "recognition"):
      x, _ = game.nets[net].apply(state.params[net], state.stats[net], x, train=False)
    logits, continuous, log_variance = read.read(x)
    classes = jnp.stack([jnp.argmax(each, 1) for each in logits], 1) if logits else jnp.zeros((len(x), 0), jnp.int32)
    if read.learnt_variance:
      noise = jax.random.normal(jax.random.key(config.seed), continuous.shape)
      continuous = continuous + jnp.exp(0.5 * log_variance) * noise
    return jax.pure_callback(compare, scalars, classes, continuous, vmap_method="sequential")

  return measure


def translation(config: ConfigDict, game: Game, dataset: Dataset) -> Measure:
  """How CycleGAN's averaged generators translate held-out images, in both directions.

  "cycle_l1_x", of F(G(x)) against x, and "identity_l1_x", of F(x) against x; the same for y. Where true counterparts are
  known: "paired_l1_to_y" and "ssim_to_y", of G(x) against them, and the same to x. Where the data is labelled:
  "label_to_y", the share of G(x) that a classifier of Y gives the label of x, and "classifier_y", that classifier's own
  accuracy on held-out images.

  Raises:
    ValueError: if it is another game.
  """
  if config.game.name != "cyclegan":
    raise ValueError(f"eval.metrics lists 'translation', which is for the game cyclegan, not {config.game.name}")
  names = {"x": ("x", "label", "x_in_y"), "y": ("y", "label_y", "y_in_x")}
  judges = {}
  with jax.ensure_compile_time_eval():  # a sweep builds its experiments within its own trace
    for domain, part in zip("xy", dataset.draw.args if "label" in dataset.test else ()):
      seen, (images, label, _) = part.args[0], names[domain]
      arrays = (np.asarray(split[name]) for split in (seen, dataset.test) for name in (images, label))
      judges[domain] = features.classifier(*arrays, dataset.classes)

  def measure(state):
    params, stats = train.averaged(state)
    key = jax.random.key(config.seed)
    found = {}
    for here, there in (("x", "y"), ("y", "x")):
      images, label, counterpart = names[here]
      source = decode({"x": jnp.asarray(dataset.test[images])})["x"]
      go = lambda domain, x: game.sample(params, stats, key, len(x), **{domain: x})
      there_now = go(here, source)
      found[f"cycle_l1_{here}"] = translated.l1(source, go(there, there_now))
      found[f"identity_l1_{here}"] = translated.l1(source, go(there, source))
      if counterpart in dataset.test:
        truth = decode({"x": jnp.asarray(dataset.test[counterpart])})["x"]
        found[f"paired_l1_to_{there}"] = translated.l1(there_now, truth)
        found[f"ssim_to_{there}"] = translated.ssim(there_now, truth)
      if judges:
        labels = jnp.asarray(dataset.test[label])
        found[f"label_to_{there}"] = translated.label_agreement(judges[there].logits(there_now), labels)
        found[f"classifier_{there}"] = jnp.float32(judges[there].accuracy)
    return found

  return measure


@functools.cache  # a search, done once for all members of a sweep, and outside of their trace
def _best_gaussian(divergence: FDivergence, data_first: bool, means, scales, weights) -> dict[str, float]:
  from gan_jax.metrics import mixture

  truth = {"means": np.array(means), "scales": np.array(scales), "weights": np.array(weights)}
  with jax.enable_x64(True):
    return mixture.best_gaussian(jax.jit(functools.partial(integrate, divergence)), **truth, data_first=data_first)
