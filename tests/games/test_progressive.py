"""Progressive growing: losses by hand on linear nets, faded real images, and that growth keeps what was learnt."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from experiments.lab import configs, names
from experiments.lab.build import build_game
from gan_jax import checkpoint, train
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, Game, Net, NetSpec, TrainState
from gan_jax.games import progressive
from gan_jax.pyramid import enlarged

KEY = jax.random.key(8)
DATA = DataSpec((8, 8, 1))
X = np.random.default_rng(0).normal(size=(2, 8, 8, 1))  # of which the game sees means over 2x2
WEIGHTS = np.arange(16.0).reshape(4, 4) / 10
Z = np.array([0.5, -2.0])


def plain_net(params, function) -> Net:
  """A net without statistics."""
  apply = lambda p, s, *inputs, key=None, train=True: (function(p, *inputs), s)
  return Net(lambda key: (jax.tree.map(jnp.float32, params), {}), apply)


def linear_game(**settings):
  """G(z) = a z (1 + alpha) for every pixel, D(x) = b sum(w x) + alpha, with a = 0.3 and b = 2."""
  image = lambda z, alpha: jnp.broadcast_to((z[:, 0] * (1.0 + alpha))[:, None, None, None], (len(z), 4, 4, 1))
  score = lambda x, alpha: (x[..., 0] * jnp.float32(WEIGHTS)[None]).sum((1, 2)) + alpha
  nets = {
    "generator": plain_net({"a": 0.3}, lambda p, z, alpha: p["a"] * image(z, alpha)),
    "critic": plain_net({"b": 2.0}, lambda p, x, alpha: p["b"] * score(x, 0.0) + alpha),
  }
  given = {"tx": optax.sgd(1.0), "latent_dim": 1, "data": DATA, "resolution": 4}
  given["prior"] = lambda key, shape: jnp.float32(Z)[:, None]
  return progressive.make(**(nets | given | settings))


def by_hand(alpha, a=0.3, b=2.0, weight=10.0, drift=0.001):
  """Both losses and the metrics in float64."""
  x = X.reshape(2, 4, 2, 4, 2).mean((2, 4))
  coarse = np.kron(x.reshape(2, 2, 2, 2, 2).mean((2, 4)), np.ones((2, 2)))
  x = (1 - alpha) * coarse + alpha * x
  real, fake = (b * (v * WEIGHTS).sum((1, 2)) + alpha for v in (x, (a * (1 + alpha) * Z).reshape(2, 1, 1)))
  # In pixels of the data a slope is half of what it is in these, which are twice as large.
  penalty = (abs(b) * np.sqrt((WEIGHTS**2).sum()) / 2 - 1) ** 2
  means = {"real": real.mean(), "fake": fake.mean(), "w1": real.mean() - fake.mean(), "penalty": penalty}
  critic = -means["w1"] + weight * penalty + drift * (real**2).mean()
  return {"critic/loss": critic, "generator/loss": -fake.mean()} | {f"critic/{k}": v for k, v in means.items()}


@pytest.mark.parametrize(
  ("settings", "alpha", "numbers"),
  [
    ({}, 1.0, {}),
    ({"fade": 0.25, "drift": 0.7}, 0.25, {"drift": 0.7}),
    ({"fade": lambda step: 0.5 * (step + 1), "penalty_weight": 3.0}, 0.5, {"weight": 3.0}),
    ({"fade": 0.0}, 0.0, {}),
  ],
)
def test_losses_and_gradients_by_hand(settings, alpha, numbers):
  """Real images are faded, slopes are in pixels of the data, and the score of real ones is held near 0."""
  game = linear_game(**settings)
  state = train.init(game, KEY)
  batch = {"x": jnp.float32(X)}
  for player in ("critic", "generator"):
    expected = by_hand(alpha, **numbers)
    after, metrics = train.play(game, (player,), state, batch, KEY)
    for name in metrics.keys() & expected.keys():
      np.testing.assert_allclose(metrics[name], expected[name], rtol=1e-4, atol=1e-5, err_msg=name)
    net, letter, value = {"critic": ("critic", "b", 2.0), "generator": ("generator", "a", 0.3)}[player]
    h = 1e-5
    ends = [by_hand(alpha, **{letter: value + step}, **numbers)[f"{player}/loss"] for step in (h, -h)]
    step = after.params[net][letter] - state.params[net][letter]
    np.testing.assert_allclose(step, (ends[1] - ends[0]) / (2 * h), rtol=1e-3, atol=1e-4)


def test_drift_is_a_thousandth_by_default():
  """Scores of 1,000 cost 1,000."""
  constant = lambda p, x, alpha: 1e3 * p["b"] + 0.0 * x.sum((1, 2, 3))
  game = linear_game(penalty_weight=0.0, critic=plain_net({"b": 1.0}, constant))
  _, metrics = train.play(game, ("critic",), train.init(game, KEY), {"x": jnp.float32(X)}, KEY)
  np.testing.assert_allclose(metrics["critic/loss"], 1e3, rtol=1e-5)


def test_samples_and_scores_are_at_the_alpha_of_the_last_round():
  """Samples are clipped and of the data's size; data that are scored are reduced, and not faded."""
  game = linear_game(fade=lambda step: 0.25 * (step + 1))
  state = train.init(game, KEY)
  step = jax.jit(train.make_step(game))
  for alpha in (0.25, 0.5, 0.75):
    raw = (state.params, state.stats)
    a, b = state.params["generator"]["a"], state.params["critic"]["b"]
    seen = alpha if int(state.step) == 0 else alpha - 0.25  # before the first round, that of the first
    samples = game.sample(*raw, KEY, 2)
    np.testing.assert_allclose(
      samples, np.broadcast_to(np.clip(a * (1 + seen) * Z, -1, 1).reshape(2, 1, 1, 1), (2, 8, 8, 1)), rtol=1e-5
    )
    np.testing.assert_array_equal(samples, game.sample(*raw, KEY, 2, latents=jnp.float32(Z)[:, None]))
    expected = b * (X.reshape(2, 4, 2, 4, 2).mean((2, 4)) * WEIGHTS).sum((1, 2)) + seen
    np.testing.assert_allclose(game.score(*raw, jnp.float32(X)), expected, rtol=1e-4, atol=1e-4)
    state, metrics = step(state, {"x": jnp.float32(X)[None]})
    np.testing.assert_allclose(metrics["critic/alpha"], alpha)


