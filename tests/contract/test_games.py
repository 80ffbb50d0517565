"""What every game has to satisfy, on every experiment and variant that there is: nothing here names one."""

import functools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from experiments.lab import configs, names
from experiments.lab.build import build
from experiments.lab.members import with_values
from gan_jax import checkpoint, shard, train
from gan_jax.game import NetSpec

import hlo

KEY = jax.random.key(3)
# What is asked of one experiment is asked in one process, which keeps what it has played.
together = lambda names: [pytest.param(name, marks=pytest.mark.xdist_group(f"contract {name}")) for name in names]
every_experiment = pytest.mark.parametrize("name", together(tiny.EVERY))
each_experiment, each_kind_of_nets, each_game, each_game_and_kind_of_nets, every_net = (
  pytest.mark.parametrize("name", together(dict.fromkeys(names)))
  for names in (tiny.EACH, tiny.EACH + tiny.NETS, tiny.GAMES, tiny.GAMES + tiny.NETS, tiny.EVERY + tiny.BUILDERS)
)


@functools.cache
def built(name):
  """A tiny experiment, its config, and its start, which is committed to its device as what is restored will be."""
  experiment, config = tiny.experiment_of(name)
  start = jax.jit(functools.partial(train.init, experiment.game))(KEY)
  return experiment, config, jax.device_put(start, jax.devices()[0])


@functools.cache
def with_numbers(name):
  """A round of which every number of the game and the optimizers is an argument, and these numbers."""
  experiment, config, start = built(name)

  def play(values, state, batches):
    game = build(with_values(config, values), experiment.dataset).game
    chex.assert_trees_all_equal_shapes_and_dtypes(jax.eval_shape(functools.partial(train.init, game), KEY), start)
    return train.make_step(game)(state, batches)

  return play, tiny.numbers_of(config)


@functools.cache
def one_round(name):
  """The compiled round, with traced numbers, and what draws its batches, two programs."""
  game, (play, values) = built(name)[0].game, with_numbers(name)
  step = jax.jit(play)
  return functools.partial(step, values), step, jax.jit(lambda state, draw: train.draw_round(game, draw, state))


@functools.cache
def played(name):
  """Of a tiny experiment: itself, its config, its start, two rounds as one compiled scan, and where two of these
  lead."""
  experiment, config, start = built(name)
  two = jax.jit(lambda state, draw: train.make_scan(experiment.game, 2, draw)(state))
  half, first = two(start, experiment.draw)
  whole, second = two(half, experiment.draw)
  return experiment, config, start, two, (half, whole), (first, second)


@every_experiment
def test_a_scan_is_a_loop_and_numbers_may_be_traced(name):
  """Four rounds, metrics included, but for the rounding of two compilations: scanned, with the numbers of the config as
  constants, and one by one, with these as arguments of the program. And nothing is compiled twice."""
  experiment, _, state, two, (half, whole), metrics = played(name)
  step, program, draw = one_round(name)
  assert "train.ema_decay" in with_numbers(name)[1]
  rows = []
  for _ in range(4):
    state, row = step(state, draw(state, experiment.draw))
    rows.append(row)
  metrics = jax.tree.map(lambda *r: jnp.concatenate(r), *metrics)
  compare((state, jax.tree.map(lambda *r: jnp.stack(r), *rows)), (whole, metrics), 1e-4)
  assert np.array_equal(jax.random.key_data(state.key), jax.random.key_data(whole.key))
  chex.assert_tree_all_finite((whole.params, whole.stats, metrics))
  assert two._cache_size() == program._cache_size() == draw._cache_size() == 1
  assert int(half.step) == 2 and int(whole.step) == 4


def test_every_convolutional_net_is_played():
  """Those that convolve in some experiment."""
  used = {net.name for name in tiny.BUILDERS for net in tiny.config_of(name).nets.values()}
  assert {name for name in names.known(names.NET) if name.startswith(("dcgan", "translation"))} <= used


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the naive loop is the CPU's")
@every_net
def test_nothing_in_a_scanned_round_is_slow(name):
  experiment, _, start, two, *_ = played(name)
  text = two.lower(start, experiment.draw).compile().as_text()  # of the program that was played
  assert " while(" in text and not hlo.slow(text)


@each_experiment
def test_a_run_resumed_is_the_uninterrupted_one(name, tmp_path):
  experiment, _, start, two, (half, whole), _ = played(name)
  with checkpoint.open_folder(tmp_path) as checkpoints:
    checkpoint.save(checkpoints, half)
  with checkpoint.open_folder(tmp_path) as checkpoints:
    again, _ = two(checkpoint.restore(checkpoints, start), experiment.draw)
  assert tiny.same(again, whole)
  assert two._cache_size() == 1


