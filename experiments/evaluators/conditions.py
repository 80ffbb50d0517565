"""Whether a game that is asked for a class makes it."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.evaluators import Context, Evaluation, Judgement, Picture
from experiments.evaluators._extractors import opener
from gan_jax import pixels, train
from gan_jax.errors import ConfigError, at_least_one
from gan_jax.metrics import features
from gan_jax.metrics.quality import FLOOR

EXPLAINED = {
  "agreement": ("agreement", "the share of samples that a classifier of real images takes for the class asked for")
}
_BATCH = 100


def make(context: Context, /, *, n: int = 1_000, rows: int = 10) -> Evaluation:
  """ "agreement" of n samples, as many of each class, and the picture "conditions": classes in columns.

  Samples are rounded to 256 levels first, as the classifier's images were. What it finds of held-out images, its own
  accuracy, stands beside the number. In a row of the picture the noise is one and the class alone changes.

  Args:
    context: of a game that samples images of classes, on labelled data.
    n: how many samples; the last batch of 100 is filled up.
    rows: of the picture.

  Raises:
    ConfigError: if the game cannot be asked for classes, the data has no labels at hand, or `n` or `rows` is below 1.
  """
  game, dataset, sample = context.game, context.dataset, context.game.sample
  if sample is None or not game.labels or len(dataset.shape) != 3:
    raise ConfigError("it looks at images of classes, which this game cannot be asked for")
  at_least_one("n", n)
  at_least_one("rows", rows)
  opened, classes = opener("classifier", dataset), game.labels
  sampled = jax.jit(lambda nets, key, labels: sample(*nets, key, _BATCH, labels=labels))

  def judge(state):
    extractor, nets = opened(None, None), train.averaged(state)
    assert extractor.accuracy is not None  # it was trained on labels
    keys = jax.random.split(train.evaluation_key(state.key), -(-n // _BATCH))
    asked = np.arange(len(keys) * _BATCH, dtype=np.int32) % classes
    batches = [sampled(nets, key, labels) for key, labels in zip(keys, asked.reshape(-1, _BATCH))]
    found = features.logits(extractor, pixels.encode(np.concatenate(batches))[:n]).argmax(1)
    agreement = float(np.mean(found == asked[:n]))
    protocol = {"samples": n, "judge": extractor.name, "accuracy of the judge": extractor.accuracy}
    return Judgement({"agreement": agreement, "agreement" + FLOOR: extractor.accuracy}, protocol)

  def draw(state):
    keys = jax.random.split(train.evaluation_key(state.key), rows)
    one = lambda key, label: sample(*train.averaged(state), key, 1, labels=label[None])[0]
    images = jax.vmap(jax.vmap(one, (None, 0)), (0, None))(keys, jnp.arange(classes))
    return images.reshape(-1, *dataset.shape)

  picture = Picture("conditions", draw, classes)
  return Evaluation(pictures=(picture,), judge=judge, explained=EXPLAINED, headline=tuple(EXPLAINED))
