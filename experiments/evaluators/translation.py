"""How averaged generators translate held-out images: between domains, or from conditions to their images."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from experiments.evaluators import Context, Evaluation, Picture
from experiments.evaluators._extractors import labelled
from gan_jax import train
from gan_jax.data.dataset import Dataset, decode, label_of, spread
from gan_jax.errors import ConfigError
from gan_jax.game import Game
from gan_jax.metrics import classifier
from gan_jax.metrics import translation as metrics
from gan_jax.metrics.features import Extractor


def make(context: Context, /, *, n: int = 12, judge: bool = True) -> Evaluation:
  """Errors of translations, and for each direction a picture of rows: images, their translations, and these back.

  All of it is of averaged weights. Where there is no way back the third row shows the true images, if they are known:
  of paired data the images that belong to the conditions.

  The numbers of a direction, x to y in the domains x and y:
    - "cycle_l1_x", of F(G(x)) against x, where there is a way back.
    - "identity_l1_y", of G(y) against y; not of paired data.
    - "paired_l1_to_y" and, of images of 11x11 pixels and more, "ssim_to_y", of G(x) against the true images, where they
      are known.
    - "label_to_y", the share of G(x) that a classifier of Y gives the label of x, and "classifier_y", that classifier's
      own accuracy on held-out images, where the data is labelled.
    - "style_to_y", the share of G(x) that a classifier of domains takes for Y, "style_x_as_y", the same of x itself,
      and "classifier_style", that classifier's own accuracy on held-out images, where the data is not labelled.

  With more than two domains names say both: "cycle_l1_x_by_y", "identity_l1_x_to_y", "paired_l1_x_to_y", "ssim_x_to_y",
  "label_x_to_y", "style_x_to_y".

  Args:
    context: of a game that translates.
    n: images in a picture.
    judge: whether classifiers are trained, a minute for each domain, once; without labels one of domains.

  Raises:
    ConfigError: if the game does not translate.
  """
  game, dataset, translate_with = context.game, context.dataset, context.game.translate
  if translate_with is None or not game.directions:
    raise ConfigError("it looks at translations, which this game does not make")
  judges = _judges(dataset, game) if judge else {}
  style = _style(dataset) if judge and not judges else None
  numbers = {direction: _numbers(game, dataset, *direction, {*judges}, style) for direction in game.directions}

  def measure(state):
    translate = functools.partial(translate_with, *train.averaged(state), train.evaluation_key(state.key))
    found = {}
    for direction, kinds in numbers.items():
      values = _values(translate, dataset, *direction, judges, style)
      found |= {name: values[kind]() for kind, (name, _) in kinds.items()}
    return found

  pictures = tuple(
    _picture(translate_with, dataset, n, *direction, back=direction[::-1] in game.directions)
    for direction in game.directions
  )
  seen = dict.fromkeys(domain for direction in game.directions for domain in direction)
  protocol = {"reference": f"held-out images: {', '.join(f'{len(dataset.test[name]):,} of {name}' for name in seen)}"}
  if judges:
    protocol["classifiers"] = f"of {' and '.join(judges)}, trained on the labels; their accuracy stands beside"
  if style:
    protocol["classifier"] = "of domains, trained on their training images; its accuracy stands beside"
  explained = {name: what for kinds in numbers.values() for name, what in kinds.values()}
  return Evaluation(measure, pictures, explained=explained, headline=_headline(dataset, numbers), protocol=protocol)


def _numbers(
  game: Game, dataset: Dataset, source: str, target: str, judged: set[str], style: Extractor | None
) -> dict[str, tuple[str, tuple[str, str]]]:
  """Of each kind of number that a direction has its name, and as in `Evaluation.explained` its label and what it is."""
  several, forth, test = len(dataset.domains) > 2, f"{source} to {target}", dataset.test
  to = f"{source}_to_{target}" if several else f"to_{target}"
  back, known = (target, source) in game.directions, _truth(source, target) in test
  windows, named = min(dataset.shape[:2]) >= metrics.WINDOW, target in judged and _labels(source) in test
  kinds = {}
  if back:
    name = f"cycle_l1_{source}" + f"_by_{target}" * several
    kinds["cycle"] = name, (f"{forth} and back", "mean difference from the image itself, between 0 and 2")
  if dataset.condition is None:
    label = f"{target} by {forth}" if several else f"{target} as it is"
    name = f"identity_l1_{to if several else target}"
    kinds["identity"] = name, (label, "mean change of an image that is of this domain already")
  if known:
    kinds["paired"] = f"paired_l1_{to}", (forth, "mean difference from the true image, between 0 and 2")
  if known and windows:
    kinds["ssim"] = f"ssim_{to}", (f"{forth}, structure", "likeness to the true image; 1 is the most")
  if named:
    meaning = "the share of translations that keep their label, by a classifier"
    kinds["label"] = f"label_{to}", (f"{forth}, label", meaning)
    meaning = "its own accuracy on held-out images"
    kinds["classifier"] = f"classifier_{target}", (f"the classifier of {target}", meaning)
  if style:
    meaning = f"the share of translations that a classifier of domains takes for {target}"
    kinds["style"] = f"style_{to}", (f"{forth}, style", meaning)
    untouched = f"{source} as it is, taken for {target}"
    kinds["source"] = f"style_{source}_as_{target}", (untouched, "by the same classifier")
    kinds["styles"] = "classifier_style", ("the classifier of domains", "its own accuracy on held-out images")
  return kinds


def _values(
  translate: Callable[..., jax.Array],
  dataset: Dataset,
  source: str,
  target: str,
  judges: Mapping[str, Extractor],
  style: Extractor | None,
) -> dict[str, Callable[[], jax.Array]]:
  """Each kind of number of `_numbers`, to be called where there is one."""
  test = dataset.test
  read = lambda name: decode({"x": jnp.asarray(test[name])})["x"]
  images, truth = read(source), lambda: read(_truth(source, target))
  translated = translate(images, source, target)
  values = {
    "cycle": lambda: metrics.l1(images, translate(translated, target, source)),
    "identity": lambda: metrics.l1(read(target), translate(read(target), source, target)),
    "paired": lambda: metrics.l1(translated, truth()),
    "ssim": lambda: metrics.ssim(translated, truth()),
    "label": lambda: metrics.label_agreement(judges[target].logits(translated), jnp.asarray(test[_labels(source)])),
    "classifier": lambda: jnp.float32(judges[target].accuracy),
  }
  if style:
    taken = lambda x: jnp.mean(style.logits(x).argmax(1) == dataset.domains.index(target))
    values |= {"style": lambda: taken(translated), "source": lambda: taken(images)}
    values["styles"] = lambda: jnp.float32(style.accuracy)
  return values


def _truth(source: str, target: str) -> str:
  """The entry of `test` with the true translations."""
  return target if source == "condition" else f"{source}_in_{target}"


def _labels(source: str) -> str:
  """The entry of `test` with the labels of what is translated; a condition has its image's."""
  return label_of("x" if source == "condition" else source)