@every_experiment
def test_players_move_what_they_own_and_nothing_else(name):
  """What a move leaves alone is not computed at all: in its program it goes in and comes out as it is."""
  experiment, _, start, _, (half, _), _ = played(name)
  game = experiment.game
  batch = jax.tree.map(lambda b: b[0], train.draw_round(game, experiment.draw, half))
  alone = lambda state: {player: train.play(game, (player,), state, batch, KEY)[0] for player in game.players}
  program, shapes = jax.make_jaxpr(alone, return_shape=True)(half)
  before = jax.tree.unflatten(jax.tree.structure(half), program.jaxpr.invars)
  for player, after in jax.tree.unflatten(jax.tree.structure(shapes), program.jaxpr.outvars).items():
    owns = game.players[player].owns
    for net in game.nets:
      if net not in owns:
        assert untouched((before.params[net], before.stats[net]), (after.params[net], after.stats[net])), net
    assert any(not untouched(before.params[net], after.params[net]) for net in owns)
    assert any(not tiny.same(start.params[net], half.params[net]) for net in owns)
    for other in game.players:
      assert other == player or untouched(before.opt[other], after.opt[other])
    assert untouched((before.ema, before.step, before.key), (after.ema, after.step, after.key))


@each_game
def test_numbers_are_axes(name):
  """Every number of the game and the optimizers may be a vmapped one: nothing branches on it. Traced alone."""
  experiment, _, start = built(name)
  play, values = with_numbers(name)
  batches = jax.eval_shape(lambda state: train.draw_round(experiment.game, experiment.draw, state), start)
  pairs = {k: jnp.array([v, v]) for k, v in values.items()}
  ends, _ = jax.eval_shape(jax.vmap(play, (0, None, None)), pairs, start, batches)
  assert jax.tree.map(lambda end: end.shape[1:], ends) == jax.tree.map(jnp.shape, start)


@each_kind_of_nets
def test_bfloat16_computes_and_keeps_float32(name):
  """All are traced, which settles the types, and one of each kind of nets is played."""
  experiment, config = tiny.experiment_of(name, {"dtype": "bfloat16"})
  state, fresh = built(name)[2], jax.eval_shape(functools.partial(train.init, experiment.game), KEY)
  chex.assert_trees_all_equal_shapes_and_dtypes(state, fresh)
  run = jax.jit(lambda state, draw: train.make_scan(experiment.game, 1, draw)(state)).trace(state, experiment.draw)
  end, metrics = run.out_info
  assert not [leaf for leaf in jax.tree.leaves((end.params, end.ema, metrics)) if leaf.dtype == jnp.bfloat16]
  if name in tiny.NETS:
    state, metrics = run.lower().compile()(state, experiment.draw)
    chex.assert_tree_all_finite((state.params, metrics))
  # A layer that points enter or leave is float32; of dense nets on points that leaves a generator's hidden layers, and
  # from the second on those of the others.
  images = len(experiment.dataset.shape) == 3
  nets = [section for section in config.nets.values() if not section.name.startswith("linear.")]
  wide = [len(net.get("hidden", ())) > (not net.name.endswith(".generator")) for net in nets]
  assert any(images or half for half in wide) == ("bf16" in str(run.jaxpr))


@each_game_and_kind_of_nets
@pytest.mark.skipif(len(jax.devices()) < 4, reason="needs four devices")
def test_four_devices_play_as_one(name, monkeypatch):
  """Every second game with its state split too, down to arrays of 16 numbers. One round, whose gradients are compared,
  to 2e-5, or four times what another rounding of the start makes of them, 2e-4 at most; pools fill, batch statistics
  are global."""
  single, config, start = built(name)
  fsdp, mesh = tiny.EVERY.index(name) % 2 == 0, shard.mesh(4)
  monkeypatch.setattr(shard, "_SMALL", 16)
  game = build(config, single.dataset, functools.partial(shard.split_batches, mesh)).game
  shardings = shard.state_shardings(mesh, jax.eval_shape(functools.partial(train.init, game), KEY), fsdp)
  run = jax.jit(lambda s, d: train.make_step(game)(s, train.draw_round(game, d, s)), out_shardings=(shardings, None))
  state, draw = jax.device_put(start, shardings), shard.replicate(mesh, single.draw)
  compiled = run.lower(state, draw).compile()
  assert "all-reduce" in compiled.as_text()
  end = compiled(state, draw)
  split = [leaf for leaf in jax.tree.leaves(end[0].params) if not leaf.is_fully_replicated]
  assert bool(split) == (fsdp and any(leaf.size >= 16 for leaf in jax.tree.leaves(start.params)))
  step, program, draw_round = one_round(name)
  batches, random = draw_round(start, single.draw), np.random.default_rng(0)
  one = step(start, batches)
  to_either_side = lambda p: np.nextafter(p, random.choice([-np.inf, np.inf], p.shape).astype(p.dtype))
  near = jax.device_put(jax.tree.map(to_either_side, start.params), jax.devices()[0])
  rounded, _ = step(start.replace(params=near), batches)
  assert program._cache_size() == 1
  of_rounding = {player: apart(*both) for player, both in gradients(one[0], rounded).items()}
  compare(one, end, 2e-5, {player: np.clip(4.0 * most, 2e-5, 2e-4) for player, most in of_rounding.items()})


