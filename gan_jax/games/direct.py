"""Translation by one generator and one discriminator, without a way back. Taigman, Polyak and Wolf 2017, "Unsupervised
cross-domain image generation", equations 3 to 6, in which G reads the image itself and not f of it,
and D has two classes and not three: it judges G(x) alone, and not G(y):

    L_D = V(D, G),    L_G = V(G, D) + alpha ||f(x) - f(G(x))||^2 + beta ||G(y) - y||^2.

Without f only a shallow G keeps what an image shows, by its shape. For a deeper one the second term asks that f, a
trained network that is left as it is, gives the translation the same features.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import chex

from gan_jax.errors import ConfigError
from gan_jax.forward import forward
from gan_jax.game import Aux, DataSpec, Game, Move, Net, NetSpec, Number, Optimizers, Player, optimizer_of
from gan_jax.games import _features
from gan_jax.games._abilities import evaluated, translations
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.reconstruction import l2


def specs(
  data: DataSpec, *, consistency_weight: float | None = None, pretraining: bool = False, **_: Any
) -> dict[str, NetSpec]:
  """G, images to images, and D, images to scores of any shape; with a `consistency_weight` f, x -> features, and while
  that is trained a classifier on it.

  Raises:
    ConfigError: if the data does not have two domains, or no labels to train f on.
  """
  if len(data.domains) != 2:
    raise ConfigError(
      f"the game direct translates from one domain to another, and the data has {', '.join(data.domains)}; take "
      "mnist2colour, or a folder with trainA and trainB"
    )
  nets = {"generator": NetSpec((data.x,), data.x), "discriminator": NetSpec((data.x,), None)}
  return nets | _features.specs(data, "features", consistency_weight, pretraining)


def make(
  *,
  generator: Net,
  discriminator: Net,
  features: Net | None = None,
  classifier: Net | None = None,
  loss: AdversarialLoss,
  tx: Optimizers,
  data: DataSpec,
  consistency_weight: Number | None = None,
  identity_weight: Number | None = None,
  pretraining: bool = False,
) -> Game:
  """The game of a generator from the first domain to the second against a discriminator of the second.

  D logs its mean scores "real" and "fake", G its "adversarial", "consistency" and "identity" without weights.

  Args:
    generator: images of the first domain [B, H, W, C] to images of the second, the same shape.
    discriminator: images of the second to raw scores [B, ...], one for an image or one a patch.
    features: f, images to features [B, ...], frozen but for its own training.
    classifier: features to logits [B, classes], in that training.
    loss: of scores.
    tx: one optimizer for all players, or a mapping with one for "generator" and one for "discriminator", or for
      "features" alone in its training.
    data: its two domains, and how many labels there are.
    consistency_weight: alpha, of the mean square over features. None leaves f out.
    identity_weight: beta, of the mean square over pixels. None leaves the term out.
    pretraining: f learns the labels of the first domain, and nobody else moves: the first stage of a run.

  Raises:
    ConfigError: as `specs`.
  """
  x, y = data.domains
  nets = {"generator": generator, "discriminator": discriminator}
  known = {**nets} if features is None else {**nets, "features": features}

  judge = _discriminator_loss(nets, data.domains, loss)
  generate = _generator_loss(known, data.domains, loss, consistency_weight, identity_weight)
  translate = lambda params, stats, key, images: evaluated(nets)("generator", params, stats, images, key=key)
  losses = {"discriminator": judge, "generator": generate}
  play = lambda tx: Game(
    nets=nets,
    players={name: Player((name,), its_loss, optimizer_of(tx, name)) for name, its_loss in losses.items()},
    moves=(Move(("discriminator",)), Move(("generator",), draws=False)),
    **translations({(x, y): translate}),
  )
  return _features.beside(play, "features", features, classifier, x, pretraining, tx)


def _discriminator_loss(nets: Mapping[str, Net], domains: Sequence[str], loss: AdversarialLoss) -> Callable:
  x, y = domains

  def discriminator_loss(params, state, batch, key):
    use = forward(nets, params, state, key)
    real, fake = use("discriminator", batch[y]), use("discriminator", use("generator", batch[x]))
    return loss.discriminator(real, fake), Aux(use.stats, metrics={"real": real.mean(), "fake": fake.mean()})

  return discriminator_loss


def _generator_loss(
  nets: Mapping[str, Net],
  domains: Sequence[str],
  loss: AdversarialLoss,
  consistency_weight: Number | None,
  identity_weight: Number | None,
) -> Callable:
  """L_G at the top of this file."""
  x, y = domains

  def generator_loss(params, state, batch, key):
    use = forward(nets, params, state, key)
    translated = use("generator", batch[x])
    chex.assert_equal_shape([translated, batch[y]])
    value = loss.generator(use("discriminator", translated), use("discriminator", batch[y]))
    logged = {"adversarial": value}
    if consistency_weight is not None:
      f = lambda images: evaluated(nets)("features", params, state.stats, images)
      logged["consistency"] = l2(f(batch[x]), f(translated))
      value += consistency_weight * logged["consistency"]
    if identity_weight is not None:
      logged["identity"] = l2(use("generator", batch[y]), batch[y])
      value += identity_weight * logged["identity"]
    return value, Aux(use.stats, metrics=logged)

  return generator_loss
