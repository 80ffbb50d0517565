"""Two players, one score: any adversarial pair of losses as a game. Goodfellow et al. 2014, algorithm 1."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from gan_jax.game import Aux, Game, Move, Net, Optimizers, Player, optimizer_of
from gan_jax.losses.adversarial import AdversarialLoss


def make(
  *,
  generator: Net,
  discriminator: Net,
  loss: AdversarialLoss,
  tx: Optimizers,
  latent_dim: int = 64,
  prior: Callable[[jax.Array, tuple[int, ...]], jax.Array] = jax.random.normal,
  discriminator_steps: int = 1,
  simultaneous: bool = False,
) -> Game:
  """The game of a generator against a discriminator.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    discriminator: data [B, ...] to raw scores [B].
    loss: what each of them minimises.
    tx: one optimiser for both players, or a mapping with one for "discriminator" and one for "generator".
    latent_dim: size of the latent z.
    prior: `(key, shape) -> z`.
    discriminator_steps: discriminator moves a round, each with a batch and latents of its own.
    simultaneous: both players move at once from the same state, in place of one after the other.

  Raises:
    ValueError: if `latent_dim` or `discriminator_steps` is below 1, or the players move at once and the discriminator
      moves more than once.
  """
  if latent_dim < 1 or discriminator_steps < 1:
    raise ValueError(f"latent_dim is {latent_dim}, discriminator_steps is {discriminator_steps}; both have to be at least 1")
  if simultaneous and discriminator_steps != 1:
    raise ValueError(f"players that move at once move once: discriminator_steps is {discriminator_steps}, not 1")

  def generate(params, stats, key, n, train):
    z_key, net_key = jax.random.split(key)
    z = prior(z_key, (n, latent_dim))
    return generator.apply(params["generator"], stats["generator"], z, key=net_key, train=train)

  def play(params, state, batch, key):
    """Real and generated scores on one batch, and the statistics that this moved."""
    generate_key, real_key, fake_key = jax.random.split(key, 3)
    x = batch["x"]
    fake, generator_stats = generate(params, state.stats, generate_key, len(x), train=True)
    chex.assert_equal_shape([fake, x])
    weights, stats = params["discriminator"], state.stats["discriminator"]
    real_score, stats = discriminator.apply(weights, stats, x, key=real_key)
    fake_score, stats = discriminator.apply(weights, stats, fake, key=fake_key)
    return real_score, fake_score, {"generator": generator_stats, "discriminator": stats}

  def discriminator_loss(params, state, batch, key):
    real, fake, stats = play(params, state, batch, key)
    metrics = {"real": jnp.mean(real), "fake": jnp.mean(fake)}
    return loss.discriminator(real, fake), Aux({"discriminator": stats["discriminator"]}, metrics=metrics)

  def generator_loss(params, state, batch, key):
    real, fake, stats = play(params, state, batch, key)
    return loss.generator(fake, real), Aux({"generator": stats["generator"]})

  def sample(params, stats, key, n):
    return generate(params, stats, key, n, train=False)[0]

  players = ("discriminator", "generator")
  in_turn = (Move(("discriminator",), discriminator_steps), Move(("generator",), draws=False))
  return Game(
    nets={"generator": generator, "discriminator": discriminator},
    players={
      "discriminator": Player(("discriminator",), discriminator_loss, optimizer_of(tx, "discriminator")),
      "generator": Player(("generator",), generator_loss, optimizer_of(tx, "generator")),
    },
    moves=(Move(players),) if simultaneous else in_turn,
    sample=sample,
  )
