"""ComboGAN with three domains of numbers: the drawn two move, cycles by hand, pools of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scalars
from scalars import batch_of, slope

from gan_jax import train
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, NetSpec
from gan_jax.games import combogan
from gan_jax.losses import adversarial

KEY = jax.random.key(4)
DATA = DataSpec((1,), domains=("x", "y", "z"))
X = {"x": [0.5, -1.0], "y": [0.25, 0.75], "z": [1.5, 2.0]}
A, B, C = [2.0, -1.0, 0.5], [0.4, -1.5, 1.6], [0.3, -0.7, 0.9]  # of encoders, decoders, discriminators


def game_of(tx=None, **settings):
  nets = {name: slope() for name in ("encoder", "decoder", "discriminator")}
  defaults = {"loss": adversarial.least_squares(scale=1.0), "data": DATA, "pool_size": 0}
  return combogan.make(**nets, tx=optax.sgd(0.1) if tx is None else tx, **{**defaults, **settings})


def start_of(game, **changes):
  """Encoders, decoders and discriminators with slopes A, B, C."""
  return scalars.start_of(game, {"encoder": A, "decoder": B, "discriminator": C} | changes, KEY)


def test_three_domains_have_three_of_each():
  state = train.init(game_of(), KEY)
  assert {name: p["a"].shape for name, p in state.params.items()} == dict.fromkeys(
    ("encoder", "decoder", "discriminator"), (3,)
  )
  assert combogan.specs(DATA) == {
    "encoder": NetSpec(((1,),), None),
    "decoder": NetSpec(("encoder",), (1,)),
    "discriminator": NetSpec(((1,),), None),
  }


def test_pairs_are_drawn_alike_and_never_of_one_domain():
  state = train.init(game_of(), KEY)
  steps = jnp.arange(6_000)
  pairs = np.stack(jax.vmap(lambda step: jnp.stack(combogan.drawn(state.replace(step=step), 3)))(steps))
  assert np.all(pairs[:, 0] != pairs[:, 1])
  counts = np.bincount(pairs[:, 0] * 3 + pairs[:, 1], minlength=9).reshape(3, 3)
  np.testing.assert_allclose(counts[~np.eye(3, dtype=bool)], 1_000, atol=120)  # four standard deviations


@pytest.mark.parametrize("tx", [optax.sgd(1e-3), optax.adam(1e-3, b1=0.5)], ids=["sgd", "adam"])
def test_a_round_moves_the_drawn_two_and_leaves_the_third(tx):
  """Optimizers too: over rounds in which one domain rests, its nets and their memory of gradients stay as they are."""
  game = game_of(tx)
  step, state = jax.jit(train.make_step(game)), start_of(game)
  batches = jax.tree.map(lambda b: b[None], batch_of(X))
  rested = set()
  for _ in range(12):
    pair = {int(i) for i in combogan.drawn(state, 3)}
    after, _ = step(state, batches)
    (third,) = {0, 1, 2} - pair
    for name in state.params:
      moved = np.asarray(after.params[name]["a"]) != np.asarray(state.params[name]["a"])
      assert {*np.flatnonzero(moved).tolist()} == pair, name
    before, now = (jax.tree.map(lambda leaf: np.asarray(leaf)[third], each.opt) for each in (state, after))
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(now), strict=True))
    state, rested = after, rested | {third}
  assert rested == {0, 1, 2}


def test_losses_by_hand():
  game = game_of(cycle_weight=3.0, identity_weight=0.5)
  state = start_of(game)
  i, j = (int(k) for k in combogan.drawn(state, 3))
  values = [np.array(X[name]) for name in "xyz"]
  value, aux = game.players["translators"].loss(state.params, state, batch_of(X), KEY)
  fakes = {j: B[j] * A[i] * values[i], i: B[i] * A[j] * values[j]}
  adversarial_ = sum(np.mean((C[k] * fakes[k] - 1.0) ** 2) for k in (i, j))
  cycle = sum(np.mean(np.abs(B[k] * A[m] * fakes[m] - values[k])) for k, m in ((i, j), (j, i)))
  identity = sum(np.mean(np.abs(B[k] * A[k] * values[k] - values[k])) for k in (i, j))
  for name, truth in (("adversarial", adversarial_), ("cycle", cycle), ("identity", identity)):
    np.testing.assert_allclose(aux.metrics[name], truth, rtol=1e-5, atol=1e-6, err_msg=name)
  np.testing.assert_allclose(value, adversarial_ + 3.0 * (cycle + 0.5 * identity), rtol=1e-5)
  judged, aux = game.players["discriminators"].loss(state.params, state, batch_of(X), KEY)
  truth = sum(0.5 * (np.mean((C[k] * values[k] - 1.0) ** 2) + np.mean((C[k] * fakes[k]) ** 2)) for k in (i, j))
  np.testing.assert_allclose(judged, truth, rtol=1e-5)
  np.testing.assert_allclose(aux.metrics["real"], np.mean([C[k] * values[k].mean() for k in (i, j)]), rtol=1e-5)


def test_the_cycle_of_exact_inverses_is_nothing():
  """dec_i enc_i = 1 for each domain: whatever the pair, there and back is the image itself."""
  game = game_of()
  state = start_of(game, decoder=[1 / a for a in A])
  for step in range(6):
    aux = game.players["translators"].loss(state.params, state.replace(step=jnp.int32(step)), batch_of(X), KEY)[1]
    np.testing.assert_allclose([aux.metrics["cycle"], aux.metrics["identity"]], 0.0, atol=1e-6)


def test_each_domain_has_a_pool_of_its_own():
  """After a round the drawn domains' pools hold the translations into them, the third one's is empty."""
  game = game_of(pool_size=4)
  state = start_of(game)
  i, j = (int(k) for k in combogan.drawn(state, 3))
  after, _ = train.play(game, ("discriminators",), state, batch_of(X), KEY)
  values = [np.array(X[name]) for name in "xyz"]
  counts = [2 if k in (i, j) else 0 for k in range(3)]
  assert np.asarray(after.memory.count).tolist() == counts
  np.testing.assert_allclose(after.memory.images[j, :2, 0], B[j] * A[i] * values[i], rtol=1e-6)
  np.testing.assert_allclose(after.memory.images[i, :2, 0], B[i] * A[j] * values[j], rtol=1e-6)


def test_translations_and_refusals():
  game = game_of()
  state = start_of(game)
  x = jnp.array([[1.0], [2.0]])
  found = game.translate(state.params, state.stats, KEY, x, "z", "x")
  np.testing.assert_allclose(found, B[0] * A[2] * x, rtol=1e-6)
  with pytest.raises(ConfigError, match="pool_size is -1"):
    game_of(pool_size=-1)
  with pytest.raises(ConfigError, match="two domains or more"):
    combogan.specs(DataSpec((1,)))