def untouched(before, after):
  """Whether the variables of a program are the same ones, not others that may have the same values."""
  return all(a is b for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True))


def gradients(a, b):
  """Of every player what two states keep of its gradients, as two vectors."""
  chex.assert_trees_all_equal_shapes(a.opt, b.opt)
  vector = lambda state, player: np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.opt[player])])
  return {player: (vector(a, player), vector(b, player)) for player in a.opt}


def apart(a, b):
  """The largest difference, relative to the largest of `a`."""
  return float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30))


def compare(one, other, tolerance, of_gradients=None):
  """Gradients relative to the largest of their player, to a tolerance of its own if given; all else relative to its own
  size or 1."""
  (a, metrics), (b, others) = one, other
  for player, both in gradients(a, b).items():
    assert apart(*both) <= (of_gradients or {}).get(player, tolerance), player
  fields = lambda state, metrics: {f: getattr(state, f) for f in ("params", "stats", "ema", "memory")} | {"m": metrics}
  pairs = zip(jax.tree.leaves_with_path(fields(a, metrics)), jax.tree.leaves(fields(b, others)), strict=True)
  for (path, leaf), its in pairs:
    scale = max(float(np.abs(np.asarray(leaf, np.float64)).max(initial=0.0)), 1.0)
    np.testing.assert_allclose(leaf, its, rtol=0, atol=tolerance * scale, err_msg=jax.tree_util.keystr(path))


def specs_of(config, dataset):
  settings = {k: v for k, v in config.game.items() if k != "name"}
  game = names.known(names.GAME)[config.game.name]
  return game.specs(tiny.spec_of(dataset), **settings)


@pytest.mark.parametrize("name", sorted(names.known(names.GAME)))
def test_every_game_is_played_by_an_experiment_and_says_its_specs(name):
  """A paper has its config; its specs are shapes, and every net of `make` has one."""
  played_by = [other for other in tiny.ALL if configs.load(other).game.name == name]
  assert played_by
  config = tiny.config_of(played_by[0])
  module, specs = names.known(names.GAME)[name], specs_of(config, tiny.dataset_of(config))
  assert set(specs) == set(config.nets) and all(isinstance(spec, NetSpec) for spec in specs.values())
  assert re.search(r"\b(19|20)\d\d\b", module.__doc__ or "")  # cites its paper, with the year


@every_experiment
def test_abilities_give_what_they_promise(name):
  """Samples and translations have the data's shape, images lie in [-1, 1], latents are what `sample` decodes, and what
  a net's last layer gives as an image's score is linear in its features."""
  experiment, config, _, _, (half, _), _ = played(name)
  game, shape = experiment.game, experiment.dataset.shape
  nets, x = train.averaged(half), jnp.asarray(experiment.draw(KEY)["x"])[:3]

  @jax.jit
  def answers(nets, x):
    images, latents, judged = [], None, None
    if game.sample is not None:
      images.append(game.sample(*nets, KEY, 3))
    if game.translate is not None:
      images += [game.translate(*nets, KEY, x, *direction) for direction in game.directions]
    if game.encode is not None:
      latents = game.encode(*nets, KEY, x)
      images.append(game.sample(*nets, KEY, 3, latents=latents))
    if game.score is not None and len(shape) == 3:
      seen = 0.5 * jax.random.normal(KEY, (400, *shape))
      judged = game.features(*nets, seen), game.score(*nets, seen)
    return images, latents, judged

  found, latents, judged = answers(nets, x)
  assert (game.translate is None) == (not game.directions)
  assert latents is None or latents.shape == (3, config.game.latent_dim)
  if judged is not None:
    known, scores = np.concatenate([judged[0], np.ones((400, 1))], 1), np.asarray(judged[1])
    chex.assert_shape(scores, (400,))
    assert known.shape[1] < 200
    if any(spec.output == () for spec in specs_of(config, experiment.dataset).values()):
      error = known @ np.linalg.lstsq(known, scores)[0] - scores
      np.testing.assert_allclose(error, 0.0, atol=1e-3 * scores.std())
  assert found
  for images in found:
    chex.assert_shape(images, (3, *shape))
    chex.assert_tree_all_finite(images)
    assert len(shape) != 3 or np.abs(images).max() <= 1.0
