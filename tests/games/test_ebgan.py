"""EBGAN on nets of one number: both sides of the margin, the pulling-away term, and whose gradient goes where."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import train
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, Net, NetSpec
from gan_jax.games import ebgan

KEY = jax.random.key(5)
BATCH = {"x": jnp.array([[2.0, 0.0], [0.0, 4.0]])}


def scale(start: float) -> Net:
  """a u, and how often it was applied in training."""

  def apply(p, s, u, key=None, train=True):
    return p["a"] * u, {"calls": s["calls"] + 1.0} if train else s

  return Net(lambda key: ({"a": jnp.array(start)}, {"calls": jnp.zeros(())}), apply)


def plane_game(g=1.0, e=0.5, d=0.5, **settings):
  """G(z) = g z, Enc(x) = e x, Dec(s) = d s, so that E(x) = (1 - d e)^2 |x|^2 / 2; z is (1, 0) and (1, 1)."""
  nets = {"generator": scale(g), "encoder": scale(e), "decoder": scale(d)}
  z = lambda key, shape: jnp.array([[1.0, 0.0], [1.0, 1.0]])[: shape[0]]
  defaults = {"tx": optax.sgd(1.0), "latent_dim": 2, "margin": 0.4, "pulling_away_weight": 0.0, "prior": z}
  return ebgan.make(**nets, **{**defaults, **settings})


def play(game, player):
  state = train.init(game, KEY)
  return state, *train.play(game, (player,), state, BATCH, KEY)


def test_the_discriminators_loss_on_both_sides_of_the_margin():
  """(1 - 1/4)^2 / 2 = 9/32: E is 9/8 and 9/2 of the data, and 9/32 and 9/16 of what is generated, with 0.4 between.

  So L_D = 45/16 + (0.4 - 9/32) / 2. Only the first of the generated ones has a gradient: of k = d e it is
  -(1 - k) (2 + 8 - 1/2), times d for e and times e for d.
  """
  state, after, metrics = play(plane_game(), "discriminator")
  np.testing.assert_allclose(metrics["discriminator/loss"], 45 / 16 + (0.4 - 9 / 32) / 2, rtol=1e-6)
  np.testing.assert_allclose(metrics["discriminator/real"], 45 / 16, rtol=1e-6)
  np.testing.assert_allclose(metrics["discriminator/fake"], 27 / 64, rtol=1e-6)
  for net in ("encoder", "decoder"):
    moved = after.params[net]["a"] - state.params[net]["a"]
    np.testing.assert_allclose(moved, 0.75 * (2 + 8 - 0.5) * 0.5, rtol=1e-6)


@pytest.mark.parametrize(("margin", "fakes"), [(0.1, 0.0), (0.6, 1.0 / 2 + 2.0 / 2)])
def test_generated_data_beyond_the_margin_gives_no_gradient(margin, fakes):
  """None of the two is pushed, or both: their |x|^2 / 2, of which the mean over two is taken, are 1/2 and 1."""
  state, after, metrics = play(plane_game(margin=margin), "discriminator")
  hinge = max(margin - 9 / 32, 0.0) / 2 + max(margin - 9 / 16, 0.0) / 2
  np.testing.assert_allclose(metrics["discriminator/loss"], 45 / 16 + hinge, rtol=1e-6)
  moved = after.params["encoder"]["a"] - state.params["encoder"]["a"]
  np.testing.assert_allclose(moved, 0.75 * (2 + 8 - fakes) * 0.5, rtol=1e-6)


def test_the_generators_loss_and_gradient():
  """Without the term E(G(z)) = (9/32) g^2 (1 + 2) / 2, whose slope at g = 1 is 27/32; with it cos^2 = 1/2 besides,
  which no scale of the generator changes."""
  for weight in (0.0, 0.25):
    state, after, metrics = play(plane_game(pulling_away_weight=weight), "generator")
    np.testing.assert_allclose(metrics["generator/loss"], 27 / 64 + weight / 2, rtol=1e-6)
    np.testing.assert_allclose(metrics["generator/pulling_away"], 0.5, rtol=1e-6)
    np.testing.assert_allclose(after.params["generator"]["a"] - state.params["generator"]["a"], -27 / 32, rtol=1e-6)


@pytest.mark.parametrize(("player", "owned"), [("discriminator", {"encoder", "decoder"}), ("generator", {"generator"})])
def test_a_move_is_its_players_alone(player, owned):
  """Parameters, and the statistics: two calls of a net, on real and on generated data, count as one mean."""
  state, after, _ = play(plane_game(pulling_away_weight=0.1), player)
  for net in ("generator", "encoder", "decoder"):
    assert (float(after.params[net]["a"]) != float(state.params[net]["a"])) == (net in owned)
    assert float(after.stats[net]["calls"]) == (net in owned)


def test_the_margin_and_the_weight_follow_a_schedule_of_the_round():
  rest = {"discriminator": optax.sgd(0.0), "generator": optax.sgd(0.0)}
  margin, weight = (optax.linear_schedule(value, 0.0, 2) for value in (100.0, 10.0))
  game = plane_game(tx=rest, margin=margin, pulling_away_weight=weight)
  _, metrics = train.make_scan(game, 3, lambda key: BATCH)(train.init(game, KEY))
  real, fake = 45 / 16, 27 / 64
  np.testing.assert_allclose(metrics["discriminator/loss"], [real + 100 - fake, real + 50 - fake, real], rtol=1e-5)
  np.testing.assert_allclose(metrics["generator/loss"], [fake + 5, fake + 2.5, fake], rtol=1e-5)


def test_pretraining_is_autoencoding_and_the_generator_rests():
  """D descends E(x) alone: -(1 - k) (2 + 8) of k. A large margin, which would push, has no part in it."""
  game = plane_game(pretraining=True, margin=100.0, tx=optax.adam(1.0), pulling_away_weight=0.1)
  state, after, metrics = play(game, "generator")
  chex.assert_trees_all_equal(after.params, state.params)
  assert float(metrics["generator/gradient"]) == float(metrics["generator/loss"]) == 0.0
  state, after, metrics = play(plane_game(pretraining=True, margin=100.0), "discriminator")
  assert float(metrics["discriminator/loss"]) == 45 / 16 and "discriminator/fake" not in metrics
  np.testing.assert_allclose(after.params["encoder"]["a"] - 0.5, 0.75 * 10 * 0.5, rtol=1e-6)


@pytest.mark.parametrize(
  ("codes", "value"),
  [
    ([[2.0, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, -5.0]], 0.0),  # orthogonal
    ([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]], 1.0),  # equal
    ([[1.0, 2.0], [-3.0, -6.0]], 1.0),  # opposite
    ([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], (0.5 + 0.5 + 0.0) / 3),
    ([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]], 1 / 3),  # a zero has no direction
    ([[1.0, 2.0]], 0.0),  # nor company, if it is alone
  ],
)
def test_the_pulling_away_term_by_hand(codes, value):
  np.testing.assert_allclose(ebgan.pulling_away(jnp.array(codes)), value, rtol=1e-5, atol=1e-7)


def test_the_gradient_of_the_pulling_away_term_by_central_differences():
  """Of feature maps too; it is 0, not NaN, at a code that is zero, and orthogonal to every other code."""

  def reference(s):
    directions = s / np.linalg.norm(s, axis=1, keepdims=True)
    pairs = [np.dot(a, b) ** 2 for i, a in enumerate(directions) for j, b in enumerate(directions) if i != j]
    return sum(pairs) / len(pairs)

  codes = np.random.default_rng(0).normal(size=(4, 6))
  found = jax.jit(jax.grad(ebgan.pulling_away))(jnp.asarray(codes.reshape(4, 1, 2, 3), jnp.float32))
  numeric = np.zeros((4, 6))
  for at in np.ndindex(4, 6):
    h = np.zeros((4, 6))
    h[at] = 1e-6
    numeric[at] = (reference(codes + h) - reference(codes - h)) / 2e-6
  np.testing.assert_allclose(found.reshape(4, 6), numeric, atol=1e-5)
  np.testing.assert_allclose(np.sum(found.reshape(4, 6) * codes, axis=1), 0.0, atol=1e-6)
  at_zero = jax.jit(jax.grad(ebgan.pulling_away))(jnp.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
  np.testing.assert_allclose(at_zero, np.array([[0.0, 1.0], [0.5, -0.5], [0.0, 0.0]]) / 3, atol=1e-6)


def test_what_a_trained_game_can_be_asked_for():
  game = plane_game(g=3.0)
  state = train.init(game, KEY)
  nets, images = (state.params, state.stats), jnp.arange(8.0).reshape(2, 2, 2, 1)
  np.testing.assert_allclose(game.sample(*nets, KEY, 2), [[3.0, 0.0], [3.0, 3.0]])
  np.testing.assert_allclose(game.sample(*nets, KEY, 1, latents=jnp.array([[0.0, 2.0]])), [[0.0, 6.0]])
  np.testing.assert_allclose(game.score(*nets, images), -9 / 16 * np.array([14 / 4, (16 + 25 + 36 + 49) / 4]))
  np.testing.assert_allclose(game.features(*nets, images), 0.5 * np.arange(8.0).reshape(2, 4))


def test_specs_and_refusals():
  assert ebgan.specs(DataSpec((8, 8, 1)), latent_dim=5) == {
    "generator": NetSpec(((5,),), (8, 8, 1)),
    "encoder": NetSpec(((8, 8, 1),), None),
    "decoder": NetSpec(("encoder",), (8, 8, 1)),
  }
  with pytest.raises(ConfigError, match="latent_dim is 0"):
    ebgan.specs(DataSpec((8, 8, 1)), latent_dim=0)
