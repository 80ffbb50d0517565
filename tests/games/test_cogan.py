"""CoGAN on numbers: its losses by hand, what is shared being one array, and which loss reaches which net."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scalars import DOMAIN_LOGITS, batch_of, cross_entropy, logits, slope, start_of

from experiments.lab import configs
from experiments.lab.build import build_game
from gan_jax import checkpoint, train
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, NetSpec
from gan_jax.games import cogan
from gan_jax.losses import adversarial, penalties

KEY = jax.random.key(5)
DATA = DataSpec((1,), classes=2, domains=("x", "y"))
X = {"x": [0.5, -1.0, 2.0], "y": [0.25, 0.75, -0.5]}
Z = np.array([1.5, -0.5, 0.25])
SLOPES = {
  "generator_first": 0.7,
  "generator_last": [1.5, -0.5],
  "discriminator_first": [0.6, 0.9],
  "discriminator_last": -0.8,
}
SOFTPLUS = lambda v: np.log1p(np.exp(v))


def game_of(domain_weight=None, **settings):
  nets = {name: slope(score=name == "discriminator_last") for name in SLOPES}
  nets |= {} if domain_weight is None else {"domain_discriminator": logits()}
  fixed = lambda key, shape: jnp.asarray(Z, jnp.float32)[: shape[0], None]
  defaults = {"loss": adversarial.non_saturating(), "tx": optax.sgd(0.1), "latent_dim": 1, "prior": fixed}
  return cogan.make(**nets, data=DATA, domain_weight=domain_weight, **{**defaults, **settings})


BATCH = batch_of(X)


def reference(gain=1.0):
  """Scores of data and of images, a domain each, all multiplied by `gain` before they are judged."""
  scores = []
  for i, name in enumerate("xy"):
    judge = lambda u, i=i: SLOPES["discriminator_last"] * SLOPES["discriminator_first"][i] * gain * u
    fake = SLOPES["generator_last"][i] * SLOPES["generator_first"] * Z
    scores.append((judge(np.array(X[name])), judge(fake)))
  return scores


def test_losses_are_sums_over_domains():
  game = game_of()
  state = start_of(game, SLOPES, KEY)
  value, aux = game.players["discriminators"].loss(state.params, state, BATCH, KEY)
  scores = reference()
  np.testing.assert_allclose(value, sum(SOFTPLUS(-r).mean() + SOFTPLUS(f).mean() for r, f in scores), rtol=1e-5)
  np.testing.assert_allclose(aux.metrics["real"], np.mean([r.mean() for r, _ in scores]), rtol=1e-5)
  np.testing.assert_allclose(aux.metrics["fake"], np.mean([f.mean() for _, f in scores]), rtol=1e-5)
  value, _ = game.players["generators"].loss(state.params, state, BATCH, KEY)
  np.testing.assert_allclose(value, sum(SOFTPLUS(-f).mean() for _, f in scores), rtol=1e-5)


def test_the_penalty_is_the_sum_over_domains():
  """R1 and R2, whose slopes of a linear discriminator are everywhere the same: gamma (a_x^2 + a_y^2)."""
  game, plain = game_of(penalty=penalties.r1_and_r2, penalty_weight=lambda step: 0.25 + step), game_of()
  state = start_of(game, SLOPES, KEY)
  loss = lambda of, state=state: of.players["discriminators"].loss(state.params, state, BATCH, KEY)
  value, aux = loss(game)
  truth = sum((SLOPES["discriminator_last"] * first) ** 2 for first in SLOPES["discriminator_first"])
  np.testing.assert_allclose(aux.metrics["penalty"], truth, rtol=1e-5)
  np.testing.assert_allclose(value, loss(plain)[0] + 0.25 * truth, rtol=1e-5)
  later, _ = loss(game, state.replace(step=jnp.int32(2)))
  np.testing.assert_allclose(later, loss(plain)[0] + 2.25 * truth, rtol=1e-5)
  generate = lambda of: float(of.players["generators"].loss(state.params, state, BATCH, KEY)[0])
  assert generate(game) == generate(plain)


def test_a_penalty_sees_its_own_domain_and_draws_of_its_own():
  """Data and generated data of the domain, whose discriminator it is given, with a key of its own."""
  seen = []

  def penalty(critic, real, fake, key, /):
    seen.append((critic(jnp.ones((1, 1))), real, fake, jax.random.key_data(key).tolist()))
    return jnp.zeros(())

  game = game_of(penalty=penalty)
  state = start_of(game, SLOPES, KEY)
  game.players["discriminators"].loss(state.params, state, BATCH, KEY)
  assert len({tuple(key) for *_, key in seen}) == len(seen) == 2
  for i, (score, real, fake, _) in enumerate(seen):
    np.testing.assert_allclose(score, [SLOPES["discriminator_last"] * SLOPES["discriminator_first"][i]], rtol=1e-6)
    np.testing.assert_array_equal(real[:, 0], X["xy"[i]])
    np.testing.assert_allclose(fake[:, 0], SLOPES["generator_last"][i] * SLOPES["generator_first"] * Z, rtol=1e-5)
  seen.clear()
  game_of(penalty=penalty, augment=lambda key, x: 2.0 * x).players["discriminators"].loss(
    state.params, state, BATCH, KEY
  )
  np.testing.assert_array_equal([real[:, 0] for _, real, _, _ in seen], [2.0 * np.array(X[name]) for name in "xy"])


def test_a_config_says_its_penalty():
  config = configs.load("cogan", {"game.penalty.name": "penalties.r1", "game.penalty_weight": 0.5})
  config.nets.discriminator_last.batch_norm = False
  game, settings = build_game(config, DataSpec((32, 32, 3), domains=("x", "y")))
  state = jax.eval_shape(lambda key: train.init(game, key), KEY)
  batch = {name: jax.ShapeDtypeStruct((1, 4, 32, 32, 3), jnp.float32) for name in "xy"}
  _, metrics = jax.eval_shape(train.make_step(game), state, batch)
  assert settings["penalty_weight"] == 0.5 and "discriminators/penalty" in metrics


def test_augmentation_is_of_all_that_is_judged_and_of_no_sample():
  """Real and generated, of each domain, in every player's loss; the keys of the images differ."""
  keys = []
  double = lambda key, x: keys.append(jax.random.key_data(key).tolist()) or 2.0 * x
  game, plain = game_of(augment=double, domain_weight=0.5), game_of(domain_weight=0.5)
  state = start_of(game, SLOPES | {"domain_discriminator": DOMAIN_LOGITS}, KEY)
  loss = lambda of, name: float(of.players[name].loss(state.params, state, BATCH, KEY)[0])
  scores = reference(gain=2.0)
  of_domains = cross_entropy(
    [SLOPES["discriminator_first"][i] * 2.0 * np.array(X[name]) for i, name in enumerate("xy")]
  )
  judged = sum(SOFTPLUS(-r).mean() + SOFTPLUS(f).mean() for r, f in scores)
  np.testing.assert_allclose(loss(game, "discriminators"), judged - 0.5 * of_domains, rtol=1e-5)
  assert len({*map(tuple, keys)}) == len(keys) == 4
  np.testing.assert_allclose(loss(game, "generators"), sum(SOFTPLUS(-f).mean() for _, f in scores), rtol=1e-5)
  np.testing.assert_allclose(loss(game, "domain_discriminator"), of_domains, rtol=1e-5)
  of = lambda game: game.sample(state.params, state.stats, KEY, 3)
  np.testing.assert_array_equal(of(game), of(plain))


