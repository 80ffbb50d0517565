"""What games of several domains share: a net for each domain under one name, and a domain discriminator."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp

from gan_jax.errors import ConfigError
from gan_jax.forward import Forward
from gan_jax.game import DataSpec, Game, Move, Net, NetSpec, Number, Optimizers, Player, optimizer_of
from gan_jax.games._abilities import evaluated, translations
from gan_jax.losses import information
from gan_jax.losses.adversarial import AdversarialLoss

DOMAIN_DISCRIMINATOR = "domain_discriminator"
TRANSLATORS = ("encoder_first", "encoder_last", "generator_first", "generator_last")


def several(data: DataSpec, game: str) -> tuple[str, ...]:
  """The domains of the data.

  Raises:
    ConfigError: if there are not at least two.
  """
  if len(data.domains) < 2:
    raise ConfigError(
      f"the game {game} is played on two domains or more, and the data has {', '.join(data.domains)} alone; take "
      "mnist2colour, mnist3, or a folder with trainA and trainB"
    )
  return data.domains


def each(net: Net, domains: int) -> Net:
  """A net for each of so many domains as one: its last input is the number of the domain whose net it then is.

  Args:
    net: with any start: each domain's starts from a key of its own.
    domains: how many.

  Returns:
    A net whose parameters and statistics have a leading axis [domains, ...]. `apply(params, stats, *inputs, domain)`
    takes an integer or an int32 scalar, and moves the statistics of that domain alone. Where one loss calls it for
    several domains, `Forward` averages what the calls leave, so that each domain's statistics move by so much less.
  """

  def init(key):
    return jax.vmap(net.init)(jax.random.split(key, domains))

  def apply(params, stats, *inputs, key=None, train=True):
    *inputs, domain = inputs
    output, moved = net.apply(*of((params, stats), domain), *inputs, key=key, train=train)
    return output, put(stats, domain, moved)

  return Net(init, apply)


def of(tree: Any, domain: int | jax.Array) -> Any:
  """What one domain has of a pytree with a leading axis [domains, ...]."""
  return jax.tree.map(lambda leaf: leaf[domain], tree)


def put(tree: Any, domain: int | jax.Array, own: Any) -> Any:
  """The pytree with a leading axis [domains, ...] in which one domain has `own`."""
  return jax.tree.map(lambda leaf, one: leaf.at[domain].set(one), tree, own)


def all_ways(domains: Sequence[str], one: Callable[..., jax.Array]) -> dict[str, Any]:
  """`Game.translate` and `directions` between each two domains, by `(params, stats, x, here, there)`, their numbers."""

  def way(here, there):
    return lambda params, stats, key, x: one(params, stats, x, here, there)

  pairs = itertools.permutations(enumerate(domains), 2)
  return translations({(source, target): way(i, j) for (i, source), (j, target) in pairs})


def discriminator_specs(read: str, domains: Sequence[str], weight: Number | None) -> dict[str, NetSpec]:
  """The domain discriminator, which classifies what the net `read` gives; without a weight there is none."""
  return {} if weight is None else {DOMAIN_DISCRIMINATOR: NetSpec((read,), (len(domains),))}


def domain_loss(use: Forward, latents: Sequence[jax.Array]) -> jax.Array:
  """The domain discriminator's cross-entropy on latents [B, ...] of each domain, in nats; chance is log(domains)."""
  of_domain = lambda i, codes: information.categorical_log_likelihood(
    use(DOMAIN_DISCRIMINATOR, codes), jnp.full(len(codes), i, jnp.int32)
  )
  chex.assert_equal_shape(latents)
  return -jnp.mean(jnp.stack([of_domain(i, codes) for i, codes in enumerate(latents)]))


def autoencoder(data: DataSpec) -> dict[str, NetSpec]:
  """Encoders x -> maps -> latent and generators latent -> maps -> x in two parts each, and discriminators.

  `translators` makes nets of them: of the first part of the encoders, the last of the generators and the discriminators
  each domain has its own; what lies between is one array, shared.
  """
  inputs = (data.x, "encoder_first", "encoder_last", "generator_first")
  outputs = (None, None, None, data.x)
  nets = {name: NetSpec((given,), output) for name, given, output in zip(TRANSLATORS, inputs, outputs)}
  return nets | {"discriminator": NetSpec((data.x,), None)}


def translators(
  encoder_first: Net, encoder_last: Net, generator_first: Net, generator_last: Net, discriminator: Net, domains: int
) -> dict[str, Net]:
  """The nets of `autoencoder`, of so many domains."""
  own = {"encoder_first": encoder_first, "generator_last": generator_last, "discriminator": discriminator}
  shared = {"encoder_last": encoder_last, "generator_first": generator_first}
  return {name: each(net, domains) for name, net in own.items()} | shared


def encode(use: Callable[..., jax.Array], x: jax.Array, domain: int) -> jax.Array:
  """Images of a domain to latents."""
  return use("encoder_last", use("encoder_first", x, domain))


def generate(use: Callable[..., jax.Array], z: jax.Array, domain: int) -> jax.Array:
  """Latents to images of a domain."""
  return use("generator_last", use("generator_first", z), domain)


def judgement(
  use: Forward, loss: AdversarialLoss, x: Sequence[jax.Array], latents: Sequence[jax.Array]
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """What discriminators minimise of each domain's images against translations from every other one, and mean scores."""
  pairs = [*itertools.permutations(range(len(x)), 2)]
  real = [use("discriminator", images, i) for i, images in enumerate(x)]
  fake = [use("discriminator", generate(use, latents[i], j), j) for i, j in pairs]
  value = jnp.sum(jnp.stack([loss.discriminator(real[j], scores) for (_, j), scores in zip(pairs, fake)]))
  return value, {"real": mean(real), "fake": mean(fake)}


def mean(scores: Sequence[jax.Array]) -> jax.Array:
  """The mean over domains of the mean of each array."""
  return jnp.mean(jnp.stack([each.mean() for each in scores]))


def translation_game(
  nets: Mapping[str, Net], domains: Sequence[str], judge: Callable, translate: Callable, tx: Optimizers
) -> Game:
  """The game of `translators` as one player against "discriminators", who own all other nets.

  Args:
    nets: of the game.
    domains: their names.
    judge: the discriminators' loss.
    translate: the translators' loss.
    tx: one optimizer for both players, or a mapping by name.
  """
  rest = tuple(name for name in nets if name not in TRANSLATORS)

  def translated(params, stats, x, here, there):
    use = lambda name, *inputs: evaluated(nets)(name, params, stats, *inputs)
    return generate(use, encode(use, x, here), there)

  return Game(
    nets=nets,
    players={
      "discriminators": Player(rest, judge, optimizer_of(tx, "discriminators")),
      "translators": Player(TRANSLATORS, translate, optimizer_of(tx, "translators")),
    },
    moves=(Move(("discriminators",)), Move(("translators",), draws=False)),
    averaged=TRANSLATORS,
    **all_ways(domains, translated),
  )
