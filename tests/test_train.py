"""The engine: who moves, what is drawn, and that scan, loop, vmap and a traced hyper-parameter all play the same
game."""

import functools
import re
import traceback

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import pool, train
from gan_jax.forward import forward
from gan_jax.game import Aux, Game, Move, Net, Player, TrainState
from gan_jax.games import gan
from gan_jax.losses import adversarial
from gan_jax.nets import mlp
from gan_jax.nets.adapt import from_linen

import toy

KEY = jax.random.key(0)
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


def test_the_norm_of_a_gradient_is_over_all_that_a_player_owns():
  """Of 3 u + 4 v it is 5, whatever the third net, which is another's, does."""
  net = lambda value: Net(lambda key: (jnp.float32(value), {}), lambda params, stats, x, **_: (params, stats))
  loss = lambda params, state, batch, key: (3.0 * params["u"] + 4.0 * params["v"] + 9.0 * params["w"], Aux())
  still = lambda owns: Player(owns, loss, optax.set_to_zero())
  players = {"both": still(("u", "v")), "other": still(("w",))}
  game = Game({name: net(0.0) for name in "uvw"}, players, (Move(("both", "other")),), averaged=())
  _, metrics = train.make_step(game)(train.init(game, KEY), {"x": jnp.ones((1, 1))})
  np.testing.assert_allclose((metrics["both/gradient"], metrics["other/gradient"]), (5.0, 9.0), rtol=1e-6)


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
    alone = jax.jit(functools.partial(member, float(rates[i]), float(decays[i])))()
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
    assert {x for _, x in b} == {a[-1][1]}  # b reuses the last batch that a drew
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


def test_a_batch_of_the_wrong_shape_is_noted_with_the_players_name():
  with pytest.raises(AssertionError) as caught:
    train.init(toy.ring_game(), jax.random.key(0), {"x": toy.SPEC((16, 3), jnp.float32)})
  note = "This was in the loss of player 'discriminator', on a batch of shapes {'x': (16, 3)}."
  assert note in caught.value.__notes__


def test_a_net_of_another_width_is_noted_with_the_players_name():
  narrow = from_linen(mlp.Discriminator(hidden=(16,)), toy.SPEC((1, 3), jnp.float32))
  game = toy.ring_game()
  game = toy.gan.make(
    generator=game.nets["generator"], discriminator=narrow, loss=adversarial.hinge(), tx=SGD, latent_dim=4
  )
  with pytest.raises(ValueError, match="kernel") as caught:
    train.init(game, jax.random.key(0), jax.eval_shape(toy.ring_batch, jax.random.key(0)))
  assert "player 'discriminator', on a batch of shapes {'x': (16, 2)}" in caught.value.__notes__[-1]


def type_error_of_mine(params, state, batch, key):
  return params["a"]["w"] + "a line of mine", Aux()


def value_error_of_mine(params, state, batch, key):
  raise ValueError("a line of mine")


@pytest.mark.parametrize(("loss", "kind"), [(type_error_of_mine, TypeError), (value_error_of_mine, ValueError)])
def test_an_error_in_a_loss_of_ones_own_shows_its_line(loss, kind):
  game = with_player("a", Player(("a",), loss, SGD))
  with pytest.raises(kind) as caught:
    train.init(game, jax.random.key(0), {"x": toy.SPEC((4,), jnp.float32)})
  shown = "".join(traceback.format_exception(caught.value))
  assert "a line of mine" in shown and f"in {loss.__name__}" in shown and __file__ in shown
  assert "This was in the loss of player 'a'" in shown


def test_a_projection_writes_owned_nets_only():
  game = toy.scalar_game(IN_TURN)
  state = train.init(game, jax.random.key(0))
  change = {"project": lambda owned: owned | {"b": {"w": jnp.zeros(())}}}
  game = with_player("a", game.players["a"]._replace(**change))
  with pytest.raises(ValueError, match=r"player 'a' returns parameters of \['b'\], which it does not own"):
    train.make_step(game)(state, {"x": jnp.ones((1, 2))})


