"""XGAN on numbers: every term by hand, which of them reach which net, and a teacher that is trained and then frozen."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scalars import SLOPES, X, batch_of, cross_entropy, encode, generate, judge, logits, slope, start_of

from gan_jax import train
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, Net, NetSpec
from gan_jax.games import xgan
from gan_jax.losses import adversarial

KEY = jax.random.key(9)
DATA = DataSpec((1,), classes=2, domains=("x", "y"))
TEACHER = 0.9
WEIGHTS = ("reconstruction_weight", "semantic_weight", "adversarial_weight", "domain_weight")
BATCH = batch_of() | {"label": jnp.array([0, 1, 1])}


def game_of(teacher_weight=None, pretraining=False, tx=None, **settings):
  nets = {name: slope() for name in SLOPES} | {"domain_discriminator": logits()}
  if teacher_weight is not None:
    nets["teacher"] = slope()
  if pretraining:
    nets["classifier"] = logits([0.5, -0.5])
  defaults = {"loss": adversarial.least_squares(scale=1.0), "tx": tx or optax.sgd(0.1), "data": DATA}
  return xgan.make(**nets, teacher_weight=teacher_weight, pretraining=pretraining, **{**defaults, **settings})


def state_of(game):
  return start_of(game, SLOPES | ({"teacher": TEACHER} if "teacher" in game.nets else {}), KEY)


def reference():
  """All terms without weights."""
  values = [np.array(X[name]) for name in "xy"]
  e = [encode(u, i) for i, u in enumerate(values)]
  terms = {
    "reconstruction": sum(np.mean((generate(e[i], i) - values[i]) ** 2) for i in (0, 1)),
    "domain": cross_entropy(e),
    "teacher": np.abs(TEACHER * values[0] - e[0]).mean(),
    "semantic": 0.0,
    "adversarial": 0.0,
    "judged": 0.0,
  }
  for i, j in ((0, 1), (1, 0)):
    translated = generate(e[i], j)
    terms["semantic"] += np.abs(e[i] - encode(translated, j)).mean()
    terms["adversarial"] += np.mean((judge(translated, j) - 1.0) ** 2)
    terms["judged"] += np.mean((judge(values[j], j) - 1.0) ** 2) + np.mean(judge(translated, j) ** 2)
  return terms


def test_every_term_by_hand():
  weights = dict(zip(WEIGHTS, (2.0, 0.7, 1.5, 0.3)))
  game = game_of(teacher_weight=0.4, **weights)
  state = state_of(game)
  value, aux = game.players["translators"].loss(state.params, state, BATCH, KEY)
  truth = reference()
  for name in ("reconstruction", "semantic", "adversarial", "teacher"):
    np.testing.assert_allclose(aux.metrics[name], truth[name], rtol=1e-5, err_msg=name)
  total = 2.0 * truth["reconstruction"] + 0.7 * truth["semantic"] + 1.5 * truth["adversarial"] + 0.4 * truth["teacher"]
  np.testing.assert_allclose(value, total - 0.3 * truth["domain"], rtol=1e-5)
  judged, aux = game.players["discriminators"].loss(state.params, state, BATCH, KEY)
  np.testing.assert_allclose(judged, truth["judged"] + truth["domain"], rtol=1e-5)
  np.testing.assert_allclose(aux.metrics["domain"], truth["domain"], rtol=1e-5)


def test_which_term_reaches_which_net():
  reached = {}
  for weight in WEIGHTS:
    game = game_of(**dict.fromkeys(WEIGHTS, 0.0) | {weight: 1.0})
    state = state_of(game)
    slopes = jax.grad(lambda p, game=game, state=state: game.players["translators"].loss(p, state, BATCH, KEY)[0])
    found = slopes(state.params)
    reached[weight] = {name for name in game.players["translators"].owns if np.any(np.asarray(found[name]["a"]) != 0.0)}
  everything = {"encoder_first", "encoder_last", "generator_first", "generator_last"}
  assert reached == {
    "reconstruction_weight": everything,
    "semantic_weight": everything,
    "adversarial_weight": everything,
    "domain_weight": {"encoder_first", "encoder_last"},
  }


def test_the_embedding_of_exact_inverses_is_kept():
  """d_i e_i = 1 for both: e_j(d_j(e_i(x))) is e_i(x), and nothing is lost."""
  game = game_of()
  state = state_of(game)
  inverse = [1.0 / (SLOPES["generator_first"] * SLOPES["encoder_last"] * a) for a in SLOPES["encoder_first"]]
  state = state.replace(params={**state.params, "generator_last": {"a": jnp.array(inverse)}})
  aux = game.players["translators"].loss(state.params, state, BATCH, KEY)[1]
  np.testing.assert_allclose([aux.metrics["semantic"], aux.metrics["reconstruction"]], 0.0, atol=1e-6)


def test_the_teacher_learns_labels_alone_and_is_frozen_then():
  """Gradient descent on the cross-entropy of labels moves it and its classifier, by hand; afterwards nobody does."""
  game = game_of(teacher_weight=1.0, pretraining=True, tx={"teacher": optax.sgd(0.1)})
  state = state_of(game)
  assert set(game.players) == {"teacher"} and set(game.frozen) == {*SLOPES, "domain_discriminator"}
  after, metrics = train.make_step(game)(state, jax.tree.map(lambda b: b[None], BATCH))
  u, w, labels = np.array(X["x"]), np.array([0.5, -0.5]), np.array([0, 1, 1])
  scores = TEACHER * u[:, None] * w
  p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
  error = p - np.eye(2)[labels]
  np.testing.assert_allclose(metrics["teacher/loss"], -np.log(p[np.arange(3), labels]).mean(), rtol=1e-5)
  np.testing.assert_allclose(metrics["teacher/accuracy"], np.mean(scores.argmax(1) == labels), rtol=1e-6)
  slope = np.mean((error * w * u[:, None]).sum(1))
  np.testing.assert_allclose(after.params["teacher"]["a"], TEACHER - 0.1 * slope, rtol=1e-5)
  np.testing.assert_allclose(
    after.params["classifier"]["a"], w - 0.1 * (error * TEACHER * u[:, None]).mean(0), rtol=1e-5
  )
  trained = game_of(teacher_weight=1.0)
  second = train.carry(after, train.init(trained, KEY))
  assert trained.frozen == ("teacher",) and "classifier" not in trained.nets
  last, _ = train.make_step(trained)(second, jax.tree.map(lambda b: b[None], BATCH))
  np.testing.assert_array_equal(last.params["teacher"]["a"], after.params["teacher"]["a"])


def test_specs_and_refusals():
  data = DataSpec((8, 8, 3), classes=10, domains=("x", "y"))
  specs = xgan.specs(data, teacher_weight=1.0, pretraining=True)
  assert specs["domain_discriminator"] == NetSpec(("encoder_last",), (2,))
  assert specs["teacher"] == NetSpec(((8, 8, 3),), None) and specs["classifier"] == NetSpec(("teacher",), (10,))
  assert not {"teacher", "classifier"} & set(xgan.specs(data))
  with pytest.raises(ConfigError, match="does not have"):
    xgan.specs(data, pretraining=True)
  with pytest.raises(ConfigError, match="the data has none"):
    xgan.specs(DataSpec((8, 8, 3), domains=("x", "y")), teacher_weight=1.0, pretraining=True)
  game = game_of(teacher_weight=1.0)
  wide = Net(lambda key: ({"a": jnp.zeros(())}, {}), lambda p, s, u, key=None, train=True: (jnp.tile(u, (1, 2)), s))
  nets = {**{name: slope() for name in SLOPES}, "domain_discriminator": logits(), "teacher": wide}
  game = xgan.make(**nets, teacher_weight=1.0, loss=adversarial.least_squares(), tx=optax.sgd(0.1), data=DATA)
  with pytest.raises(ConfigError, match=r"\[2\] and \[1\]"):
    game.players["translators"].loss(train.init(game, KEY).params, train.init(game, KEY), BATCH, KEY)
