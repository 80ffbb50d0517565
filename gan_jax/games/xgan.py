"""XGAN: translation that keeps what an embedding says of an image. Royer et al. 2017, "XGAN: unsupervised
image-to-image translation for many-to-many mappings", section 3. With e the encoders and d the decoders of domains 1
and 2, and g12(x) = d2(e1(x)),

    L_rec  = E ||x1 - d1(e1(x1))||_2                       of each domain,
    L_dann = E l(1, c(e1(x1))) + E l(2, c(e2(x2))),        which c minimises and the encoders maximise,
    L_sem  = E ||e1(x1) - e2(g12(x1))||_1                  each way,
    L_gan  = V(D2, g12)                                    each way,
    L_teach = E ||T(x1) - e1(x1)||_1                       of one domain, for a trained network T.

The encoders' last layers are the same, and so are the decoders' first.
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import chex

from gan_jax.errors import ConfigError
from gan_jax.forward import forward
from gan_jax.game import Aux, DataSpec, Game, Net, NetSpec, Number, Optimizers
from gan_jax.games import _domains, _features
from gan_jax.games._abilities import evaluated
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.reconstruction import l1, l2


def specs(
  data: DataSpec, *, teacher_weight: float | None = None, pretraining: bool = False, **_: Any
) -> dict[str, NetSpec]:
  """Encoders and generators in two parts each, x -> maps -> embedding -> maps -> x, discriminators, and c.

  With a `teacher_weight` there is T too, and while that is trained a classifier on it.

  Raises:
    ConfigError: if the data has one domain alone, or no labels to train T on.
  """
  domains = _domains.several(data, "xgan")
  of_game = _domains.autoencoder(data) | _domains.discriminator_specs("encoder_last", domains, 1.0)
  return of_game | _features.specs(data, "teacher", teacher_weight, pretraining)


def make(
  *,
  encoder_first: Net,
  encoder_last: Net,
  generator_first: Net,
  generator_last: Net,
  discriminator: Net,
  domain_discriminator: Net,
  teacher: Net | None = None,
  classifier: Net | None = None,
  loss: AdversarialLoss,
  tx: Optimizers,
  data: DataSpec,
  reconstruction_weight: Number = 1.0,
  domain_weight: Number = 1.0,
  semantic_weight: Number = 1.0,
  adversarial_weight: Number = 1.0,
  teacher_weight: Number | None = None,
  pretraining: bool = False,
) -> Game:
  """The paper's game, of two domains or more, each pair of them both ways.

  The translators log "reconstruction", "semantic", "adversarial" and "teacher", sums without weights; the
  discriminators their mean scores "real" and "fake", and "domain", the cross-entropy of c in nats.

  Args:
    encoder_first: images [B, H, W, C] to maps; one for each domain.
    encoder_last: these to embeddings [B, ...], shared.
    generator_first: embeddings to maps, shared.
    generator_last: these to images; one for each domain.
    discriminator: images to raw scores [B, ...], one for an image or one a patch; one for each domain.
    domain_discriminator: c, embeddings to logits [B, domains]; the discriminators own it.
    teacher: T, images to what has the shape of embeddings; nobody moves it but its own training.
    classifier: T's output to logits [B, classes], in that training.
    loss: of scores.
    tx: one optimizer for all players, or a mapping with one for "translators" and one for "discriminators", and in T's
      training one for "teacher".
    data: its domains, and how many labels there are.
    reconstruction_weight, domain_weight, semantic_weight, adversarial_weight: of L_rec, L_dann, L_sem and L_gan. Norms
      are means over pixels or entries, that of L_rec a mean square; L_dann is the mean over domains, of two half of the
      above.
    teacher_weight: of L_teach, which is of the first domain. None leaves T out.
    pretraining: T learns the labels of the first domain, and nobody else moves: the first stage of a run.

  Raises:
    ConfigError: as `specs`; if `pretraining` is set without a teacher.
  """
  domains, n = data.domains, len(data.domains)
  nets = _domains.translators(encoder_first, encoder_last, generator_first, generator_last, discriminator, n)
  nets |= {_domains.DOMAIN_DISCRIMINATOR: domain_discriminator}
  weights = (reconstruction_weight, domain_weight, semantic_weight, adversarial_weight)
  known = {} if teacher is None else {"teacher": teacher}
  translate = _translators_loss({**nets, **known}, domains, loss, weights, teacher_weight)
  judge = _discriminators_loss(nets, domains, loss)
  play = functools.partial(_domains.translation_game, nets, domains, judge, translate)
  return _features.beside(play, "teacher", teacher, classifier, domains[0], pretraining, tx)


def _translators_loss(
  nets: Mapping[str, Net],
  domains: Sequence[str],
  loss: AdversarialLoss,
  weights: tuple[Number, ...],
  teacher_weight: Number | None,
) -> Callable:
  """The losses at the top of this file, as encoders and decoders see them."""
  reconstruction_weight, domain_weight, semantic_weight, adversarial_weight = weights

  def translators_loss(params, state, batch, key):
    use, x = forward(nets, params, state, key), [batch[domain] for domain in domains]
    embeddings = [_domains.encode(use, image, i) for i, image in enumerate(x)]
    reconstruction = sum(l2(_domains.generate(use, e, i), x[i]) for i, e in enumerate(embeddings))
    semantic = adversarial = 0.0
    for i, j in itertools.permutations(range(len(domains)), 2):
      translated = _domains.generate(use, embeddings[i], j)
      chex.assert_equal_shape([translated, x[j]])
      semantic += l1(embeddings[i], _domains.encode(use, translated, j))
      adversarial += loss.generator(use("discriminator", translated, j), use("discriminator", x[j], j))
    value = reconstruction_weight * reconstruction + semantic_weight * semantic + adversarial_weight * adversarial
    value -= domain_weight * _domains.domain_loss(use, embeddings)
    logged = {"reconstruction": reconstruction, "semantic": semantic, "adversarial": adversarial}
    if teacher_weight is not None:
      known = evaluated(nets)("teacher", params, state.stats, x[0])
      if known.shape != embeddings[0].shape:
        shapes = " and ".join(str(list(each.shape[1:])) for each in (known, embeddings[0]))
        raise ConfigError(f"the teacher gives what has the shape of embeddings, and these are {shapes}")
      logged["teacher"] = l1(known, embeddings[0])
      value += teacher_weight * logged["teacher"]
    return value, Aux(use.stats, metrics=logged)

  return translators_loss


def _discriminators_loss(nets: Mapping[str, Net], domains: Sequence[str], loss: AdversarialLoss) -> Callable:
  """Of each domain's data against translations from every other one, and c's cross-entropy."""

  def discriminators_loss(params, state, batch, key):
    use, x = forward(nets, params, state, key), [batch[domain] for domain in domains]
    embeddings = [_domains.encode(use, image, i) for i, image in enumerate(x)]
    value, metrics = _domains.judgement(use, loss, x, embeddings)
    domain = _domains.domain_loss(use, embeddings)
    return value + domain, Aux(use.stats, metrics=metrics | {"domain": domain})

  return discriminators_loss