def test_statistics_of_other_nets_are_dropped():
  """What a loss returns of them moves nothing, whatever it is."""
  game = toy.scalar_game(IN_TURN)
  foreign = Aux({"b": {"calls": jnp.array(7.0)}})
  game = with_player("a", game.players["a"]._replace(loss=bad_loss(aux=foreign)))
  state = train.init(game, jax.random.key(0), {"x": toy.SPEC((2,), jnp.float32)})
  after, _ = train.play(game, ("a",), state, {"x": jnp.ones(2)}, jax.random.key(1))
  chex.assert_trees_all_equal(after.stats, state.stats)


def test_a_frozen_net_stays():
  game = toy.scalar_game((Move(("a",)),), frozen=("b",))
  game = game._replace(players={"a": game.players["a"]})
  state = train.init(game, jax.random.key(0))
  new, _ = train.make_step(game)(state, {"x": jnp.ones((1, 2))})
  chex.assert_trees_all_equal(state.params["b"], new.params["b"])
  assert leaves_differ(state.params["a"], new.params["a"])


def three_players_of_one_generator(shared_key, seen=None):
  """Players a and b each own a head, c the generator; all move at once, and each begins with the same forward pass."""
  net = lambda i, o: from_linen(nn.Dense(o), toy.SPEC((1, i), jnp.float32))
  nets = {"generator": net(4, 32), "a": net(32, 1), "b": net(32, 1)}

  def loss(*heads):
    def value(params, state, batch, key):
      z_key, net_key = jax.random.split(key)
      use = forward(nets, params, state, net_key)
      z = jax.random.normal(z_key, (8, 4))
      if seen is not None:
        jax.debug.callback(lambda z: seen.append(np.asarray(z)), z, ordered=True)
      x = use("generator", z)
      return sum(jnp.mean(jnp.square(use(head, x) - 1.0)) for head in heads), Aux(use.stats)

    return value

  players = {name: Player((name,), loss(name), SGD) for name in "ab"} | {
    "c": Player(("generator",), loss("a", "b"), SGD)
  }
  return Game(nets, players, (Move(("a", "b", "c"), shared_key=shared_key),))


@pytest.mark.parametrize(("shared_key", "different"), [(True, 1), (False, 3)])
def test_players_with_one_key_draw_the_same_latents(shared_key, different):
  seen = []
  game = three_players_of_one_generator(shared_key, seen)
  train.make_step(game)(train.init(game, jax.random.key(0)), {"x": jnp.zeros((1, 8, 4))})
  jax.effects_barrier()
  assert len(seen) == 3 and len({z.tobytes() for z in seen}) == different


def test_players_with_one_key_share_a_forward_pass():
  """Products of the compiled round: three forward passes of the generator become one, each head's two become one."""

  def products(shared_key):
    game = three_players_of_one_generator(shared_key)
    state = train.init(game, jax.random.key(0))
    compiled = jax.jit(train.make_step(game)).lower(state, {"x": jnp.zeros((1, 8, 4))}).compile()
    return len(re.findall(r" dot\(| custom-call\([^\n]*(?:matmul|dot)", compiled.as_text()))

  # Generator forwards 3, its gradient 1; heads forwards 4, their gradients 2; what they pass back is no matrix product.
  assert (products(False), products(True)) == (3 + 1 + 4 + 2, 1 + 1 + 2 + 2)


