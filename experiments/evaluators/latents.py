"""What lies between latents, and what their sums mean. Radford et al. 2016, section 6.3.2; White 2016."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.evaluators import Context, Evaluation, Judgement, Picture
from experiments.evaluators._extractors import labelled
from gan_jax import pixels, priors, train
from gan_jax.errors import ConfigError
from gan_jax.metrics import classifier
from gan_jax.metrics.features import Extractor, logits

EXPLAINED = {
  f"arithmetic_{name}": (
    f"arithmetic of {name}",
    f"how often {much} a - the same {little} + another class {little} is that class, and {much}",
  )
  for name, (much, little) in {"slant": ("slanted", "upright"), "weight": ("bold", "light")}.items()
}
_BATCH = 100
_EXEMPLARS = 3  # whose latents are averaged
_PARTNERS = 9  # classes b for each class a


def make(context: Context, /, *, rows: int = 8, steps: int = 10, n: int = 2_000) -> Evaluation:
  """A picture "interpolation", and where images are labelled "arithmetic_slant" and "arithmetic_weight", with numbers.

  Interpolation is spherical (`priors.slerp`), in each row between two draws of the prior.

  Arithmetic is the paper's smiling woman - neutral woman + neutral man = smiling man, with classes in the places of
  women and men, and in that of the smile what can be seen of digits without a label: how far strokes lean to the
  right, or how bold they are. Of n samples, which a classifier names, the three most and the three least slanted of a
  class are taken, and their latents averaged: three as in the paper, by which sums of three means vary as latents do.
  A row shows what these means decode to, in four columns: slanted a, - upright a, + upright b, = their sum. Its number
  is the share of pairs of classes a, b whose sum the classifier names b, while it is more slanted than the mean of b.

  Args:
    context: of a game that samples images from latents of a known size.
    rows: of "interpolation".
    steps: images in each, its two ends among them.
    n: how many samples the arithmetic chooses from.

  Raises:
    ConfigError: if the game does not decode latents, or makes no images; or a number is too small.
  """
  game, settings, dataset = context.game, context.settings, context.dataset
  dimensions, prior, sample = settings.get("latent_dim"), settings.get("prior", priors.normal), game.sample
  if sample is None or dimensions is None or len(dataset.shape) != 3:
    raise ConfigError("it decodes latents to images, which this game does not do")
  if rows < 1 or steps < 2 or n < _BATCH:
    raise ConfigError(f"rows is {rows}, steps {steps} and n {n}; they have to be at least 1, 2 and {_BATCH}")

  def interpolation(state):
    key = train.evaluation_key(state.key)
    starts, ends = prior(key, (2, rows, dimensions))
    between = jax.vmap(jax.vmap(priors.slerp, (None, None, 0)), (0, 0, None))(
      starts, ends, jnp.linspace(0.0, 1.0, steps)
    )
    return sample(*train.averaged(state), key, rows * steps, latents=between.reshape(-1, dimensions))

  pictures = (Picture("interpolation", interpolation, steps),)
  known = labelled(dataset)
  if known is None:
    return Evaluation(pictures=pictures)
  trained = functools.cache(lambda: classifier.train(*known, dataset.classes))
  decode = jax.jit(lambda nets, key, z: sample(*nets, key, len(z), latents=z))

  def judge(state):
    nets, key = train.averaged(state), train.evaluation_key(state.key)

    def look(z):
      filled = np.concatenate([z, np.zeros((-len(z) % _BATCH, dimensions), z.dtype)])
      parts = [np.asarray(decode(nets, key, part)) for part in np.split(filled, len(filled) // _BATCH)]
      return np.concatenate(parts)[: len(z)]

    return _arithmetic(np.asarray(prior(key, (n, dimensions))), look, trained(), dataset.classes)

  return Evaluation(pictures=pictures, judge=judge, explained=EXPLAINED)


def slant(images: np.ndarray) -> np.ndarray:
  """How far strokes lean to the right, pixels across for one up: images [N, H, W, C] in [-1, 1], light on dark, to [N].

  It is the shear that leaves no correlation between the columns and rows of the light.
  """
  light = (np.asarray(images, np.float64).mean(-1) + 1.0) / 2.0
  light /= np.maximum(light.sum((1, 2), keepdims=True), 1e-30)
  rows, columns = light.sum(2), light.sum(1)
  y = np.arange(light.shape[1]) - (rows @ np.arange(light.shape[1]))[:, None]
  x = np.arange(light.shape[2]) - (columns @ np.arange(light.shape[2]))[:, None]
  return -np.einsum("nyx,ny,nx->n", light, y, x) / np.maximum((rows * y**2).sum(1), 1e-30)


def weight(images: np.ndarray) -> np.ndarray:
  """How much light there is: the mean of images [N, H, W, C] in [-1, 1], [N]."""
  return np.asarray(images, np.float64).mean((1, 2, 3))


def _arithmetic(
  latents: np.ndarray, look: Callable[[Any], np.ndarray], classifier: Extractor, classes: int
) -> Judgement:
  """`look` decodes any number of latents."""
  images = look(latents)
  named = _named(classifier, images)
  there = [each for each in range(classes) if np.sum(named == each) >= 2 * _EXEMPLARS]
  pairs = [(a, b) for i, a in enumerate(there) for b in (*there[i + 1 :], *there[:i])[:_PARTNERS]]
  numbers, sheets = {}, {}
  for name, measured in (("slant", slant), ("weight", weight)):
    if not pairs:
      numbers[f"arithmetic_{name}"] = float("nan")
      continue
    of_images = measured(images)
    order = {each: np.flatnonzero(named == each)[np.argsort(of_images[named == each])] for each in there}
    low = {each: latents[places[:_EXEMPLARS]].mean(0) for each, places in order.items()}
    high = {each: latents[places[-_EXEMPLARS:]].mean(0) for each, places in order.items()}
    shown = look(np.stack([z for a, b in pairs for z in (high[a], low[a], low[b], high[a] - low[a] + low[b])]))
    sums, usual = shown[3::4], {each: of_images[named == each].mean() for each in there}
    more = measured(sums) > [usual[b] for _, b in pairs]
    numbers[f"arithmetic_{name}"] = float(np.mean(more & (_named(classifier, sums) == [b for _, b in pairs])))
    neighbours = [i for i, (a, b) in enumerate(pairs) if i == 0 or pairs[i - 1][0] != a]
    sheets[f"arithmetic_{name}"] = (np.concatenate([shown[4 * i : 4 * i + 4] for i in neighbours]), 4)
  protocol = {
    "samples": len(images),
    "pairs of classes": len(pairs),
    "classifier": classifier.name,
    "accuracy of the classifier": classifier.accuracy,
  }
  return Judgement(numbers, protocol, sheets)


def _named(classifier: Extractor, images: np.ndarray) -> np.ndarray:
  """The classes that images are taken for, rounded to 256 levels, [N]."""
  return logits(classifier, pixels.encode(images)).argmax(1)
