"""VAE-GAN: a variational autoencoder whose decoder is a GAN's generator. Larsen, Sønderby, Larochelle and Winther 2016,
"Autoencoding beyond pixels using a learned similarity metric", algorithm 1:

    L_prior = KL(q(z|x) || N(0, I)),    L_llike = -E_q[log N(f(x); f(G(z)), I)],    L_GAN = V(D, G),
    Enc minimises L_prior + L_llike,    G minimises gamma L_llike + L_GAN,    D minimises -L_GAN,

where f(x) is what a layer of the discriminator makes of x, or x itself, and L_GAN sees reconstructions G(z) with
z ~ q(z|x) and samples G(z) with z ~ N(0, I) beside data. Algorithm 1 writes L_GAN with the other sign in both steps.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax import priors
from gan_jax.errors import ConfigError, at_least_one
from gan_jax.forward import Forward, forward
from gan_jax.game import Aux, DataSpec, Game, Move, Net, NetSpec, Optimizers, Player, Scheduled, optimizer_of
from gan_jax.games._abilities import evaluated, judgements, sampler
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.variational import gaussian_negative_log_likelihood, kl_to_standard_normal, reparameterised
from gan_jax.optim import at

SIMILARITIES = ("features", "pixels")


def specs(data: DataSpec, *, latent_dim: int, **_: Any) -> dict[str, NetSpec]:
  """Enc: x -> mean and log-variance of z, G: z -> x, a trunk x -> features, and D's score of these.

  Raises:
    ConfigError: if `latent_dim` is below 1.
  """
  at_least_one("latent_dim", latent_dim)
  return {
    "encoder": NetSpec((data.x,), (2 * latent_dim,)),
    "generator": NetSpec(((latent_dim,),), data.x),
    "trunk": NetSpec((data.x,), None),
    "discriminator": NetSpec(("trunk",), ()),
  }


class Play(NamedTuple):
  """One batch through all nets, of which the three players' losses are made.

  Attributes:
    kl: L_prior of each example, [B], nats.
    likelihood: L_llike of each, [B], nats.
    real, reconstructed, sampled: D's raw scores, [B] each.
  """

  kl: jax.Array
  likelihood: jax.Array
  real: jax.Array
  reconstructed: jax.Array
  sampled: jax.Array


def make(
  *,
  encoder: Net,
  generator: Net,
  trunk: Net,
  discriminator: Net,
  loss: AdversarialLoss,
  tx: Optimizers,
  latent_dim: int,
  gamma: Scheduled = 1.0,
  kl_weight: Scheduled = 1.0,
  similarity: str = "features",
) -> Game:
  """The paper's game: three players move at once, on one forward pass.

  The encoder logs "kl" and "likelihood", L_prior and L_llike in nats an example; D its mean scores "real",
  "reconstructed" and "sampled". `encode` gives the mean of q(z|x).

  Args:
    encoder: data [B, ...] to [B, 2 latent_dim], means first, then log-variances.
    generator: latents [B, latent_dim] to data [B, ...].
    trunk: data [B, ...] to features [B, ...], those of `similarity` and D's.
    discriminator: features to raw scores [B].
    loss: V. Each side is the mean of what it is on reconstructions and on samples: data counts as much as both of them
      together, and at the optimum D is 1/2. Algorithm 1 has the sum over the three, in which data counts half.
    tx: one optimizer for all players, or a mapping by name; "discriminator" owns the trunk too.
    latent_dim: size of the latent z.
    gamma: weight of L_llike in G's loss; a number, or a schedule of the round.
    kl_weight: of L_prior in the encoder's loss, the paper's 1; a number, or a schedule of the round.
    similarity: what L_llike compares, "features" of the trunk, as the paper proposes, or "pixels".

  Raises:
    ConfigError: if `similarity` is unknown.
  """
  if similarity not in SIMILARITIES:
    raise ConfigError(f"similarity is {similarity!r}; it is {' or '.join(map(repr, SIMILARITIES))}")
  nets = {"encoder": encoder, "generator": generator, "trunk": trunk, "discriminator": discriminator}
  losses = _losses(_play(nets, latent_dim, similarity), loss, gamma, kl_weight)
  trained = evaluated(nets)
  encode = lambda params, stats, key, x: trained("encoder", params, stats, x)[:, :latent_dim]
  owns = {"encoder": ("encoder",), "generator": ("generator",), "discriminator": ("trunk", "discriminator")}
  return Game(
    nets=nets,
    players={name: Player(owned, losses[name], optimizer_of(tx, name)) for name, owned in owns.items()},
    moves=(Move(("encoder", "generator", "discriminator"), shared_key=True),),
    sample=sampler(nets, lambda key, n: priors.normal(key, (n, latent_dim))),
    encode=encode,
    **judgements(nets, "discriminator", lambda params, stats, x: (trained("trunk", params, stats, x),), "trunk"),
    averaged=("generator", "encoder"),
  )


def _losses(
  play: Callable[..., tuple[Forward, Play]], loss: AdversarialLoss, gamma: Scheduled, kl_weight: Scheduled
) -> dict[str, Callable]:
  """What each player minimises."""

  def encoder_loss(params, state, batch, key):
    use, played = play(params, state, batch, key)
    kl, likelihood = played.kl.mean(), played.likelihood.mean()
    return at(kl_weight, state.step) * kl + likelihood, Aux(use.stats, metrics={"kl": kl, "likelihood": likelihood})

  def generator_loss(params, state, batch, key):
    use, played = play(params, state, batch, key)
    fool = [loss.generator(fake, played.real) for fake in (played.reconstructed, played.sampled)]
    return at(gamma, state.step) * played.likelihood.mean() + 0.5 * sum(fool), Aux(use.stats)

  def discriminator_loss(params, state, batch, key):
    use, played = play(params, state, batch, key)
    judge = [loss.discriminator(played.real, fake) for fake in (played.reconstructed, played.sampled)]
    scores = {name: getattr(played, name).mean() for name in ("real", "reconstructed", "sampled")}
    return 0.5 * sum(judge), Aux(use.stats, metrics=scores)

  return {"encoder": encoder_loss, "generator": generator_loss, "discriminator": discriminator_loss}


def _play(nets: Mapping[str, Net], latent_dim: int, similarity: str) -> Callable[..., tuple[Forward, Play]]:
  """`(params, state, batch, key) -> (use, Play)`."""

  def play(params, state, batch, key):
    posterior_key, prior_key, net_key = jax.random.split(key, 3)
    use, x = forward(nets, params, state, net_key), batch["x"]
    mean, log_variance = jnp.split(use("encoder", x), 2, axis=1)
    reconstruction = use("generator", reparameterised(posterior_key, mean, log_variance))
    sample = use("generator", priors.normal(prior_key, (len(x), latent_dim)))
    chex.assert_equal_shape([reconstruction, sample, x])
    features = [use("trunk", each) for each in (x, reconstruction, sample)]
    compared = (features[0], features[1]) if similarity == "features" else (x, reconstruction)
    scores = [use("discriminator", each) for each in features]
    return use, Play(kl_to_standard_normal(mean, log_variance), gaussian_negative_log_likelihood(*compared), *scores)

  return play
