"""BiGAN: a generator and an encoder against a discriminator of pairs. Donahue et al. 2017, in scores D:

    min_{G, E} max_D V(D, E, G) = E_x[log D(x, E(x))] + E_z[log(1 - D(G(z), z))].

At the optimum E and G invert each other. G and E minimise D's loss with real and generated exchanged, as
the paper proposes: the same fixed point, with a gradient where D is sure.
"""

from typing import Any

import chex
import jax

from gan_jax import priors
from gan_jax.errors import at_least_one
from gan_jax.forward import forward
from gan_jax.game import Aux, DataSpec, Game, Move, Net, NetSpec, Optimizers, Player, optimizer_of
from gan_jax.games._abilities import evaluated, judgements, sampler
from gan_jax.losses.adversarial import AdversarialLoss


def specs(data: DataSpec, *, latent_dim: int, **_: Any) -> dict[str, NetSpec]:
  """G: z -> x, E: x -> z, and D: (x, z) -> score.

  Raises:
    ConfigError: if `latent_dim` is below 1.
  """
  at_least_one("latent_dim", latent_dim)
  x, z = data.x, (latent_dim,)
  return {"generator": NetSpec((z,), x), "encoder": NetSpec((x,), z), "discriminator": NetSpec((x, z), ())}


def make(
  *,
  generator: Net,
  encoder: Net,
  discriminator: Net,
  loss: AdversarialLoss,
  tx: Optimizers,
  latent_dim: int,
  prior: priors.Prior = priors.normal,
) -> Game:
  """The paper's game; both players move at once, on the same latents. D logs its mean scores "real" and "fake".

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    encoder: data [B, ...] to latents [B, latent_dim].
    discriminator: data and latents to raw scores [B], high for (x, E(x)).
    loss: its `discriminator` alone is used, as V. G and E minimise it with real and generated data exchanged, as the
      paper's section 3.4 has it, so it has to treat both alike: `minimax` without smoothing.
    tx: one optimizer for both players, or a mapping by name; "generator" owns E too.
    latent_dim: size of the latent z.
    prior: `(key, shape) -> z`.
  """
  nets = {"generator": generator, "encoder": encoder, "discriminator": discriminator}

  def scores(params, state, batch, key):
    z_key, net_key = jax.random.split(key)
    use = forward(nets, params, state, net_key)
    x, z = batch["x"], prior(z_key, (len(batch["x"]), latent_dim))
    fake = use("generator", z)
    chex.assert_equal_shape([fake, x])
    return use, use("discriminator", x, use("encoder", x)), use("discriminator", fake, z)

  def discriminator_loss(params, state, batch, key):
    use, real, fake = scores(params, state, batch, key)
    return loss.discriminator(real, fake), Aux(use.stats, metrics={"real": real.mean(), "fake": fake.mean()})

  def generator_loss(params, state, batch, key):
    use, real, fake = scores(params, state, batch, key)
    return loss.discriminator(fake, real), Aux(use.stats)

  encode = lambda params, stats, key, x: evaluated(nets)("encoder", params, stats, x)
  return Game(
    nets=nets,
    players={
      "discriminator": Player(("discriminator",), discriminator_loss, optimizer_of(tx, "discriminator")),
      "generator": Player(("generator", "encoder"), generator_loss, optimizer_of(tx, "generator")),
    },
    moves=(Move(("discriminator", "generator"), shared_key=True),),
    sample=sampler(nets, lambda key, n: prior(key, (n, latent_dim))),
    encode=encode,
    **judgements(nets, "discriminator", lambda params, stats, x: (x, encode(params, stats, None, x))),
    averaged=("generator", "encoder"),
  )
