"""The engine: who moves, what is drawn, and that scan, loop, vmap and a traced hyper-parameter all play the same game."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import train
from gan_jax.game import Aux, Move, Player
from gan_jax.losses import adversarial
from gan_jax.nets import mlp
from gan_jax.nets.adapt import from_linen

import toy

IN_TURN = (Move(("a",)), Move(("b",), draws=False))


def leaves_differ(old, new) -> bool:
  return any(not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True))


def test_one_move_by_hand():
  """x = (1, 2): mean x^2 = 2.5; d loss_a / da = 2.5 a + b."""
  game = toy.scalar_game(IN_TURN)
  state = train.init(game, jax.random.key(0))
  a, b = float(state.params["a"]["w"]), float(state.params["b"]["w"])
  batches = {"x": jnp.array([[1.0, 2.0]])}
  state, metrics = train.make_step(game)(state, batches)
  new_a = a - 0.1 * (2.5 * a + b)
  new_b = b - 0.1 * (2.5 * b - new_a)  # b answers the a that has already moved
  np.testing.assert_allclose(state.params["a"]["w"], new_a, rtol=1e-6)
  np.testing.assert_allclose(state.params["b"]["w"], new_b, rtol=1e-6)
  np.testing.assert_allclose(metrics["a/loss"], 0.5 * 2.5 * a**2 + a * b, rtol=1e-5)
  assert int(state.step) == 1


def test_simultaneous_moves_start_from_the_same_state():
  game = toy.scalar_game((Move(("a", "b")),))
  state = train.init(game, jax.random.key(0))
  a, b = float(state.params["a"]["w"]), float(state.params["b"]["w"])
  state, _ = train.make_step(game)(state, {"x": jnp.array([[1.0, 2.0]])})
  np.testing.assert_allclose(state.params["a"]["w"], a - 0.1 * (2.5 * a + b), rtol=1e-6)
  np.testing.assert_allclose(state.params["b"]["w"], b - 0.1 * (2.5 * b - a), rtol=1e-6)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_only_owned_nets_move(player):
  game = toy.ring_game()
  state = train.init(game, jax.random.key(0))
  new, _ = train.play(game, (player,), state, toy.ring_batch(jax.random.key(1)), jax.random.key(2))
  other = {"generator": "discriminator", "discriminator": "generator"}[player]
  for before, after in ((state.params, new.params), (state.opt, new.opt)):
    assert leaves_differ(before[player], after[player])
    chex.assert_trees_all_equal(before[other], after[other])
  chex.assert_trees_all_equal(state.ema, new.ema)
  assert int(new.step) == 0


def test_statistics_move_only_with_their_owner():
  game = toy.scalar_game(IN_TURN)
  state = train.init(game, jax.random.key(0))
  new, _ = train.play(game, ("a",), state, toy.normal_batch(jax.random.key(1)), jax.random.key(2))
  assert (float(new.stats["a"]["calls"]), float(new.stats["b"]["calls"])) == (1.0, 0.0)


@pytest.mark.parametrize("settings", [{}, {"discriminator_steps": 3}, {"simultaneous": True}])
def test_scan_equals_loop_bit_for_bit(settings):
  game = toy.ring_game(**settings)
  start = train.init(game, jax.random.key(3))
  scanned, metrics = jax.jit(train.make_scan(game, 7, toy.ring_batch))(start)
  step = jax.jit(train.make_step(game))
  draw = jax.jit(lambda state: train.draw_round(game, toy.ring_batch, state))
  looped, rows = start, []
  for _ in range(7):
    looped, row = step(looped, draw(looped))
    rows.append(row)
  chex.assert_trees_all_equal(jax.random.key_data(scanned.key), jax.random.key_data(looped.key))
  chex.assert_trees_all_equal(scanned.replace(key=0), looped.replace(key=0))
  chex.assert_trees_all_equal(metrics, jax.tree.map(lambda *r: jnp.stack(r), *rows))
  assert leaves_differ(start.params, scanned.params)


def test_two_scans_equal_one():
  """A run that was interrupted and continued is the run that was not."""
  game = toy.ring_game()
  start = train.init(game, jax.random.key(3))
  whole, _ = jax.jit(train.make_scan(game, 8, toy.ring_batch))(start)
  half = jax.jit(train.make_scan(game, 4, toy.ring_batch))
  chex.assert_trees_all_equal(half(half(start)[0])[0].replace(key=0), whole.replace(key=0))


def test_host_fed_chunks_equal_drawn_ones():
  game = toy.ring_game(discriminator_steps=2)
  state = train.init(game, jax.random.key(3))
  drawn, _ = jax.jit(train.make_scan(game, 3, toy.ring_batch))(state)
  chunk = [train.draw_round(game, toy.ring_batch, state.replace(step=state.step + i)) for i in range(3)]
  batches = jax.tree.map(lambda *b: jnp.stack(b), *chunk)
  chex.assert_shape(batches["x"], (3, 2, 16, 2))
  fed, _ = jax.jit(train.make_scan(game, 3))(state, batches)
  chex.assert_trees_all_equal(fed.replace(key=0), drawn.replace(key=0))


def test_vmap_over_keys_equals_separate_runs():
  game = toy.ring_game()

  def member(key):
    return train.make_scan(game, 5, toy.ring_batch)(train.init(game, key))

  keys = jax.random.split(jax.random.key(0), 3)
  together, metrics = jax.jit(jax.vmap(member))(keys)
  for i, key in enumerate(keys):
    alone, alone_metrics = jax.jit(member)(key)
    pick = lambda x: x[i]
    chex.assert_trees_all_close(jax.tree.map(pick, together.params), alone.params, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(jax.tree.map(pick, metrics), alone_metrics, rtol=1e-4, atol=1e-6)
  assert leaves_differ(*(jax.tree.map(lambda x: x[i], together.params) for i in (0, 1)))


def test_traced_hyper_parameters():
  def member(rate, decay):
    game = toy.ring_game(tx=optax.adam(rate, b1=0.5))._replace(ema_decay=decay)
    state, _ = train.make_scan(game, 20, toy.ring_batch)(train.init(game, jax.random.key(0)))
    return state.params, state.ema

  rates, decays = jnp.array([1e-3, 1e-2]), jnp.array([0.1, 0.5])
  together = jax.jit(jax.vmap(member))(rates, decays)
  for i in range(2):
    alone = member(float(rates[i]), float(decays[i]))
    chex.assert_trees_all_close(jax.tree.map(lambda x: x[i], together), alone, rtol=1e-4, atol=1e-5)


def test_a_second_call_does_not_compile_again():
  game = toy.ring_game(discriminator_steps=2)
  run = jax.jit(chex.assert_max_traces(train.make_scan(game, 4, toy.ring_batch), 1))
  state = train.init(game, jax.random.key(0))
  for _ in range(3):
    state, _ = run(state)
  assert run._cache_size() == 1


def test_repeated_moves_draw_their_own_batches_and_latents():
  seen = {"x": [], "z": []}
  game = toy.scalar_game((Move(("a",), 4), Move(("b",), 2, draws=False)))
  loss_a, loss_b = game.players["a"].loss, game.players["b"].loss

  def spy(loss, name):
    def value(params, state, batch, key):
      z = jax.random.normal(key)
      jax.debug.callback(lambda x, z: seen["x"].append((name, float(x))), jnp.sum(batch["x"]), z, ordered=True)
      jax.debug.callback(lambda z: seen["z"].append((name, float(z))), z, ordered=True)
      return loss(params, state, batch, key)

    return value

  players = {
    "a": game.players["a"]._replace(loss=spy(loss_a, "a")),
    "b": game.players["b"]._replace(loss=spy(loss_b, "b")),
  }
  game = game._replace(players=players)
  state, _ = jax.jit(train.make_scan(game, 2, toy.normal_batch))(train.init(game, jax.random.key(0)))
  jax.block_until_ready(state)
  jax.effects_barrier()
  assert game.draws == 4
  assert len({z for _, z in seen["z"]}) == 12  # every move of both rounds has a key of its own
  for first in (0, 6):
    a, b = seen["x"][first : first + 4], seen["x"][first + 4 : first + 6]
    assert len({x for _, x in a}) == 4
    assert {x for _, x in b} == {a[-1][1]}  # b is shown the last batch that a drew
  assert not {x for _, x in seen["x"][:6]} & {x for _, x in seen["x"][6:]}


def test_repeated_moves_are_k_updates():
  game = toy.scalar_game((Move(("a",), 3), Move(("b",), draws=False)))
  state = train.init(game, jax.random.key(0))
  a, b = float(state.params["a"]["w"]), float(state.params["b"]["w"])
  x = jnp.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
  new, metrics = train.make_step(game)(state, {"x": x})
  for square in (1.0, 4.0, 9.0):
    last_loss = 0.5 * square * a**2 + a * b
    a -= 0.1 * (square * a + b)
  np.testing.assert_allclose(new.params["a"]["w"], a, rtol=1e-5)
  np.testing.assert_allclose(metrics["a/loss"], last_loss, rtol=1e-5)
  assert float(new.stats["a"]["calls"]) == 3.0


def test_moving_average_by_hand():
  """decay_t = min(decay, (1 + t) / (10 + t)) at the t-th round, statistics alike."""
  game = toy.scalar_game(IN_TURN, ema_decay=0.2)
  state = train.init(game, jax.random.key(0))
  ema, calls = float(state.params["a"]["w"]), 0.0
  for t in range(1, 6):
    batches = {"x": jnp.full((1, 2), float(t))}
    state, _ = train.make_step(game)(state, batches)
    decay = min(0.2, (1 + t) / (10 + t))
    ema = decay * ema + (1 - decay) * float(state.params["a"]["w"])
    calls = decay * calls + (1 - decay) * t
  np.testing.assert_allclose(state.ema["a"]["params"]["w"], ema, rtol=1e-5)
  np.testing.assert_allclose(state.ema["a"]["stats"]["calls"], calls, rtol=1e-5)
  params, stats = train.averaged(state)
  assert params["a"] is state.ema["a"]["params"] and params["b"] is state.params["b"]
  assert stats["a"] is state.ema["a"]["stats"]


def test_projection_follows_the_update():
  game = toy.scalar_game(IN_TURN)
  clip = lambda params: jax.tree.map(lambda w: jnp.clip(w, -0.01, 0.01), params)
  game = game._replace(players={**game.players, "a": game.players["a"]._replace(project=clip)})
  state, _ = train.make_step(game)(train.init(game, jax.random.key(0)), {"x": jnp.ones((1, 2))})
  np.testing.assert_allclose(abs(state.params["a"]["w"]), 0.01, rtol=1e-6)
  assert abs(float(state.params["b"]["w"])) > 0.01


def test_memory_is_kept_and_written():
  def remember(params, state, batch, key):
    return params["a"]["w"] ** 2, Aux(memory=state.memory + jnp.sum(batch["x"]))

  game = toy.scalar_game(IN_TURN, init_memory=lambda key: jnp.zeros(()))
  game = game._replace(players={**game.players, "a": Player(("a",), remember, optax.sgd(0.1))})
  state = train.init(game, jax.random.key(0), {"x": toy.SPEC((4,), jnp.float32)})
  state, _ = train.make_step(game)(state, {"x": jnp.ones((1, 4))})
  state, _ = train.make_step(game)(state, {"x": jnp.ones((1, 4))})
  assert float(state.memory) == 8.0


def bad_loss(value=0.0, aux=None):
  return lambda params, state, batch, key: (params["a"]["w"] * 0 + value, aux or Aux())


def with_player(name, player):
  game = toy.scalar_game(IN_TURN)
  return game._replace(players={**game.players, name: player})


SGD = optax.sgd(0.1)
UNSOUND = {
  "names the nets .* \\['c'\\]|owns \\['c'\\]": lambda: with_player("a", Player(("c",), bad_loss(), SGD)),
  "player 'a' owns no net": lambda: with_player("a", Player((), bad_loss(), SGD)),
  "no player owns \\['b'\\]": lambda: with_player("b", Player(("a",), bad_loss(), SGD)),
  "stand in Game.frozen": lambda: toy.scalar_game(IN_TURN, frozen=("a",)),
  "Game.averaged lists \\['generator'\\]": lambda: toy.scalar_game(IN_TURN, averaged=("generator",)),
  "Game.frozen lists \\['q'\\]": lambda: toy.scalar_game(IN_TURN, frozen=("q",)),
  "names the players \\['c'\\]": lambda: toy.scalar_game((Move(("a", "c")), Move(("b",)))),
  "repeated 0 times": lambda: toy.scalar_game((Move(("a",), 0), Move(("b",)))),
  "the players \\['b'\\] never move": lambda: toy.scalar_game((Move(("a",)),)),
  "the game has no moves": lambda: toy.scalar_game(()),
  "first move of a round has to draw": lambda: toy.scalar_game((Move(("a",), draws=False), Move(("b",)))),
  "more than one of them owns \\['a'\\]": lambda: with_player("b", Player(("a", "b"), bad_loss(), SGD))._replace(
    moves=(Move(("a", "b")),)
  ),
  "player 'b' hands back statistics of \\['a'\\]": lambda: with_player(
    "b", Player(("b",), bad_loss(aux=Aux({"a": {"calls": jnp.zeros(())}})), SGD)
  ),
  "loss of player 'a' has shape \\(3,\\)": lambda: with_player("a", Player(("a",), bad_loss(jnp.zeros(3)), SGD)),
  "metrics of player 'a' are not scalars: .*'m'": lambda: with_player(
    "a", Player(("a",), bad_loss(aux=Aux(metrics={"m": jnp.zeros(2)})), SGD)
  ),
  "changes the structure, shape or type of statistics or memory": lambda: with_player(
    "a", Player(("a",), bad_loss(aux=Aux(memory=jnp.zeros(2))), SGD)
  ),
  "move at once, yet each of them writes the memory": lambda: toy.scalar_game(
    (Move(("a", "b")),),
    init_memory=lambda key: jnp.zeros(()),
    players={n: Player((n,), bad_loss(aux=Aux(memory=jnp.zeros(()))), SGD) for n in "ab"},
  ),
}


@pytest.mark.parametrize("message", UNSOUND)
def test_unsound_games_are_refused_by_name(message):
  with pytest.raises(ValueError, match=message):
    train.init(UNSOUND[message](), jax.random.key(0), {"x": toy.SPEC((4,), jnp.float32)})


def test_a_batch_of_the_wrong_shape_is_refused_by_name():
  with pytest.raises(ValueError, match=r"player 'discriminator' cannot take a batch of shapes \{'x': \(16, 3\)\}"):
    train.init(toy.ring_game(), jax.random.key(0), {"x": toy.SPEC((16, 3), jnp.float32)})


def test_a_net_of_another_width_is_refused_by_name():
  narrow = from_linen(mlp.Discriminator(hidden=(16,)), toy.SPEC((1, 3), jnp.float32))
  game = toy.ring_game()
  game = toy.gan.make(
    generator=game.nets["generator"], discriminator=narrow, loss=adversarial.hinge(), tx=SGD, latent_dim=4
  )
  with pytest.raises(
    ValueError, match=r"player 'discriminator' cannot take a batch of shapes \{'x': \(16, 2\)\}.*kernel"
  ):
    train.init(game, jax.random.key(0), jax.eval_shape(toy.ring_batch, jax.random.key(0)))


@pytest.mark.parametrize(
  ("what", "change"),
  [
    ("parameters", {"project": lambda owned: owned | {"b": {"w": jnp.zeros(())}}}),
    ("statistics", {"loss": bad_loss(aux=Aux({"b": {"calls": jnp.zeros(())}}))}),
  ],
)
def test_a_move_writes_owned_nets_only(what, change):
  game = toy.scalar_game(IN_TURN)
  state = train.init(game, jax.random.key(0))
  game = with_player("a", game.players["a"]._replace(**change))
  with pytest.raises(ValueError, match=f"player 'a' hands back {what} of \\['b'\\], which it does not own"):
    train.make_step(game)(state, {"x": jnp.ones((1, 2))})


def test_a_frozen_net_stays():
  game = toy.scalar_game((Move(("a",)),), frozen=("b",))
  game = game._replace(players={"a": game.players["a"]})
  state = train.init(game, jax.random.key(0))
  new, _ = train.make_step(game)(state, {"x": jnp.ones((1, 2))})
  chex.assert_trees_all_equal(state.params["b"], new.params["b"])
  assert leaves_differ(state.params["a"], new.params["a"])