SMALL = {
  "nets.generator.width": 6,
  "nets.critic.width": 6,
  "data.batch_size": 4,
  "game.latent_dim": 3,
  "eval.evaluators": (),
  "train.rounds": 1_200,
}


IMAGES = jax.random.normal(KEY, (4, 16, 16, 1))


class Grown(NamedTuple):
  """A stage of the small config, its game, and what can be asked of that, compiled."""

  stage: configs.Stage
  game: Game
  fresh: TrainState
  start: TrainState  # as the stage before has left it
  end: TrainState
  ask: Callable


def learnt(game, state, seed):
  """The end of a stage: other weights, averages and momenta, and a critic that was trained at alpha = 1 last."""
  random = np.random.default_rng(seed)
  change = lambda v: v + (1 if v.dtype == jnp.int32 else np.float32(0.3 * random.normal(size=v.shape)))
  params, ema, opt = jax.tree.map(change, (state.params, state.ema, state.opt))
  size = max(int(name.rpartition("_")[2]) for name in params["generator"] if "to_rgb" in name)
  images, ones = jnp.zeros((4, size, size, 1)), jnp.ones(4)
  _, stats = game.nets["critic"].apply(params["critic"], state.stats["critic"], images, ones)
  return state.replace(params=params, ema=ema, opt=opt, stats=state.stats | {"critic": stats})


def asked(game, state):
  """Samples of raw and averaged weights, unclipped images at alpha 0 and 1, and scores."""
  raw = (state.params, state.stats)
  images = lambda alpha: game.nets["generator"].apply(raw[0]["generator"], {}, IMAGES[:, 0, :3, 0], jnp.full(4, alpha))[
    0
  ]
  samples = game.sample(*raw, KEY, 4), game.sample(*train.averaged(state), KEY, 4)
  return samples, (images(0.0), images(1.0)), game.score(*raw, IMAGES)


@functools.cache
def grown():
  """The config's first three stages, on images of 16x16, each grown from the one before."""
  found, state = [], None
  for i, stage in enumerate(configs.stages(configs.load("progressive", SMALL))[:3]):
    game, _ = build_game(stage.config, DataSpec((16, 16, 1)))
    fresh = jax.jit(functools.partial(train.init, game))(KEY)
    start = fresh if state is None else train.carry(state, fresh, stage.keep_optimizers)
    state = learnt(game, start, i).replace(step=jnp.int32(stage.end))
    found.append(Grown(stage, game, fresh, start, state, jax.jit(functools.partial(asked, game))))
  return found


GROWTHS = pytest.mark.parametrize("growth", [1, 2])


@GROWTHS
def test_growing_keeps_the_function(growth):
  """Images and samples, and scores of whatever images."""
  old, new = grown()[growth - 1 : growth + 1]
  (before, (_, small), scores), (after, (large, _), new_scores) = old.ask(old.end), new.ask(new.start)
  assert large.shape == (4, 4 * 2**growth, 4 * 2**growth, 1) and float(large.std()) > 0.5
  np.testing.assert_allclose(large, enlarged(small, 2), atol=1e-5)
  for one, other in zip(before, after, strict=True):
    np.testing.assert_allclose(other, one, atol=1e-5)
  assert float(jnp.abs(before[0] - before[1]).max()) > 0.1  # the average is another generator
  np.testing.assert_allclose(new_scores, scores, rtol=1e-5, atol=1e-5)
  assert float(scores.std()) > 1e-3