def test_the_next_stage_keeps_what_fits_and_nothing_else():
  """By path, shape and type; the count of rounds and the key go on; optimizers as asked."""
  ring = lambda width: gan.make(
    generator=from_linen(mlp.Generator(shape=(2,), hidden=(16,)), toy.SPEC((1, 4), jnp.float32)),
    discriminator=from_linen(mlp.Discriminator(hidden=(width, 8)), toy.SPEC((1, 2), jnp.float32)),
    loss=adversarial.hinge(),
    tx=optax.adam(1e-2),
    latent_dim=4,
  )
  start = train.init(ring(16), jax.random.key(0))
  old, _ = train.make_scan(ring(16), 3, toy.ring_batch)(start)
  fresh = train.init(ring(24), jax.random.key(0))
  carried, anew = (train.carry(old, fresh, keep) for keep in (True, False))
  chex.assert_trees_all_equal(carried.params["generator"], old.params["generator"])
  chex.assert_trees_all_equal(carried.ema["generator"], old.ema["generator"])
  chex.assert_trees_all_equal(carried.opt["generator"], old.opt["generator"])
  head, was, new = (s.params["discriminator"] for s in (carried, old, fresh))
  chex.assert_trees_all_equal(head["Dense_0"], new["Dense_0"])  # [2, 24] and [24], where there were [2, 16] and [16]
  chex.assert_trees_all_equal(head["Dense_1"]["kernel"], new["Dense_1"]["kernel"])
  chex.assert_trees_all_equal(head["Dense_1"]["bias"], was["Dense_1"]["bias"])
  chex.assert_trees_all_equal(head["Dense_2"], was["Dense_2"])
  assert int(carried.step) == int(anew.step) == 3
  chex.assert_trees_all_equal(jax.random.key_data(carried.key), jax.random.key_data(old.key))
  chex.assert_trees_all_equal(anew.opt, fresh.opt)
  chex.assert_trees_all_equal(anew.params, carried.params)
  chex.assert_trees_all_equal(train.carry(old, start).replace(key=0), old.replace(key=0))


def state_of(memory=(), **params):
  fields = {"params": params, "stats": {}, "opt": {}, "ema": {}, "memory": memory}
  return TrainState(step=jnp.array(5, jnp.int32), key=jax.random.key(1), **fields)


def test_what_has_another_path_or_type_is_not_carried():
  old = state_of(a={"w": jnp.ones(2), "n": jnp.ones((), jnp.int32)}, gone={"w": jnp.ones(2)})
  fresh = state_of(a={"w": jnp.zeros(2), "n": jnp.zeros(())}, new={"w": jnp.zeros(2)}).replace(key=jax.random.key(2))
  carried = train.carry(old, fresh)
  chex.assert_trees_all_equal(carried.params, {"a": {"w": jnp.ones(2), "n": jnp.zeros(())}, "new": {"w": jnp.zeros(2)}})
  assert carried.params["a"]["n"].dtype == jnp.float32
  np.testing.assert_array_equal(jax.random.key_data(carried.key), jax.random.key_data(old.key))


@pytest.mark.parametrize(("shape", "size"), [((4, 4, 1), 6), ((2, 2, 1), 4), ((2, 2, 1), 8)])
def test_a_pool_of_another_size_begins_empty(shape, size):
  """With the count of the old one, images that nobody made would be seen, or places that are not there written."""
  old, _ = pool.exchange(pool.init((2, 2, 1), 6), KEY, jnp.ones((8, 2, 2, 1)))
  assert int(old.count) == 6
  carried = train.carry(state_of({"x": old}), state_of({"x": pool.init(shape, size)})).memory["x"]
  assert int(carried.count) == 0 and carried.images.shape == (size, *shape)
  kept = train.carry(state_of({"x": old}), state_of({"x": pool.init((2, 2, 1), 6)})).memory["x"]
  chex.assert_trees_all_equal(kept, old)


def test_the_key_of_evaluations_is_none_of_trainings():
  """Of the run's key itself split gives the keys of rounds 0 and 1, as of the first two numbers folded in."""
  key = jax.random.key(7)
  data = lambda keys: [tuple(each) for each in np.asarray(jax.random.key_data(keys)).reshape(-1, 2).tolist()]
  rounds = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(1_000))
  assert data(jax.random.split(key)) == data(rounds[:2])
  moves = jax.vmap(lambda k: jax.vmap(lambda i: jax.random.fold_in(k, i))(jnp.arange(4)))(rounds)
  start = jax.random.fold_in(key, 2**32 - 1)
  trained = {*data(key), *data(rounds), *data(moves), *data(start), *data(jax.random.split(start))}
  evaluated = train.evaluation_key(key)
  assert data(evaluated) == data(jax.random.fold_in(key, 2**32 - 2))
  assert not trained & {*data(evaluated), *data(jax.random.split(evaluated, 8))}
  assert data(evaluated) != data(train.evaluation_key(jax.random.key(8)))
