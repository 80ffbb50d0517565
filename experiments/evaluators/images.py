"""How good generated images are: by a Fréchet distance and all else that can be read off features."""

import functools
import hashlib
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.evaluators import Context, Evaluation, Judgement
from experiments.evaluators._extractors import classifiable, opener, training_images
from gan_jax import cache, pixels, train
from gan_jax.data.dataset import decode, spread
from gan_jax.errors import ConfigError
from gan_jax.metrics import features, neighbours, quality, resize
from gan_jax.metrics.features import Extractor
from gan_jax.metrics.quality import Features
from gan_jax.nets import efficientnet, folded, inception

EXPLAINED = {
  "frechet": (
    "Fréchet distance",
    "how far features of samples are from those of held-out images, both taken for Gaussian; lower is better",
  ),
  "frechet_infinity": ("Fréchet distance of infinitely many samples", "the same without the bias of few samples"),
  "kid": ("kernel distance (KID)", "the same question by a kernel, without bias: 0 for equal distributions"),
  "kid_error": ("its standard error", "how far the kernel distance may be off by chance"),
  "precision": ("precision", "the share of samples that look like real images"),
  "recall": ("recall", "the share of real images that the generator could have made"),
  "density": ("density", "as precision, but outliers among the real images weigh little; 1 for equal distributions"),
  "coverage": ("coverage", "the share of real images with a sample nearby"),
  "support": ("support size", "how many different images there are, by how often two are alike; inf if none are"),
  "inception_score": ("inception score", "sharp images of all classes score high; at most the number of classes"),
  "conditional_entropy": ("entropy of a sample's class", "0 nats if each sample shows one class without doubt"),
  "class_entropy": ("class entropy", "in nats: the largest if all classes are made equally often"),
  "memorisation": ("memorisation", "1 if samples are as near to training images as new ones are, 0 if they are copies"),
}
HEADLINE = ("frechet", "class_entropy", "precision", "recall", "memorisation")
_BATCH, _MOST, _SHOWN, _BESIDE = 100, 10_000, 8, 5
FEW = 10  # images on each side, which every measure needs more than


def make(
  context: Context,
  /,
  *,
  n: int = 0,
  extractor: str = "",
  weights: str = "",
  tensorflow: bool = False,
  k: int = 5,
  train_images: int = 10_000,
) -> Evaluation:
  """`metrics.quality` of samples against the held-out split, and a picture of samples beside their nearest neighbours.

  Samples are rounded to 256 levels first, as if they had been stored. Memorisation is measured where all training
  images are looked at, which they are not if they are streamed, drawn without end, or more than `train_images`.

  Args:
    context: of a game that samples images.
    n: how many samples; 0: as many as are held out, but at most 1,000.
    extractor: "classifier", of the data's labels, which of stacked images looks at each channel by itself;
      "discriminator", the run's own; "efficientnet"; "inception"; "": the first of these that the data or the
      installation allows for (`features.default`).
    weights: the file of the Inception network's.
    tensorflow: whether images are resized for it as the first FID did, and not as clean-fid does.
    k: neighbours, of precision and recall.
    train_images: how many training images are looked at, at most, evenly spread.

  Raises:
    ConfigError: if the game makes no images, or the extractor is unknown or not to be had.
  """
  game, dataset = context.game, context.dataset
  sample = game.sample
  if sample is None or len(dataset.shape) != 3:
    raise ConfigError("it judges images that are sampled, and this game makes none: leave it out of eval.evaluators")
  held_out = spread(np.asarray(dataset.test["x"]), _MOST)
  count = n or min(len(held_out), 1_000)
  if k < 1 or train_images < 1 or min(count, len(held_out)) <= max(k, FEW):
    raise ConfigError(
      f"{count} samples, {len(held_out)} held-out images, k = {k} and {train_images} training images: the last two "
      f"have to be at least 1, and of samples and held-out images more than {max(k, FEW)} are needed"
    )
  name, why = (extractor, "") if extractor else features.default(classifiable(dataset), game.features is not None)
  opened = opener(name, dataset, game.features, weights, tensorflow)
  sampled = jax.jit(lambda nets, key: sample(*nets, key, _BATCH))
  seen = functools.cache(lambda: training_images(dataset, count, train_images))

  def judge(state):
    nets = train.averaged(state)
    keys = jax.random.split(train.evaluation_key(state.key), -(-count // _BATCH))
    samples = np.concatenate([pixels.encode(np.asarray(sampled(nets, key))) for key in keys])[:count]
    found = compare(opened(*nets), samples, held_out, *seen(), k, keep=name != "discriminator")
    return found._replace(protocol={**found.protocol, **({"why": why} if why else {})})

  return Evaluation(judge=judge, explained=EXPLAINED, headline=HEADLINE)


def compare(
  extractor: Extractor,
  samples: np.ndarray,
  held_out: np.ndarray,
  seen: np.ndarray | None = None,
  whole: bool = False,
  k: int = 5,
  keep: bool = True,
) -> Judgement:
  """What `metrics.quality` says of samples, how it was found, and the picture "neighbours".

  Where there is no saying, such as of features that are not finite, numbers are nan and the protocol says why.

  Args:
    extractor: of the features.
    samples: [N, H, W, C] uint8.
    held_out: the reference, [M, H, W, C] uint8.
    seen: images that the generator was trained on, likewise; None where none are known.
    whole: whether these are all of them.
    k: neighbours, of precision and recall.
    keep: whether what is extracted of real images is kept in `cache`.
  """
  look = _kept if keep else lambda *given: Features(*features.extract(*given))
  of_samples, of_seen = Features(*features.extract(extractor, samples)), None if seen is None else look(extractor, seen)
  protocol = {
    "samples": len(samples),
    "reference": f"{len(held_out):,} real images",
    "training images": f"{0 if seen is None else len(seen):,}{'' if whole or seen is None else ', not all'}",
    "extractor": extractor.name,
    "accuracy of the extractor": extractor.accuracy,
    "features": of_samples.features.shape[1],
    "neighbours": k,
  }
  protocol = {what: value for what, value in protocol.items() if value is not None}
  try:
    numbers = quality.measure(of_samples, look(extractor, held_out), of_seen, k, whole)
  except ValueError as error:
    return Judgement(dict.fromkeys(EXPLAINED, math.nan), protocol | {"not measured": str(error)})
  if seen is None or of_seen is None:
    return Judgement(numbers, protocol)
  beside = neighbours.nearest(of_samples.features[:_SHOWN], of_seen.features, min(_BESIDE, len(seen)))[1]
  rows = np.concatenate([samples[:_SHOWN, None], seen[beside]], 1)
  images = decode({"x": jnp.asarray(rows.reshape(-1, *samples.shape[1:]))})["x"]
  return Judgement(numbers, protocol, {"neighbours": (np.asarray(images), rows.shape[1])})


def _kept(extractor: Extractor, images: np.ndarray) -> Features:
  """The features of real images, extracted once with this code."""
  digest = hashlib.sha256(repr((extractor.name, images.shape)).encode() + np.ascontiguousarray(images).tobytes())
  for module in (features, resize, efficientnet, folded, inception, pixels):
    digest.update(Path(module.__file__ or "").read_bytes())
  for leaf in jax.tree.leaves(extractor):
    digest.update(np.asarray(leaf).tobytes())
  name = f"features-{digest.hexdigest()[:32]}.npz"
  found = cache.load(name)
  if "features" not in found:
    of, logits = features.extract(extractor, images)
    found = {"features": of} | ({} if logits is None else {"logits": logits})
    cache.store(name, found)
  return Features(found["features"], found.get("logits"))
