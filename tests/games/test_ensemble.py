"""Ensembles of generators: who makes which sample, whose gradient and statistics it is, and what MGAN adds."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats as distributions

from gan_jax import train
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, Net, NetSpec
from gan_jax.games import ensemble, gan, mgan
from gan_jax.games._members import mixture, places, share
from gan_jax.losses import adversarial
from gan_jax.nets import mlp

KEY = jax.random.key(8)
# 128 draws of who makes which of 10 samples, for three members.
DRAWS = jax.vmap(lambda key: places(key, 10, 3))(jax.random.split(KEY, 128)) // share(10, 3)


def shift() -> Net:
  """x = m + z; the mean of all z it was given in training is its statistic."""

  def apply(p, s, z, key=None, train=True):
    return p["m"][None] + z, {"mean": z.mean(0)} if train else s

  return Net(lambda key: ({"m": jax.random.normal(key, (2,))}, {"mean": jnp.zeros(2)}), apply)


def line() -> Net:
  """w.x."""
  return Net(lambda key: ({"w": jnp.array([3.0, 4.0])}, {}), lambda p, s, x, key=None, train=True: (x @ p["w"], s))


def batch_norm_generator() -> Net:
  return mlp.generator(NetSpec(((2,),), (2,)), hidden=(8,), batch_norm=True)


def plane_game(members=3, **settings):
  defaults = {"generator": shift(), "discriminator": line(), "loss": adversarial.wasserstein()}
  return ensemble.make(**{**defaults, "tx": optax.sgd(1.0), "latent_dim": 2, "members": members, **settings})


@pytest.mark.parametrize(("n", "members"), [(12, 3), (10, 3), (2, 5), (7, 1)])
def test_places_are_different_and_shared_equally(n, members):
  """Each of them makes its share, less what stays empty, which is fewer than there are members."""
  place = np.asarray(places(KEY, n, members))
  assert place.dtype == np.int32 and len(set(place)) == n and place.min() >= 0
  made = np.bincount(place // share(n, members), minlength=members)
  assert len(made) == members and made.max() <= share(n, members) == -(-n // members)
  assert made.min() >= share(n, members) - (-n % members)


def test_every_samples_member_is_uniform():
  """Also where a batch does not divide: a chi-squared test of each sample's member, at one in a million."""
  counts = np.stack([(np.asarray(DRAWS) == member).sum(0) for member in range(3)])
  statistic = ((counts - 128 / 3) ** 2 / (128 / 3)).sum(0)
  assert statistic.max() < distributions.chi2.isf(1e-6, 2)
  # What is drawn for one sample says next to nothing of another's: shares of equal pairs, 3 in 11 of 4 places each.
  assert np.mean(np.asarray(DRAWS)[:, 0] == np.asarray(DRAWS)[:, 1]) == pytest.approx(3 / 11, abs=0.15)