def _headline(dataset: Dataset, numbers: Mapping) -> tuple[str, ...]:
  """Of two domains both kinds, of more the first that there is."""
  kinds = ("label", "cycle") if dataset.condition is None else ("paired", "label")
  first, second = ([each[kind][0] for each in numbers.values() if kind in each] for kind in kinds)
  return tuple(first or second if len(dataset.domains) > 2 else first + second)


def _judges(dataset: Dataset, game: Game) -> dict[str, Extractor]:
  """A classifier of each domain that is translated to, where it has labels."""
  found, targets = {}, {target for _, target in game.directions}
  for domain in dataset.domains:
    if domain in targets and (known := labelled(dataset, domain, label_of(domain))) is not None:
      found[domain] = classifier.train(*known, dataset.classes)
  return found


def _style(dataset: Dataset) -> Extractor | None:
  """A classifier of which domain an image is of, where they are all at hand."""
  parts = [part for domain in dataset.domains if (part := labelled(dataset, domain, domain)) is not None]
  if len(parts) < max(2, len(dataset.domains)):
    return None
  x, _, test_x, _ = zip(*parts)
  named = lambda images: np.repeat(np.arange(len(images)), [len(each) for each in images])
  return classifier.train(np.concatenate(x), named(x), np.concatenate(test_x), named(test_x), len(parts))


def _picture(
  translate_with: Callable[..., jax.Array], dataset: Dataset, n: int, source: str, target: str, back: bool
) -> Picture:
  read = lambda name: decode({"x": jnp.asarray(spread(dataset.test[name], n))})["x"]
  images, truth = read(source), _truth(source, target)

  def draw(state):
    translate = functools.partial(translate_with, *train.averaged(state), train.evaluation_key(state.key))
    rows = [images, translate(images, source, target)]
    if back:
      rows.append(translate(rows[-1], target, source))
    elif truth in dataset.test:
      rows.append(read(truth))
    return jnp.concatenate(rows)

  return Picture(f"{source}_to_{target}", draw, len(images))
