"""How averaged generators translate held-out images: between two domains, or from conditions to their images."""

import jax.numpy as jnp
import numpy as np

from experiments.evaluators import Context, Evaluation, Picture
from gan_jax import train
from gan_jax.data.dataset import Dataset, decode, spread
from gan_jax.errors import ConfigError
from gan_jax.game import Game
from gan_jax.metrics import classifier
from gan_jax.metrics import translation as metrics
from gan_jax.metrics.features import Extractor

# Of each domain: its images, their labels, and their true counterparts in the other domain.
_NAMES = {"x": ("x", "label", "x_in_y"), "y": ("y", "label_y", "y_in_x")}

PAIRED = {
  "paired_l1_to_x": ("condition to x", "mean difference from the true image, between 0 and 2; lower is better"),
  "ssim_to_x": ("condition to x, structure", "likeness to the true image; 1 is the most"),
  "label_to_x": ("condition to x, label", "the share of images that have the true one's label, by a classifier"),
  "classifier_x": ("the classifier of x", "its own accuracy on held-out images"),
}
HEADLINE = tuple(f"{what}_{end}" for what, ends in (("label", ("to_y", "to_x")), ("cycle_l1", "xy")) for end in ends)


def make(context: Context, /, *, n: int = 12, judge: bool = True) -> Evaluation:
  """Errors of translations, and for each direction a picture of three rows: images, their translations, and these back.

  All of it is of averaged weights. Of paired data the rows are conditions, translations and true images, and the
  numbers those of X to Y below that a pair has: "paired_l1_to_x", "ssim_to_x", "label_to_x", "classifier_x".

  "cycle_l1_x", of F(G(x)) against x, and "identity_l1_x", of F(x) against x; the same for y. Where true counterparts
  are known: "paired_l1_to_y" and, of images of 11x11 pixels and more, "ssim_to_y", of G(x) against them, and the same
  to x. Where the data is labelled:
  "label_to_y", the share of G(x) that a classifier of Y gives the label of x, and "classifier_y", that classifier's own
  accuracy on held-out images.

  Args:
    context: of a game that translates between x and y, or from conditions to x.
    n: images in a picture.
    judge: whether classifiers are trained, a minute once, where the data is labelled.

  Raises:
    ConfigError: if the game does not translate.
  """
  game, dataset = context.game, context.dataset
  if game.translate is not None and dataset.condition is not None:
    return _of_pairs(game, dataset, n, judge)
  if game.translate is None or dataset.domains != ("x", "y"):
    raise ConfigError("it looks at translations between x and y, which this game does not make")
  judges = _judges(dataset) if judge and "label" in dataset.test else {}

  def measure(state):
    nets, key, found = train.averaged(state), train.evaluation_key(state.key), {}
    for here, there in (("x", "y"), ("y", "x")):
      images, label, counterpart = _NAMES[here]
      source = decode({"x": jnp.asarray(dataset.test[images])})["x"]
      translated = game.translate(*nets, key, source, here, there)
      found[f"cycle_l1_{here}"] = metrics.l1(source, game.translate(*nets, key, translated, there, here))
      found[f"identity_l1_{here}"] = metrics.l1(source, game.translate(*nets, key, source, there, here))
      if counterpart in dataset.test:
        truth = decode({"x": jnp.asarray(dataset.test[counterpart])})["x"]
        found[f"paired_l1_to_{there}"] = metrics.l1(translated, truth)
        if min(source.shape[1:3]) >= metrics.WINDOW:
          found[f"ssim_to_{there}"] = metrics.ssim(translated, truth)
      if judges:
        labels = jnp.asarray(dataset.test[label])
        found[f"label_to_{there}"] = metrics.label_agreement(judges[there].logits(translated), labels)
        found[f"classifier_{there}"] = jnp.float32(judges[there].accuracy)
    return found

  pictures = tuple(_picture(game, dataset, n, *domains) for domains in ("xy", "yx"))
  counts = " and ".join(f"{len(dataset.test[domain]):,} of {domain}" for domain in dataset.domains)
  protocol = {"reference": f"held-out images, {counts}"}
  if judges:
    protocol["classifiers"] = "one of each domain, trained on its labels; their accuracy stands beside"
  return Evaluation(measure, pictures, explained=_explained(), headline=HEADLINE, protocol=protocol)


