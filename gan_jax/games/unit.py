"""UNIT: translation through a latent space that domains share. Liu, Breuel and Kautz 2017, "Unsupervised image-to-image
translation networks", equations 3 to 7. For domains 1 and 2, and likewise with the two exchanged,

    L_VAE1 = l1 KL(q1(z|x1) || N(0, I)) - l2 E[log p1(x1|z)],
    L_GAN1 = l0 (E[log D1(x1)] + E[log(1 - D1(G1(z2)))]),                                        z2 ~ q2(z|x2),
    L_CC1  = l3 (KL(q1(z|x1) || N(0, I)) + KL(q2(z|x12) || N(0, I))) - l4 E[log p1(x1|z)],       z ~ q2(z|x12),

with x12 = G2(z1), q = N(E(x), I) and p a Laplace distribution, so that -log p is an L1 distance. The encoders' last
layers are the same, and so are the generators' first.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import chex
import jax

from gan_jax.forward import forward
from gan_jax.game import Aux, DataSpec, Game, Net, NetSpec, Number, Optimizers
from gan_jax.games import _domains
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.reconstruction import l1
from gan_jax.losses.variational import kl_to_standard_normal, reparameterised


def specs(data: DataSpec, *, domain_weight: float | None = None, **_: Any) -> dict[str, NetSpec]:
  """Encoders and generators in two parts each, x -> maps -> latent -> maps -> x, and discriminators of any scores.

  With a `domain_weight` there is a domain discriminator of latents too.

  Raises:
    ConfigError: if the data has one domain alone.
  """
  domains = _domains.several(data, "unit")
  return _domains.autoencoder(data) | _domains.discriminator_specs("encoder_last", domains, domain_weight)


def make(
  *,
  encoder_first: Net,
  encoder_last: Net,
  generator_first: Net,
  generator_last: Net,
  discriminator: Net,
  domain_discriminator: Net | None = None,
  loss: AdversarialLoss,
  tx: Optimizers,
  data: DataSpec,
  kl_weight: Number = 0.01,
  reconstruction_weight: Number = 10.0,
  cycle_kl_weight: Number = 0.01,
  cycle_weight: Number = 10.0,
  domain_weight: Number | None = None,
) -> Game:
  """The paper's game, of two domains or more, each pair of them both ways. Translations are of the mean of q(z|x).

  Weights are those of the paper's l0 = 10, l1 = l3 = 0.1, l2 = l4 = 100, divided by l0. The translators log
  "adversarial", "reconstruction", "kl" and "cycle", sums without weights; the discriminators their mean scores "real"
  and "fake", and with a `domain_weight` "domain", the cross-entropy of the domain discriminator, in nats.

  Args:
    encoder_first: images [B, H, W, C] to maps; one for each domain.
    encoder_last: these to latents [B, ...], the mean of q(z|x), shared.
    generator_first: latents to maps, shared.
    generator_last: these to images; one for each domain.
    discriminator: images to raw scores [B, ...], one for an image or one a patch; one for each domain.
    domain_discriminator: latents to logits [B, domains]; the discriminators own it.
    loss: of scores.
    tx: one optimizer for both players, or a mapping with one for "translators" and one for "discriminators".
    data: its domains.
    kl_weight: l1, of KL(q(z|x) || N(0, I)), here a mean over the entries of a latent, nats each.
    reconstruction_weight: l2, of ||x - G(z)||_1, a mean over pixels.
    cycle_kl_weight: l3, of the KL of x and of its translation, as l1.
    cycle_weight: l4, of ||x1 - G1(z)||_1 by way of domain 2, as l2.
    domain_weight: with which the encoders maximise that cross-entropy, so that latents do not depend on the domain;
      not in the paper. None leaves that net out.
  """
  domains, n = data.domains, len(data.domains)
  nets = _domains.translators(encoder_first, encoder_last, generator_first, generator_last, discriminator, n)
  nets |= {} if domain_discriminator is None else {_domains.DOMAIN_DISCRIMINATOR: domain_discriminator}
  weights = (kl_weight, reconstruction_weight, cycle_kl_weight, cycle_weight)
  judge = _discriminators_loss(nets, domains, loss, domain_weight)
  translate = _translators_loss(nets, domains, loss, weights, domain_weight)
  return _domains.translation_game(nets, domains, judge, translate, tx)


def _translators_loss(
  nets: Mapping[str, Net],
  domains: Sequence[str],
  loss: AdversarialLoss,
  weights: tuple[Number, ...],
  domain_weight: Number | None,
) -> Callable:
  """The losses at the top of this file, as encoders and generators see them."""
  kl_weight, reconstruction_weight, cycle_kl_weight, cycle_weight = weights
  divergence = lambda mean: kl_to_standard_normal(mean, 0.0).mean() / mean[0].size

  def translators_loss(params, state, batch, key):
    noise_key, net_key = jax.random.split(key)
    use, x = forward(nets, params, state, net_key), [batch[domain] for domain in domains]
    noise = iter(jax.random.split(noise_key, len(domains) ** 2))
    means = [_domains.encode(use, image, i) for i, image in enumerate(x)]
    latents = [reparameterised(next(noise), mean, 0.0) for mean in means]
    kl = sum(divergence(mean) for mean in means)
    reconstruction = sum(l1(_domains.generate(use, z, i), x[i]) for i, z in enumerate(latents))
    adversarial = cycle = cycle_kl = 0.0
    for i, j in itertools.permutations(range(len(domains)), 2):
      translated = _domains.generate(use, latents[i], j)
      chex.assert_equal_shape([translated, x[j]])
      adversarial += loss.generator(use("discriminator", translated, j), use("discriminator", x[j], j))
      back = _domains.encode(use, translated, j)
      cycle_kl += divergence(means[i]) + divergence(back)
      cycle += l1(_domains.generate(use, reparameterised(next(noise), back, 0.0), i), x[i])
    value = adversarial + kl_weight * kl + reconstruction_weight * reconstruction
    value += cycle_kl_weight * cycle_kl + cycle_weight * cycle
    if domain_weight is not None:
      value -= domain_weight * _domains.domain_loss(use, means)
    logged = {"adversarial": adversarial, "reconstruction": reconstruction, "kl": kl, "cycle": cycle}
    return value, Aux(use.stats, metrics=logged)

  return translators_loss


def _discriminators_loss(
  nets: Mapping[str, Net], domains: Sequence[str], loss: AdversarialLoss, domain_weight: Number | None
) -> Callable:
  """Of each domain's data against translations from every other one."""

  def discriminators_loss(params, state, batch, key):
    noise_key, net_key = jax.random.split(key)
    use, x = forward(nets, params, state, net_key), [batch[domain] for domain in domains]
    means = [_domains.encode(use, image, i) for i, image in enumerate(x)]
    latents = [reparameterised(k, mean, 0.0) for k, mean in zip(jax.random.split(noise_key, len(x)), means)]
    value, metrics = _domains.judgement(use, loss, x, latents)
    if domain_weight is not None:
      metrics["domain"] = _domains.domain_loss(use, means)
      value += metrics["domain"]
    return value, Aux(use.stats, metrics=metrics)

  return discriminators_loss
