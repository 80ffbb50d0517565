"""Energy-based GAN: the discriminator is an autoencoder, and its error the energy. Zhao, Mathieu and LeCun 2017:

    L_D = E(x) + [m - E(G(z))]^+,    L_G = E(G(z)) + w PT(Enc(G(z))),    E(x) = |Dec(Enc(x)) - x|^2 / dim(x).

The first two are their equations 1 and 2 and the pulling-away term PT of section 2.4. The paper writes the energy as a
norm without saying which; here it is the mean square over the entries of an example. So energies and the margin m are
in units of the data squared: of images in [-1, 1], between 0 and 4.
"""

from collections.abc import Callable, Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp

from gan_jax import priors
from gan_jax.errors import at_least_one
from gan_jax.forward import forward
from gan_jax.game import Aux, Batch, DataSpec, Game, Move, Net, NetSpec, Optimizers, Player, Scheduled, optimizer_of
from gan_jax.games._abilities import evaluated, sampler
from gan_jax.optim import at


def specs(data: DataSpec, *, latent_dim: int, **_: Any) -> dict[str, NetSpec]:
  """G: z -> x, and the autoencoder: x -> whatever the encoder gives -> x.

  Raises:
    ConfigError: if `latent_dim` is below 1.
  """
  at_least_one("latent_dim", latent_dim)
  return {
    "generator": NetSpec(((latent_dim,),), data.x),
    "encoder": NetSpec((data.x,), None),
    "decoder": NetSpec(("encoder",), data.x),
  }


def make(
  *,
  generator: Net,
  encoder: Net,
  decoder: Net,
  tx: Optimizers,
  latent_dim: int,
  margin: Scheduled,
  pulling_away_weight: Scheduled = 0.1,
  pretraining: bool = False,
  prior: priors.Prior = priors.normal,
) -> Game:
  """The paper's game. `score` is minus the energy, and `features` are what the encoder gives.

  D logs its mean energies "real" and "fake", G its "pulling_away" without the weight.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    encoder: data [B, ...] to representations [B, ...].
    decoder: these to data [B, ...].
    tx: one optimizer for both players, or a mapping by name; "discriminator" owns encoder and decoder.
    latent_dim: size of the latent z.
    margin: m, the energy up to which D pushes generated data; a number, or a schedule of the round. It lies between the
      energy of real data under a trained autoencoder and the data's variance, about that of an untrained one.
    pulling_away_weight: w; a number, or a schedule of the round. The paper's EBGAN-PT has 0.1, its EBGAN 0.
    pretraining: D minimises E(x) alone and G has no loss: the first stage of a run. No other setting says it: a margin
      of 0 keeps D from pushing, and G would still move to where the energy happens to be low.
    prior: `(key, shape) -> z`.
  """
  nets = {"generator": generator, "encoder": encoder, "decoder": decoder}
  latent = lambda key, n: prior(key, (n, latent_dim))
  judge = _discriminator_loss(nets, latent, margin, pretraining)
  generate = _generator_loss(nets, latent, pulling_away_weight, pretraining)
  trained = evaluated(nets)
  with_weights = lambda params, stats: lambda name, x: trained(name, params, stats, x)
  return Game(
    nets=nets,
    players={
      "discriminator": Player(("encoder", "decoder"), judge, optimizer_of(tx, "discriminator")),
      "generator": Player(("generator",), generate, optimizer_of(tx, "generator")),
    },
    moves=(Move(("discriminator",)), Move(("generator",), draws=False)),
    sample=sampler(nets, latent),
    score=lambda params, stats, x: -_autoencoded(with_weights(params, stats), x)[0],
    features=lambda params, stats, x: trained("encoder", params, stats, x).reshape(len(x), -1),
  )


def _discriminator_loss(nets: Mapping[str, Net], latent: Callable, margin: Scheduled, pretraining: bool) -> Callable:
  """L_D, or E(x) alone."""

  def discriminator_loss(params, state, batch, key):
    z_key, net_key = jax.random.split(key)
    use = forward(nets, params, state, net_key)
    real, _ = _autoencoded(use, batch["x"])
    if pretraining:
      return real.mean(), Aux(use.stats, metrics={"real": real.mean()})
    fake, _ = _autoencoded(use, _generated(use, latent, z_key, batch))
    short = jax.nn.relu(at(margin, state.step) - fake)
    return real.mean() + short.mean(), Aux(use.stats, metrics={"real": real.mean(), "fake": fake.mean()})

  return discriminator_loss


def _generator_loss(nets: Mapping[str, Net], latent: Callable, weight: Scheduled, pretraining: bool) -> Callable:
  """L_G, or nothing."""

  def generator_loss(params, state, batch, key):
    if pretraining:
      return jnp.zeros(()), Aux()
    z_key, net_key = jax.random.split(key)
    use = forward(nets, params, state, net_key)
    fake, codes = _autoencoded(use, _generated(use, latent, z_key, batch))
    alike = pulling_away(codes)
    return fake.mean() + at(weight, state.step) * alike, Aux(use.stats, metrics={"pulling_away": alike})

  return generator_loss


def _generated(use: Callable, latent: Callable, key: jax.Array, batch: Batch) -> jax.Array:
  fake = use("generator", latent(key, len(batch["x"])))
  chex.assert_equal_shape([fake, batch["x"]])
  return fake


def _autoencoded(use: Callable, x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """The energies of x, [B], and its representations."""
  codes = use("encoder", x)
  return energy(x, use("decoder", codes)), codes


def energy(x: jax.Array, reconstruction: jax.Array) -> jax.Array:
  """The mean square difference of each example [B, ...] from its reconstruction, [B]."""
  chex.assert_equal_shape([x, reconstruction])
  return jnp.square(reconstruction - x).reshape(len(x), -1).mean(1)


def pulling_away(codes: jax.Array) -> jax.Array:
  """sum_{i != j} cos^2(s_i, s_j) / (N (N - 1)), the mean squared cosine of representations. Section 2.4.

  Args:
    codes: [N, ...], of any rank. One that is zero has no direction: it adds nothing, and its gradient is 0.

  Returns:
    A scalar between 0, where all are orthogonal, and 1, where all are parallel; 0 of a single one.
  """
  n, s = len(codes), codes.reshape(len(codes), -1)
  squared = jnp.sum(jnp.square(s), axis=1, keepdims=True)
  directions = s * jax.lax.rsqrt(jnp.where(squared == 0.0, 1.0, squared))
  cosines = directions @ directions.T
  return jnp.sum(jnp.square(cosines) * (1.0 - jnp.eye(n))) / max(n * (n - 1), 1)