def _of_pairs(game: Game, dataset: Dataset, n: int, judge: bool) -> Evaluation:
  """`make` of paired data."""
  judged = judge and "label" in dataset.test
  classifier_x = _judge(dataset, "x") if judged else None

  def translated(state, examples):
    condition, x = (decode({"x": jnp.asarray(examples[name])})["x"] for name in ("condition", "x"))
    key = train.evaluation_key(state.key)
    return condition, game.translate(*train.averaged(state), key, condition, "condition", "x"), x

  def measure(state):
    _, x, truth = translated(state, dataset.test)
    found = {"paired_l1_to_x": metrics.l1(x, truth)}
    if min(truth.shape[1:3]) >= metrics.WINDOW:
      found["ssim_to_x"] = metrics.ssim(x, truth)
    if classifier_x is not None:
      labels = jnp.asarray(dataset.test["label"])
      found["label_to_x"] = metrics.label_agreement(classifier_x.logits(x), labels)
      found["classifier_x"] = jnp.float32(classifier_x.accuracy)
    return found

  shown = {name: spread(dataset.test[name], n) for name in ("condition", "x")}
  picture = Picture("condition_to_x", lambda state: jnp.concatenate(translated(state, shown)), len(shown["x"]))
  protocol = {"reference": f"{len(dataset.test['x']):,} held-out pairs"}
  if judged:
    protocol["classifier"] = "trained on the images and their labels; its accuracy stands beside"
  headline = ("paired_l1_to_x", "label_to_x") if judged else ("paired_l1_to_x",)
  return Evaluation(measure, (picture,), explained=PAIRED, headline=headline, protocol=protocol)


def _explained() -> dict[str, tuple[str, str]]:
  explained = {}
  for here, there in (("x", "y"), ("y", "x")):
    back, forth = f"{here} to {there} and back", f"{here} to {there}"
    explained[f"cycle_l1_{here}"] = (back, "mean difference from the image itself, between 0 and 2")
    explained[f"identity_l1_{there}"] = (f"{there} as it is", "mean change of an image that is of this domain already")
    explained[f"paired_l1_to_{there}"] = (forth, "mean difference from the true counterpart, between 0 and 2")
    explained[f"ssim_to_{there}"] = (f"{forth}, structure", "likeness to the true counterpart; 1 is the most")
    explained[f"label_to_{there}"] = (
      f"{forth}, label",
      "the share of translations that keep their label, by a classifier",
    )
    explained[f"classifier_{there}"] = (
      f"the classifier of {there}",
      "its own accuracy on held-out images",
    )
  return explained


def _judges(dataset: Dataset) -> dict[str, Extractor]:
  """A classifier of each domain."""
  return {domain: _judge(dataset, domain) for domain in _NAMES}


def _judge(dataset: Dataset, domain: str) -> Extractor:
  images, label, _ = _NAMES[domain]
  arrays = (np.asarray(split[name]) for split in (dataset.arrays, dataset.test) for name in (images, label))
  return classifier.train(*arrays, dataset.classes)


def _picture(game: Game, dataset: Dataset, n: int, here: str, there: str) -> Picture:
  held_out = dataset.test[here]
  step = max(len(held_out) // n, 1)  # spread out, for they may be sorted
  source = decode({"x": jnp.asarray(held_out[::step][:n])})["x"]

  def draw(state):
    nets, key = train.averaged(state), train.evaluation_key(state.key)
    translated = game.translate(*nets, key, source, here, there)
    return jnp.concatenate([source, translated, game.translate(*nets, key, translated, there, here)])

  return Picture(f"{here}_to_{there}", draw, len(source))