def test_shared_layers_are_one_array_that_learns_from_both_domains(tmp_path):
  """And stay so in a checkpoint: the shared nets have no axis of domains, the others have one of two."""
  game = game_of()
  state = start_of(game, SLOPES, KEY)
  shapes = {name: p["a"].shape for name, p in state.params.items()}
  assert shapes == {
    "generator_first": (),
    "generator_last": (2,),
    "discriminator_first": (2,),
    "discriminator_last": (),
  }
  slope_of = lambda state: jax.grad(lambda p: game.players["generators"].loss(p, state, BATCH, KEY)[0])(state.params)
  both = slope_of(state)["generator_first"]["a"]
  alone = []
  for i in (0, 1):
    off = {**SLOPES, "generator_last": [v if k == i else 0.0 for k, v in enumerate(SLOPES["generator_last"])]}
    alone.append(slope_of(state.replace(params={name: {"a": jnp.array(v)} for name, v in off.items()})))
  np.testing.assert_allclose(both, sum(each["generator_first"]["a"] for each in alone), rtol=1e-5)
  after, _ = train.make_step(game)(state, jax.tree.map(lambda b: b[None], BATCH))
  with checkpoint.open_folder(tmp_path) as checkpoints:
    checkpoint.save(checkpoints, after)
  with checkpoint.open_folder(tmp_path) as checkpoints:
    again = checkpoint.restore(checkpoints, state)
  assert {name: p["a"].shape for name, p in again.params.items()} == shapes
  np.testing.assert_array_equal(again.params["generator_first"]["a"], after.params["generator_first"]["a"])