@pytest.mark.parametrize("n", [12, 10])
def test_a_sample_is_what_its_member_makes_of_its_latent(n):
  """x - z is the m of the member at that sample's place, whether the places are given or drawn."""
  net, z = mixture(shift(), 3), jax.random.normal(KEY, (n, 2))
  params, stats = net.init(KEY)
  place = places(jax.random.key(1), n, 3)
  x, _ = net.apply(params, stats, z, place, key=KEY)
  np.testing.assert_allclose(x - z, params["m"][place // share(n, 3)], atol=1e-6)
  for train_too in (True, False):
    x, _ = net.apply(params, stats, z, key=KEY, train=train_too)
    nearest = np.abs(np.asarray(x - z)[:, None] - np.asarray(params["m"])[None]).sum(2)
    np.testing.assert_allclose(nearest.min(1), 0.0, atol=1e-6)
    assert np.bincount(nearest.argmin(1), minlength=3).max() == share(n, 3)


def test_members_start_different():
  params, _ = mixture(batch_norm_generator(), 3).init(KEY)
  for leaf in jax.tree.leaves(params):
    a, b, c = leaf
    assert leaf.ndim == 2 or not (np.any(a == b) or np.any(b == c))  # biases and scales are 0 and 1


@pytest.mark.parametrize("n", [12, 10])
def test_a_member_has_gradients_of_its_own_samples_alone(n):
  """Exact zeros for the others, through batch norm too; its own is that of its share as a batch."""
  inner = batch_norm_generator()
  net, z = mixture(inner, 3), jax.random.normal(KEY, (n, 2))
  params, stats = net.init(KEY)
  place = places(jax.random.key(1), n, 3)
  member = np.asarray(place // share(n, 3))
  towards = jax.random.normal(jax.random.key(2), (n, 2))
  judged = lambda params, chosen: jnp.sum(chosen * towards * net.apply(params, stats, z, place, key=KEY)[0])
  gradient = jax.jit(jax.grad(judged))
  alone = jax.jit(jax.grad(lambda params, z, towards: jnp.sum(towards * inner.apply(params, of_first, z, key=KEY)[0])))
  of_first = jax.tree.map(lambda leaf: leaf[0], stats)  # they start alike
  for one in range(3):
    found = gradient(params, jnp.asarray(member == one, jnp.float32)[:, None])
    for leaf in jax.tree.leaves(found):
      np.testing.assert_array_equal(np.delete(leaf, one, 0), 0.0)
    own, its = (jax.tree.map(lambda leaf: leaf[one], tree) for tree in (found, params))
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(own)) > 0.1
    if n == 12:  # every place is taken
      expected = alone(its, z[member == one], towards[member == one])
      chex.assert_trees_all_close(own, expected, rtol=1e-3, atol=1e-5)


def test_batch_statistics_stay_the_members_own():
  """The statistic of each is the mean of the latents that it was given, and no other one's."""
  net, z = mixture(shift(), 3), jnp.arange(24.0).reshape(12, 2)
  params, stats = net.init(KEY)
  place = np.asarray(places(KEY, 12, 3))
  _, moved = net.apply(params, stats, z, jnp.asarray(place), key=KEY)
  np.testing.assert_allclose(moved["mean"], [z[place // 4 == one].mean(0) for one in range(3)])
  _, still = net.apply(params, stats, z, key=KEY, train=False)
  np.testing.assert_array_equal(still["mean"], 0.0)


def test_empty_places_have_latents_of_the_batch():
  """Of 5 samples 1 place of 6 is empty: a member's statistic is of as many latents as any other's."""
  net, z = mixture(shift(), 2), jnp.arange(10.0).reshape(5, 2) + 1.0
  params, stats = net.init(KEY)
  place = np.asarray(places(KEY, 5, 2))
  (empty,) = {*range(6)} - {*place}
  given = np.zeros((6, 2))
  given[place], given[empty] = z, z[empty % 5]
  _, moved = net.apply(params, stats, z, jnp.asarray(place), key=KEY)
  np.testing.assert_allclose(moved["mean"], given.reshape(2, 3, 2).mean(1))


def test_with_one_member_it_is_gan():
  """Both players' losses and the parameters they lead to, from the same start, with batch norm and a penalty."""
  spec = NetSpec(((2,),), ())
  nets = {"discriminator": mlp.discriminator(spec, hidden=(8,)), "generator": batch_norm_generator()}
  shared = {"loss": adversarial.non_saturating(), "tx": optax.sgd(0.1), "latent_dim": 2, "instance_noise": 0.1}
  alone, several = gan.make(**nets, **shared), ensemble.make(**nets, **shared, members=1)
  start = train.init(alone, KEY)
  lead = lambda tree: {**tree, "generator": jax.tree.map(lambda leaf: leaf[None], tree["generator"])}
  same = train.init(several, KEY).replace(params=lead(start.params), stats=lead(start.stats))
  batch = {"x": jax.random.normal(KEY, (12, 2))}
  ends = []
  for game, state in ((alone, start), (several, same)):
    moves = lambda state, game=game: [train.play(game, (player,), state, batch, KEY) for player in game.players]
    ends.append(jax.jit(moves)(state))
  for (one, metrics), (other, theirs) in zip(*ends, strict=True):
    chex.assert_trees_all_close(metrics, theirs, rtol=1e-5)
    chex.assert_trees_all_close(lead(one.params), dict(other.params), rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(lead(one.stats), dict(other.stats), rtol=1e-5, atol=1e-6)


def test_both_players_see_the_mixture():
  """Every m is moved by w times its share of the batch, 1/3, and D's mean score of samples is that of the mixture."""
  game = plane_game(prior=lambda key, shape: jnp.zeros(shape))
  state, batch = train.init(game, KEY), {"x": jnp.zeros((12, 2))}
  _, metrics = train.play(game, ("discriminator",), state, batch, KEY)
  mean = state.params["generator"]["m"].mean(0)
  np.testing.assert_allclose(metrics["discriminator/fake"], mean @ np.array([3.0, 4.0]), rtol=1e-5)
  after, _ = train.play(game, ("generator",), state, batch, KEY)
  moved = after.params["generator"]["m"] - state.params["generator"]["m"]
  np.testing.assert_allclose(moved, np.tile([1.0, 4 / 3], (3, 1)), rtol=1e-5)


def test_a_trained_game_samples_the_mixture():
  """By the key, latents of one's own included; a sample alone comes from each member alike."""
  game = plane_game()
  state = train.init(game, KEY)
  nets, m = (state.params, state.stats), np.asarray(state.params["generator"]["m"])
  made = game.sample(*nets, KEY, 12, latents=jnp.zeros((12, 2)))
  assert sorted(map(tuple, np.asarray(made))) == sorted(map(tuple, np.repeat(m, 4, 0)))
  np.testing.assert_array_equal(made, game.sample(*nets, KEY, 12, latents=jnp.zeros((12, 2))))
  single = jax.vmap(lambda key: game.sample(*nets, key, 1, latents=jnp.zeros((1, 2)))[0])(jax.random.split(KEY, 300))
  counts = [np.sum(np.all(single == one[None], axis=1)) for one in m]
  assert sum(counts) == 300 and np.square(np.array(counts) - 100).sum() / 100 < distributions.chi2.isf(1e-6, 2)


def test_an_ensemble_refuses():
  with pytest.raises(ConfigError, match="members is 0"):
    plane_game(members=0)
  with pytest.raises(ValueError, match="give apply a key"):
    mixture(shift(), 3).apply(*mixture(shift(), 3).init(KEY), jnp.zeros((4, 2)))


def linear(start) -> Net:
  """x W."""
  apply = lambda p, s, x, key=None, train=True: (x @ p["w"], s)
  return Net(lambda key: ({"w": jnp.array(start)}, {}), apply)


def two_points(weight, **settings):
  """Two generators at (1, 0) and (0, 1) against logits x W; D scores by w.x, and the trunk is the identity."""
  points = jnp.array([[1.0, 0.0], [0.0, 1.0]])
  nets = {
    "generator": shift(),
    "trunk": linear(np.eye(2)),
    "discriminator": linear([3.0, 4.0]),
    "classifier": linear([[1.0, 0.0], [0.5, 2.0]]),
  }
  defaults = {"loss": adversarial.wasserstein(), "tx": optax.sgd(1.0), "latent_dim": 2, "members": 2}
  game = mgan.make(**nets, prior=lambda key, shape: jnp.zeros(shape), diversity_weight=weight, **defaults | settings)
  state = train.init(game, KEY)
  return game, state.replace(params={**state.params, "generator": {"m": points}})


LOG_C = np.log([np.e / (np.e + 1), np.exp(2.0) / (np.exp(2.0) + np.exp(0.5))])  # of each point's own generator
BATCH = {"x": jnp.array([[1.0, 1.0], [2.0, 0.0], [0.0, 0.0], [1.0, 3.0]])}


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_mgans_losses_by_hand(weight):
  """D's scores are 7, 6, 0, 15 of the data, mean 7, and 3 and 4 of the generators; logits (1, 0) and (1/2, 2)."""
  game, state = two_points(weight)
  _, metrics = train.play(game, ("discriminator",), state, BATCH, KEY)
  np.testing.assert_allclose(metrics["discriminator/loss"], 3.5 - 7.0 - weight * LOG_C.mean(), rtol=1e-5)
  np.testing.assert_allclose([metrics["discriminator/real"], metrics["discriminator/fake"]], [7.0, 3.5], rtol=1e-6)
  np.testing.assert_allclose(metrics["discriminator/jensen_shannon"], LOG_C.mean() + np.log(2), rtol=1e-5)
  _, metrics = train.play(game, ("generator",), state, BATCH, KEY)
  np.testing.assert_allclose(metrics["generator/loss"], -3.5 - weight * LOG_C.mean(), rtol=1e-5)


def test_mgans_gradients_by_hand():
  """Of log C_k in the logits e_k - C(x). Both players ascend it: C and the trunk move with D, the generators apart."""
  weight, (game, state) = 0.5, two_points(0.5)
  errors = np.eye(2) - np.array([[np.exp(a), np.exp(b)] / (np.exp(a) + np.exp(b)) for a, b in ((1.0, 0.0), (0.5, 2.0))])
  w = np.array([[1.0, 0.0], [0.5, 2.0]])
  after, _ = train.play(game, ("generator",), state, BATCH, KEY)
  moved = after.params["generator"]["m"] - state.params["generator"]["m"]
  np.testing.assert_allclose(moved, (np.array([[3.0, 4.0]]) + weight * errors @ w.T) / 2, rtol=1e-5)
  after, _ = train.play(game, ("discriminator",), state, BATCH, KEY)
  points = np.eye(2)
  np.testing.assert_allclose(after.params["classifier"]["w"] - w, weight * points.T @ errors / 2, rtol=1e-4, atol=1e-6)
  scored = np.outer(np.asarray(BATCH["x"]).mean(0) - points.mean(0), [3.0, 4.0])
  expected = scored + weight * points.T @ (errors @ w.T) / 2
  np.testing.assert_allclose(after.params["trunk"]["w"] - np.eye(2), expected, rtol=1e-4)
  chex.assert_trees_all_equal(after.params["generator"], state.params["generator"])


def test_mgans_generators_part_where_only_the_classifier_asks_for_it():
  """D is blind. Two generators from nearly the same point, and a linear classifier: the bound goes to log 2."""
  game, state = two_points(1.0, tx=optax.sgd(0.5))
  params = {**state.params, "generator": {"m": jnp.array([[0.1, 0.0], [0.0, 0.0]])}}
  params |= {"discriminator": {"w": jnp.zeros(2)}, "classifier": {"w": 0.01 * jnp.eye(2)}}
  _, metrics = train.make_scan(game, 100, lambda key: {"x": jnp.zeros((4, 2))})(state.replace(params=params))
  bound = np.asarray(metrics["discriminator/jensen_shannon"])
  assert bound[0] == pytest.approx(0.0, abs=1e-3) and bound[-1] == pytest.approx(np.log(2), abs=0.02)


def test_mgans_specs_and_refusals():
  assert mgan.specs(DataSpec((8, 8, 1)), latent_dim=5, members=4) == {
    "generator": NetSpec(((5,),), (8, 8, 1)),
    "trunk": NetSpec(((8, 8, 1),), None),
    "discriminator": NetSpec(("trunk",), ()),
    "classifier": NetSpec(("trunk",), (4,)),
  }
  for settings, message in (({"latent_dim": 0}, "latent_dim is 0"), ({"members": 1}, "members is 1")):
    with pytest.raises(ConfigError, match=message):
      mgan.specs(DataSpec((8, 8, 1)), **{"latent_dim": 5, "members": 4, **settings})
