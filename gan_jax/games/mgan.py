"""MGAN: several generators that a classifier distinguishes. Hoang, Nguyen, Le and Phung 2018:

    min_{G_1..G_K, C} max_D V(D, G) - beta E[log C_k(G_k(z))],

with k uniform. D and C are heads on one trunk. At the best C the last term is -beta times the Jensen-Shannon divergence
of the K generators, up to a constant: they keep apart, while their mixture comes to the data.
"""

from collections.abc import Callable, Mapping
from typing import Any

import chex
import jax

from gan_jax import priors
from gan_jax.errors import ConfigError, at_least_one
from gan_jax.forward import forward
from gan_jax.game import Aux, DataSpec, Game, Move, Net, NetSpec, Optimizers, Player, Scheduled, optimizer_of
from gan_jax.games._abilities import evaluated, judgements, sampler
from gan_jax.games._members import mixture, places, share
from gan_jax.games.gan import noisy
from gan_jax.losses import information
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.optim import at


def specs(data: DataSpec, *, latent_dim: int, members: int, **_: Any) -> dict[str, NetSpec]:
  """One generator z -> x, a trunk x -> features, and two heads on it: D's score, and C's logits of the members.

  Raises:
    ConfigError: if `latent_dim` is below 1, or `members` below 2.
  """
  at_least_one("latent_dim", latent_dim)
  at_least_one("members", members)
  if members < 2:
    raise ConfigError(f"members is {members}; a classifier needs at least 2 to distinguish")
  return {
    "generator": NetSpec(((latent_dim,),), data.x),
    "trunk": NetSpec((data.x,), None),
    "discriminator": NetSpec(("trunk",), ()),
    "classifier": NetSpec(("trunk",), (members,)),
  }


def make(
  *,
  generator: Net,
  trunk: Net,
  discriminator: Net,
  classifier: Net,
  loss: AdversarialLoss,
  tx: Optimizers,
  latent_dim: int,
  members: int,
  diversity_weight: Scheduled = 1.0,
  instance_noise: Scheduled | None = None,
  prior: priors.Prior = priors.normal,
) -> Game:
  """The game of `members` generators against a trunk with two heads.

  D logs its mean scores "real" and "fake". Both players log "jensen_shannon", E[log C_k] + log K: a lower bound, as far
  as a batch can tell, of the divergence of the generators, at most log K nats.

  Args:
    generator: latents [B, latent_dim] to data [B, ...]; each member is such a net, from a start of its own. The paper's
      share all layers but the first.
    trunk: data [B, ...] to features.
    discriminator: features to raw scores [B].
    classifier: features to logits [B, members].
    loss: V, what generators and discriminator minimise of it.
    tx: one optimizer for both players, or a mapping by name; "discriminator" owns trunk and classifier too.
    latent_dim: size of the latent z.
    members: K, how many generators there are. Where a batch does not divide by them, see `_members.places`.
    diversity_weight: beta, in both players' losses; a number, or a schedule of the round.
    instance_noise: standard deviation, in units of the data, of Gaussian noise on all that the trunk sees in training;
      a number, a schedule of the round, or None.
    prior: `(key, shape) -> z`.
  """
  nets = {"generator": mixture(generator, members), "trunk": trunk, "discriminator": discriminator}
  nets["classifier"] = classifier

  use = evaluated(nets)
  play = _play(nets, lambda key, n: prior(key, (n, latent_dim)), members, diversity_weight, instance_noise)

  def discriminator_loss(params, state, batch, key):
    use, real, fake, diversity, known = play(params, state, batch, key)
    metrics = {"real": real.mean(), "fake": fake.mean()} | known
    return loss.discriminator(real, fake) - diversity, Aux(use.stats, metrics=metrics)

  def generator_loss(params, state, batch, key):
    use, real, fake, diversity, known = play(params, state, batch, key)
    return loss.generator(fake, real) - diversity, Aux(use.stats, metrics=known)

  owns = {"discriminator": ("trunk", "discriminator", "classifier"), "generator": ("generator",)}
  losses = {"discriminator": discriminator_loss, "generator": generator_loss}
  return Game(
    nets=nets,
    players={name: Player(owned, losses[name], optimizer_of(tx, name)) for name, owned in owns.items()},
    moves=(Move(("discriminator",)), Move(("generator",), draws=False)),
    sample=sampler(nets, lambda key, n: prior(key, (n, latent_dim))),
    **judgements(nets, "discriminator", lambda params, stats, x: (use("trunk", params, stats, x),), "trunk"),
  )


def _play(
  nets: Mapping[str, Net],
  latent: Callable[[jax.Array, int], jax.Array],
  members: int,
  weight: Scheduled,
  instance_noise: Scheduled | None,
) -> Callable[..., tuple]:
  """`(params, state, batch, key) -> (use, D's real and fake scores, beta E[log C_k], what is logged)`, for both
  losses."""

  def play(params, state, batch, key):
    z_key, place_key, noise_key, net_key = jax.random.split(key, 4)
    use, n = forward(nets, params, state, net_key), len(batch["x"])
    place = places(place_key, n, members)
    fake = use("generator", latent(z_key, n), place)
    chex.assert_equal_shape([fake, batch["x"]])
    real, fake = (use("trunk", x) for x in noisy((batch["x"], fake), instance_noise, state.step, noise_key))
    log_c = information.categorical_log_likelihood(use("classifier", fake), place // share(n, members))
    known = {"jensen_shannon": information.bound(log_c, information.categorical_entropy(members))}
    diversity = at(weight, state.step) * log_c.mean()
    return use, use("discriminator", real), use("discriminator", fake), diversity, known

  return play
