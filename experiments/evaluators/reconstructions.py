"""How well a game that encodes gives held-out images back."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from experiments.evaluators import Context, Evaluation, Picture
from experiments.evaluators._extractors import labelled
from gan_jax import priors, train
from gan_jax.data.dataset import decode, spread
from gan_jax.errors import ConfigError
from gan_jax.metrics import classifier
from gan_jax.metrics.translation import l1, label_agreement

EXPLAINED = {
  "reconstruction_l1": (
    "reconstruction",
    "mean difference of held-out images from what their latents decode to, between 0 and 2; lower is better",
  ),
  "reconstruction_label": (
    "reconstruction, label",
    "the share of held-out images whose reconstruction has their label, by a classifier",
  ),
  "classifier": ("the classifier", "its own accuracy on held-out images"),
}


def make(context: Context, /, *, n: int = 12, steps: int = 10, judge: bool = True) -> Evaluation:
  """ "reconstruction_l1", |x - G(E(x))| of held-out examples, averaged weights, and a picture of n above their own.

  Of images that are labelled also "reconstruction_label", the share whose reconstruction a classifier gives the label
  of the image, beside "classifier", what it gets of the images themselves. The picture "between" has in each row the
  way from a held-out image to another one: itself, `steps` images decoded along the great circle through their latents
  (`priors.slerp`), and the other.

  Args:
    context: of a game that encodes and samples.
    n: images in a picture.
    steps: decoded images in a row of "between".
    judge: whether a classifier is trained, a minute once, where the data is labelled.

  Raises:
    ConfigError: if the game does not encode and sample, or there are less than 2 steps.
  """
  game, dataset = context.game, context.dataset
  held_out = dataset.held_out
  if game.encode is None or game.sample is None:
    raise ConfigError("it looks at reconstructions, which this game does not make")
  if steps < 2:
    raise ConfigError(f"steps is {steps}; it has to be at least 2")
  encode, sample = game.encode, game.sample
  shown, images = spread(held_out, n), len(dataset.shape) == 3
  known = labelled(dataset) if judge and images else None
  extractor = None if known is None else classifier.train(*known, dataset.classes)

  def reconstruct(state, examples):
    nets, key = train.averaged(state), train.evaluation_key(state.key)
    x = decode({"x": jnp.asarray(examples)})["x"]
    return x, sample(*nets, key, len(x), latents=encode(*nets, key, x))

  def measure(state):
    x, again = reconstruct(state, held_out)
    found = {"reconstruction_l1": l1(x, again)}
    if extractor is not None:
      found["reconstruction_label"] = label_agreement(extractor.logits(again), jnp.asarray(dataset.test["label"]))
      found["classifier"] = jnp.float32(extractor.accuracy)
    return found

  pictures = (Picture("reconstructions", lambda state: jnp.concatenate(reconstruct(state, shown)), len(shown)),)
  ends = np.random.RandomState(0).permutation(held_out)[: 2 * min(n // 2, len(held_out) // 2)]
  if len(ends):
    pictures += (_between(encode, sample, ends, steps),)
  protocol = {"reference": f"{len(held_out):,} held-out examples"}
  names = ("reconstruction_l1", *(() if extractor is None else ("reconstruction_label", "classifier")))
  return Evaluation(
    measure,
    pictures if images else (),
    explained={name: EXPLAINED[name] for name in names},
    headline=names[:2],
    protocol=protocol,
  )


def _between(encode: Callable, sample: Callable, ends: np.ndarray, steps: int) -> Picture:
  """Rows from each second image of `ends` to the one behind it."""

  def draw(state):
    nets, key = train.averaged(state), train.evaluation_key(state.key)
    x = decode({"x": jnp.asarray(ends)})["x"]
    z = encode(*nets, key, x)
    path = jax.vmap(jax.vmap(priors.slerp, (None, None, 0)), (0, 0, None))
    latents = path(z[::2], z[1::2], jnp.linspace(0.0, 1.0, steps))
    images = sample(*nets, key, len(latents) * steps, latents=latents.reshape(-1, z.shape[1]))
    rows = images.reshape(len(latents), steps, *x.shape[1:])
    return jnp.concatenate([x[::2, None], rows, x[1::2, None]], 1).reshape(-1, *x.shape[1:])

  return Picture("between", draw, steps + 2)
