"""Whether one latent gives the same content in every domain."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.evaluators import Context, Evaluation, Judgement, Picture
from experiments.evaluators._extractors import labelled
from gan_jax import pixels, train
from gan_jax.data.dataset import label_of
from gan_jax.errors import ConfigError, at_least_one
from gan_jax.metrics import classifier, features
from gan_jax.metrics.inception_score import inception_score

_BATCH = 100


def make(context: Context, /, *, n: int = 1_000, columns: int = 12) -> Evaluation:
  """ "same_label" of n latents, and the picture "counterparts": a domain in each row, a latent in each column.

  It is the share of latents whose images the classifiers of all domains, each trained on its own domain's labels, give
  the same label. Beside it stand, for each domain, the classifier's own accuracy on held-out images, "classifier_x",
  and the entropy of what it finds in nats, "class_entropy_x": a game that makes one digit alone has the same label
  always. Samples are rounded to 256 levels first. Without labels there is the picture alone.

  Args:
    context: of a game that samples images of several domains.
    n: how many latents; the last batch of 100 is filled up.
    columns: of the picture.

  Raises:
    ConfigError: if the game cannot be asked for domains, or `n` or `columns` is below 1.
  """
  game, dataset, sample = context.game, context.dataset, context.game.sample
  if sample is None or len(game.domains) < 2:
    raise ConfigError("it looks at images of several domains from one latent, which this game does not make")
  at_least_one("n", n)
  at_least_one("columns", columns)
  # With one key, the same latents for each domain.
  decoded = lambda nets, key, count: [sample(*nets, key, count, domain=domain) for domain in game.domains]
  draw = lambda state: jnp.concatenate(decoded(train.averaged(state), train.evaluation_key(state.key), columns))
  picture = Picture("counterparts", draw, columns)
  known = {domain: labelled(dataset, domain, label_of(domain)) for domain in game.domains}
  if any(each is None for each in known.values()):
    return Evaluation(pictures=(picture,))
  judges = {domain: classifier.train(*each, dataset.classes) for domain, each in known.items() if each is not None}
  sampled = jax.jit(lambda nets, key: decoded(nets, key, _BATCH))

  def judge(state):
    keys = jax.random.split(train.evaluation_key(state.key), -(-n // _BATCH))
    batches = [sampled(train.averaged(state), key) for key in keys]
    numbers, found = {}, []
    for domain, images in zip(game.domains, zip(*batches)):
      logits = features.logits(judges[domain], pixels.encode(np.concatenate(images))[:n])
      found.append(logits.argmax(1))
      numbers[f"class_entropy_{domain}"] = inception_score(logits, splits=1).class_entropy
      numbers[f"classifier_{domain}"] = judges[domain].accuracy
    same = np.all(np.stack(found) == found[0], axis=0)
    protocol = {"samples": n, "classifiers": "one of each domain, trained on its labels; their accuracy stands beside"}
    return Judgement({"same_label": float(same.mean())} | numbers, protocol)

  explained = {"same_label": ("same label", "the share of latents that show the same in all domains, by classifiers")}
  for domain in game.domains:
    explained[f"class_entropy_{domain}"] = (f"class entropy of {domain}", "of what its classifier finds, in nats")
    explained[f"classifier_{domain}"] = (f"the classifier of {domain}", "its own accuracy on held-out images")
  return Evaluation(pictures=(picture,), judge=judge, explained=explained, headline=("same_label",))