def test_one_latent_gives_counterparts():
  game = game_of()
  state = start_of(game, SLOPES, KEY)
  z = jnp.array([[1.0], [2.0]])
  for i, domain in enumerate("xy"):
    images = game.sample(state.params, state.stats, KEY, 2, latents=z, domain=domain)
    np.testing.assert_allclose(images, SLOPES["generator_last"][i] * SLOPES["generator_first"] * z, rtol=1e-6)
    drawn = game.sample(state.params, state.stats, KEY, 3, domain=domain)
    np.testing.assert_allclose(drawn[:, 0], SLOPES["generator_last"][i] * SLOPES["generator_first"] * Z, rtol=1e-5)
  assert game.domains == ("x", "y")


def test_the_domain_discriminator_is_fought_by_the_discriminators():
  """Its cross-entropy is what it minimises, and weight times it what the discriminators maximise beside V."""
  game, plain = game_of(0.3), game_of()
  state = start_of(game, SLOPES, KEY)
  maps = [SLOPES["discriminator_first"][i] * np.array(X[name]) for i, name in enumerate("xy")]
  entropy = cross_entropy(maps)
  found, _ = game.players["domain_discriminator"].loss(state.params, state, BATCH, KEY)
  np.testing.assert_allclose(found, entropy, rtol=1e-5)
  with_it, without = (each.players["discriminators"].loss(state.params, state, BATCH, KEY)[0] for each in (game, plain))
  np.testing.assert_allclose(with_it, without - 0.3 * entropy, rtol=1e-5)
  # It does not reach the generators.
  slopes = [
    jax.grad(lambda p, each=each: each.players["generators"].loss(p, state, BATCH, KEY)[0])(state.params)
    for each in (game, plain)
  ]
  for name in ("generator_first", "generator_last"):
    np.testing.assert_array_equal(*(each[name]["a"] for each in slopes))


def test_specs_and_refusals():
  data = DataSpec((8, 8, 3), domains=("x", "y"))
  assert cogan.specs(data, latent_dim=5, domain_weight=0.1) == {
    "generator_first": NetSpec(((5,),), None),
    "generator_last": NetSpec(("generator_first",), (8, 8, 3)),
    "discriminator_first": NetSpec(((8, 8, 3),), None),
    "discriminator_last": NetSpec(("discriminator_first",), ()),
    "domain_discriminator": NetSpec(("discriminator_first",), (2,)),
  }
  assert "domain_discriminator" not in cogan.specs(data, latent_dim=5)
  with pytest.raises(ConfigError, match="latent_dim is 0"):
    cogan.specs(data, latent_dim=0)
  with pytest.raises(ConfigError, match="two domains or more"):
    cogan.specs(DataSpec((8, 8, 3)), latent_dim=5)