def test_growing_keeps_the_critics_loss():
  """Of real images, which are faded, and generated ones: neither the estimate of W1 nor the penalty jumps."""
  old, new = grown()[:2]
  loss = lambda stage, state: jax.jit(stage.game.players["critic"].loss)(state.params, state, {"x": IMAGES}, KEY)
  (value, aux), (new_value, new_aux) = loss(old, old.end), loss(new, new.start)
  np.testing.assert_allclose(new_value, value, rtol=1e-4)
  assert aux.metrics.pop("alpha") == 1.0 and new_aux.metrics.pop("alpha") == 0.0
  for name, number in aux.metrics.items():
    np.testing.assert_allclose(new_aux.metrics[name], number, rtol=1e-4, atol=1e-5, err_msg=name)


@GROWTHS
def test_growth_carries_all_that_is_in_use_and_begins_the_optimizers_anew(growth):
  """What is left behind are layers to and from images of a quarter of the size, which alpha = 1 has put out of use."""
  old, new = grown()[growth - 1 : growth + 1]
  size = 4 * 2**growth
  for net, way in (("generator", "to"), ("critic", "from")):
    kept = old.end.params[net].keys() - {f"{way}_rgb_{size // 4}"}
    added = {f"conv_{size}_0", f"conv_{size}_1", f"{way}_rgb_{size}"}
    assert new.start.params[net].keys() == kept | added
    for name in kept:
      assert tiny.same(new.start.params[net][name], old.end.params[net][name])
    for name in added:
      assert tiny.same(new.start.params[net][name], new.fresh.params[net][name])
  averages, before = (state.ema["generator"]["params"] for state in (new.start, old.end))
  for name in averages.keys() & before.keys():
    assert tiny.same(averages[name], before[name])
  assert tiny.same(new.start.opt, new.fresh.opt) and int(new.start.step) == old.stage.end
  assert old.end.opt["critic"][0].count == 1 and new.start.opt["critic"][0].count == 0


@pytest.mark.parametrize("rounds", [4_800, 1_200])
def test_alpha_rises_over_the_first_half_of_a_stage_however_long_the_run(rounds):
  first, *others = configs.stages(configs.load("progressive", {"train.rounds": rounds}))
  assert first.config.game.fade == 1.0 and first.start == 0 and others[-1].end == rounds
  assert [stage.config.game.resolution for stage in (first, *others)] == [4, 8, 16, 32]
  for stage in others:
    fade = names.resolve_settings({"fade": stage.config.game.fade}, "game")["fade"]
    length = stage.end - stage.start
    found = [float(fade(stage.start + length * part // 8)) for part in (0, 1, 2, 4, 6, 8)]
    np.testing.assert_allclose(found, [0.0, 0.25, 0.5, 1.0, 1.0, 1.0], atol=4 / length)
    assert found[0] == 0.0 and found[3] == found[-1] == 1.0 and not stage.keep_optimizers


def test_a_run_resumed_within_a_fade_is_the_uninterrupted_one(tmp_path):
  """It has grown from 4x4 to 8x8, and is stopped while alpha rises."""
  stage = grown()[1]
  run = jax.jit(train.make_scan(stage.game, 2, lambda key: {"x": jax.random.normal(key, (4, 16, 16, 1))}))
  half, _ = run(stage.start)
  whole, metrics = run(half)
  with checkpoint.open_folder(tmp_path) as checkpoints:
    checkpoint.save(checkpoints, half)
  with checkpoint.open_folder(tmp_path) as checkpoints:
    resumed, _ = run(checkpoint.restore(checkpoints, stage.fresh))
  np.testing.assert_allclose(metrics["critic/alpha"], [2 / 100, 3 / 100], rtol=1e-6)
  assert tiny.same(resumed, whole)


def test_specs_and_refusals():
  assert progressive.specs(DataSpec((32, 32, 3)), latent_dim=5, resolution=8) == {
    "generator": NetSpec(((5,), ()), (8, 8, 3)),
    "critic": NetSpec(((8, 8, 3), ()), ()),
  }
  for data, settings, message in (
    (DATA, {"latent_dim": 0, "resolution": 4}, "latent_dim is 0"),
    (
      DATA,
      {"latent_dim": 5, "resolution": 16},
      "resolution is 16; it has to be even, and divide the side of the data, 8",
    ),
    (DataSpec((9, 9, 1)), {"latent_dim": 5, "resolution": 3}, "resolution is 3; it has to be even"),
    (DATA, {"latent_dim": 5, "resolution": 0}, "resolution is 0"),
    (
      DataSpec((8, 4, 1)),
      {"latent_dim": 5, "resolution": 4},
      r"square images \[H, H, C\], and the data are \[8, 4, 1\]",
    ),
    (DataSpec((2,)), {"latent_dim": 5, "resolution": 1}, r"the data are \[2\]"),
  ):
    with pytest.raises(ConfigError, match=message):
      progressive.specs(data, **settings)
  with pytest.raises(ConfigError, match="critic_steps is 0"):
    linear_game(critic_steps=0)
