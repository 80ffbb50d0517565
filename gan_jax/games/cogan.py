"""CoGAN: images of several domains from one latent, without pairs. Liu and Tuzel 2016, "Coupled generative adversarial
networks":

    min_{G_x, G_y} max_{D_x, D_y} V(D_x, G_x) + V(D_y, G_y),

where the generators' first layers are the same, and so are the discriminators' last: what decides of what an image
shows is common, and what decides of how it looks is a domain's own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax import priors
from gan_jax.augment import Augment
from gan_jax.errors import at_least_one
from gan_jax.forward import Forward, forward
from gan_jax.game import Aux, DataSpec, Game, Move, Net, NetSpec, Number, Optimizers, Player, Scheduled, optimizer_of
from gan_jax.games import _domains
from gan_jax.games._abilities import evaluated
from gan_jax.games.gan import augmented
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.penalties import Critic, Penalty
from gan_jax.optim import at

_OWNS = {
  "discriminators": ("discriminator_first", "discriminator_last"),
  "generators": ("generator_first", "generator_last"),
  _domains.DOMAIN_DISCRIMINATOR: (_domains.DOMAIN_DISCRIMINATOR,),
}


def specs(data: DataSpec, *, latent_dim: int, domain_weight: float | None = None, **_: Any) -> dict[str, NetSpec]:
  """G in two parts, z -> maps -> x, and D likewise, x -> maps -> score; with a `domain_weight` a net beside it.

  Raises:
    ConfigError: if `latent_dim` is below 1, or the data has one domain alone.
  """
  at_least_one("latent_dim", latent_dim)
  domains = _domains.several(data, "cogan")
  return {
    "generator_first": NetSpec(((latent_dim,),), None),
    "generator_last": NetSpec(("generator_first",), data.x),
    "discriminator_first": NetSpec((data.x,), None),
    "discriminator_last": NetSpec(("discriminator_first",), ()),
  } | _domains.discriminator_specs("discriminator_first", domains, domain_weight)


def make(
  *,
  generator_first: Net,
  generator_last: Net,
  discriminator_first: Net,
  discriminator_last: Net,
  domain_discriminator: Net | None = None,
  loss: AdversarialLoss,
  tx: Optimizers,
  data: DataSpec,
  latent_dim: int,
  domain_weight: Number | None = None,
  penalty: Penalty | None = None,
  penalty_weight: Scheduled = 1.0,
  augment: Augment | None = None,
  prior: priors.Prior = priors.normal,
) -> Game:
  """The paper's game, of two domains or more. What domains share is one net; of what they do not, each has one.

  `sample(..., domain=)` gives one domain's images, by default the first one's: with the same latents, counterparts.
  Discriminators log mean scores "real" and "fake" over all domains.

  Args:
    generator_first: latents [B, latent_dim] to maps [B, ...], shared.
    generator_last: these to images [B, H, W, C]; one for each domain.
    discriminator_first, discriminator_last: images to maps, one for each domain; these to raw scores [B], shared.
    domain_discriminator: those maps to logits [B, domains].
    loss: V, the sum over domains of what generators and discriminators minimise of it.
    tx: one for all players, or a mapping by name: "generators", "discriminators", "domain_discriminator".
    data: its domains.
    latent_dim: size of the latent z.
    domain_weight: with which the discriminators maximise the domain discriminator's cross-entropy on the maps that the
      shared layers read, the gradient reversal of Ganin et al. 2016: then real and generated images are not judged by
      which domain they are of. None leaves this net out.
    penalty: on each domain's discriminator, one of `losses.penalties`; their sum, without the weight, is logged as
      "penalty". One of gradients asks for discriminators without batch norm.
    penalty_weight: what it is multiplied with; a number, or a schedule of the round.
    augment: of all images that are judged, by the domain discriminator too, as in `gan.pair`.
    prior: `(key, shape) -> z`.
  """
  domains = data.domains
  nets = {
    "generator_first": generator_first,
    "generator_last": _domains.each(generator_last, len(domains)),
    "discriminator_first": _domains.each(discriminator_first, len(domains)),
    "discriminator_last": discriminator_last,
  }
  nets |= {} if domain_discriminator is None else {_domains.DOMAIN_DISCRIMINATOR: domain_discriminator}
  latent = lambda key, n: prior(key, (n, latent_dim))
  losses = _losses(_play(nets, domains, latent, augment), loss, penalty, penalty_weight, domain_weight)
  if domain_weight is not None:
    losses[_domains.DOMAIN_DISCRIMINATOR] = _domain_loss(nets, domains, augment)
  return Game(
    nets=nets,
    players={name: Player(_OWNS[name], its_loss, optimizer_of(tx, name)) for name, its_loss in losses.items()},
    moves=tuple(Move((name,), draws=name == "discriminators") for name in losses),
    sample=_sampler(nets, domains, latent),
    domains=domains,
    averaged=("generator_first", "generator_last"),
  )


class _Play(NamedTuple):
  """One batch as all discriminators see it; of every entry but the last there is one for each domain.

  Attributes:
    seen: the data and the generated data themselves, pairs of [B, ...], augmented.
    maps: what the shared layers read of the data.
    real: scores of the data, [B].
    fake: scores of generated data, [B].
    critics: `x -> scores` in training, pure functions, for penalties.
    keys: for what a penalty draws, [domains].
    step: rounds played.
  """

  seen: Sequence[tuple[jax.Array, jax.Array]]
  maps: Sequence[jax.Array]
  real: Sequence[jax.Array]
  fake: Sequence[jax.Array]
  critics: Sequence[Critic]
  keys: jax.Array
  step: jax.Array


def _play(
  nets: Mapping[str, Net],
  domains: Sequence[str],
  latent: Callable[[jax.Array, int], jax.Array],
  augment: Augment | None,
) -> Callable[..., tuple[Forward, _Play]]:
  """`(params, state, batch, key) -> (use, _Play)`: what both losses begin with."""
  n = len(domains)

  def play(params, state, batch, key):
    z_key, net_key, augment_key, penalty_key = jax.random.split(key, 4)  # the first three as before there was a penalty
    use, x = forward(nets, params, state, net_key), [batch[domain] for domain in domains]
    drawn = use("generator_first", latent(z_key, len(x[0])))
    fakes = [use("generator_last", drawn, i) for i in range(n)]
    chex.assert_equal_shape([*x, *fakes])
    seen = augmented((*x, *fakes), augment, augment_key)
    maps = [use("discriminator_first", each, i % n) for i, each in enumerate(seen)]
    scores = [use("discriminator_last", each) for each in maps]
    last = use.function("discriminator_last")
    firsts = [use.function("discriminator_first", i) for i in range(n)]
    critics = [lambda x, first=first: last(first(x)) for first in firsts]
    pairs, keys = list(zip(seen[:n], seen[n:])), jax.random.split(penalty_key, n)
    return use, _Play(pairs, maps[:n], scores[:n], scores[n:], critics, keys, state.step)

  return play


def _losses(
  play: Callable[..., tuple[Forward, _Play]],
  loss: AdversarialLoss,
  penalty: Penalty | None,
  penalty_weight: Scheduled,
  domain_weight: Number | None,
) -> dict[str, Callable]:
  """What discriminators and generators minimise: sums over domains."""
  total = lambda terms: sum(terms, jnp.zeros(()))

  def discriminators_loss(params, state, batch, key):
    use, played = play(params, state, batch, key)
    value = total(map(loss.discriminator, played.real, played.fake))
    metrics = {"real": _domains.mean(played.real), "fake": _domains.mean(played.fake)}
    if penalty is not None:
      cost = total(penalty(D, *x, k) for D, x, k in zip(played.critics, played.seen, played.keys))
      value, metrics = value + at(penalty_weight, played.step) * cost, metrics | {"penalty": cost}
    if domain_weight is not None:
      value -= domain_weight * _domains.domain_loss(use, played.maps)
    return value, Aux(use.stats, metrics=metrics)

  def generators_loss(params, state, batch, key):
    use, played = play(params, state, batch, key)
    return total(map(loss.generator, played.fake, played.real)), Aux(use.stats)

  return {"discriminators": discriminators_loss, "generators": generators_loss}


def _domain_loss(nets: Mapping[str, Net], domains: Sequence[str], augment: Augment | None) -> Callable:
  """What the domain discriminator minimises, on maps of the data."""

  def domain_discriminator_loss(params, state, batch, key):
    net_key, augment_key = jax.random.split(key)
    use, x = forward(nets, params, state, net_key), tuple(batch[domain] for domain in domains)
    maps = [use("discriminator_first", each, i) for i, each in enumerate(augmented(x, augment, augment_key))]
    return _domains.domain_loss(use, maps), Aux(use.stats)

  return domain_discriminator_loss


def _sampler(nets: Mapping[str, Net], domains: Sequence[str], latent: Callable) -> Callable[..., jax.Array]:
  """`Game.sample`, of one domain."""

  def sample(params, stats, key, count, latents=None, domain=domains[0]):
    z = latent(key, count) if latents is None else latents
    trained = evaluated(nets)
    return trained("generator_last", params, stats, trained("generator_first", params, stats, z), domains.index(domain))

  return sample
