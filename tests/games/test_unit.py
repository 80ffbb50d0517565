"""UNIT on numbers: every term by hand, and which of them reach which net."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scalars import SLOPES, X, batch_of, encode, generate, judge, logits, slope, start_of

from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, NetSpec
from gan_jax.games import unit
from gan_jax.losses import adversarial

KEY = jax.random.key(7)
DATA = DataSpec((1,), domains=("x", "y"))
NONE = {"kl_weight": 0.0, "reconstruction_weight": 0.0, "cycle_kl_weight": 0.0, "cycle_weight": 0.0}
BATCH = batch_of()


def game_of(domain_weight=None, **settings):
  nets = {name: slope() for name in SLOPES} | ({} if domain_weight is None else {"domain_discriminator": logits()})
  loss = adversarial.least_squares(scale=1.0)
  return unit.make(**nets, loss=loss, data=DATA, tx=optax.sgd(0.1), domain_weight=domain_weight, **settings)


def gradients(game, state):
  return jax.grad(lambda p: game.players["translators"].loss(p, state, BATCH, KEY)[0])(state.params)


@pytest.fixture
def still(monkeypatch):
  """Latents are the means: the draws have moments of their own tests."""
  monkeypatch.setattr(unit, "reparameterised", lambda key, mean, log_variance: mean)


def reference():
  """All terms without weights, sums over domains and directions."""
  values = [np.array(X[name]) for name in "xy"]
  kl = lambda mean: 0.5 * np.mean(mean**2)
  means = [encode(u, i) for i, u in enumerate(values)]
  terms = dict.fromkeys(("adversarial", "reconstruction", "kl", "cycle", "cycle_kl", "judged"), 0.0)
  for i in (0, 1):
    terms["kl"] += kl(means[i])
    terms["reconstruction"] += np.abs(generate(means[i], i) - values[i]).mean()
  for i, j in ((0, 1), (1, 0)):
    translated = generate(means[i], j)
    terms["adversarial"] += np.mean((judge(translated, j) - 1.0) ** 2)
    terms["judged"] += np.mean((judge(values[j], j) - 1.0) ** 2) + np.mean(judge(translated, j) ** 2)
    back = encode(translated, j)
    terms["cycle_kl"] += kl(means[i]) + kl(back)
    terms["cycle"] += np.abs(generate(back, i) - values[i]).mean()
  return terms


def test_every_term_by_hand(still):
  weights = {"kl_weight": 0.2, "reconstruction_weight": 3.0, "cycle_kl_weight": 0.7, "cycle_weight": 5.0}
  game = game_of(**weights)
  state = start_of(game, SLOPES, KEY)
  value, aux = game.players["translators"].loss(state.params, state, BATCH, KEY)
  truth = reference()
  for name in ("adversarial", "reconstruction", "kl", "cycle"):
    np.testing.assert_allclose(aux.metrics[name], truth[name], rtol=1e-5, err_msg=name)
  total = truth["adversarial"] + sum(weight * truth[name.removesuffix("_weight")] for name, weight in weights.items())
  np.testing.assert_allclose(value, total, rtol=1e-5)
  judged, _ = game.players["discriminators"].loss(state.params, state, BATCH, KEY)
  np.testing.assert_allclose(judged, truth["judged"], rtol=1e-5)


def test_which_term_reaches_which_net(still):
  """Gradients of the translators' loss with one term on at a time."""
  reached = {}
  for weight in (None, *NONE):
    game = game_of(**NONE | ({} if weight is None else {weight: 1.0}))
    slopes = gradients(game, start_of(game, SLOPES, KEY))
    reached[weight] = {name: np.abs(np.asarray(p["a"])) for name, p in slopes.items() if name != "discriminator"}
  zero = lambda name, weight: np.allclose(reached[weight][name], reached[None][name])
  moved = {weight: [name for name in reached[None] if not zero(name, weight)] for weight in NONE}
  everything = ["encoder_first", "encoder_last", "generator_first", "generator_last"]
  assert moved["kl_weight"] == ["encoder_first", "encoder_last"]
  assert moved["reconstruction_weight"] == moved["cycle_weight"] == moved["cycle_kl_weight"] == everything
  assert all(np.all(each > 0.0) for each in reached[None].values())  # the adversarial terms reach all of them


def test_exact_inverses_have_no_cycle_and_no_reconstruction_error(still):
  game = game_of()
  state = start_of(game, SLOPES, KEY)
  inverse = [1.0 / (SLOPES["generator_first"] * SLOPES["encoder_last"] * a) for a in SLOPES["encoder_first"]]
  state = state.replace(params={**state.params, "generator_last": {"a": jnp.array(inverse)}})
  aux = game.players["translators"].loss(state.params, state, BATCH, KEY)[1]
  np.testing.assert_allclose([aux.metrics["cycle"], aux.metrics["reconstruction"]], 0.0, atol=1e-6)


def test_latents_carry_noise_of_variance_one():
  """What decodes is the mean plus a normal draw: with slopes of 1 and x = 0 the reconstruction error is E|n|."""
  game = game_of()
  state = start_of(game, SLOPES, KEY)
  ones = {name: {"a": jnp.ones_like(p["a"])} for name, p in state.params.items()}
  state = state.replace(params=ones)
  batch = {name: jnp.zeros((20_000, 1)) for name in "xy"}
  aux = game.players["translators"].loss(state.params, state, batch, KEY)[1]
  np.testing.assert_allclose(aux.metrics["reconstruction"], 2.0 * np.sqrt(2.0 / np.pi), rtol=0.02)
  np.testing.assert_allclose(aux.metrics["cycle"], 2.0 * np.sqrt(2.0) * np.sqrt(2.0 / np.pi), rtol=0.02)  # two draws


def test_the_domain_discriminator(still):
  game, plain = game_of(0.3), game_of()
  state = start_of(game, SLOPES, KEY)
  value, aux = game.players["discriminators"].loss(state.params, state, BATCH, KEY)
  np.testing.assert_allclose(
    value - aux.metrics["domain"], plain.players["discriminators"].loss(state.params, state, BATCH, KEY)[0], rtol=1e-5
  )
  ours, theirs = (each.players["translators"].loss(state.params, state, BATCH, KEY)[0] for each in (game, plain))
  np.testing.assert_allclose(ours, theirs - 0.3 * aux.metrics["domain"], rtol=1e-5)


def test_translations_are_of_the_mean():
  game = game_of()
  state = start_of(game, SLOPES, KEY)
  for (i, here), (j, there) in itertools.permutations(enumerate("xy"), 2):
    scale = (
      SLOPES["encoder_first"][i] * SLOPES["encoder_last"] * SLOPES["generator_first"] * SLOPES["generator_last"][j]
    )
    found = game.translate(state.params, state.stats, KEY, BATCH[here], here, there)
    np.testing.assert_allclose(found, scale * BATCH[here], rtol=1e-5)


def test_specs():
  data = DataSpec((8, 8, 3), domains=("x", "y", "z"))
  specs = unit.specs(data, domain_weight=1.0)
  assert specs["encoder_last"] == NetSpec(("encoder_first",), None)
  assert specs["generator_last"] == NetSpec(("generator_first",), (8, 8, 3))
  assert specs["domain_discriminator"] == NetSpec(("encoder_last",), (3,))
  with pytest.raises(ConfigError, match="two domains or more"):
    unit.specs(DataSpec((8, 8, 3)))
