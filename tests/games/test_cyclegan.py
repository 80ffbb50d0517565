"""CycleGAN: both losses in float64 on nets of two numbers, whose gradient goes where, and who sees the pools."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import checkpoint, train
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, Net, NetSpec
from gan_jax.games import cyclegan
from gan_jax.losses import adversarial
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.pool import Pool

KEY = jax.random.key(9)
SHAPE = (2, 2, 1)
GENERATORS, DISCRIMINATORS = ("x_to_y", "y_to_x"), ("discriminator_x", "discriminator_y")
NOTHING = AdversarialLoss(lambda real, fake: jnp.zeros(()), lambda fake, real: jnp.zeros(()))
SQUARES = adversarial.least_squares(scale=1.0)
# A slope and a constant each; a discriminator's score of a patch is that of its one pixel.
NUMBERS = {"x_to_y": (2.0, 0.25), "y_to_x": (-0.7, 0.1), "discriminator_x": (0.6, -0.3), "discriminator_y": (-0.4, 0.8)}
INVERSES = {"x_to_y": (2.0, 0.25), "y_to_x": (0.5, -0.125)}
IDENTITIES = {"x_to_y": (1.0, 0.0), "y_to_x": (1.0, 0.0)}
EMPTY_SCORES = {"discriminator_x": (0.0, 0.3), "discriminator_y": (0.0, 0.3)}


def line(numbers) -> Net:
  """a x + b; its statistic is the sum of the means of all that it was trained on."""

  def apply(p, s, x, key=None, train=True):
    return p["a"] * x + p["b"], {"seen": s["seen"] + x.mean()} if train else s

  return Net(lambda key: ({k: jnp.array(v) for k, v in zip("ab", numbers)}, {"seen": jnp.zeros(())}), apply)


def line_game(numbers=(), **settings):
  defaults = {name: line(pair) for name, pair in {**NUMBERS, **dict(numbers)}.items()}
  defaults |= {"loss": SQUARES, "tx": optax.sgd(0.125), "data": DataSpec(SHAPE, 0, ("x", "y")), "pool_size": 5}
  return cyclegan.make(**{**defaults, **settings})


def normal_batch(key, n=3):
  x, y = jax.random.split(key)
  return {"x": jax.random.normal(x, (n, *SHAPE)), "y": 0.5 + jax.random.normal(y, (n, *SHAPE))}


BATCH = normal_batch(jax.random.key(1))


def played(game, player, batch=BATCH, memory=None):
  """The state before and after one move of a player, and its metrics."""
  state = train.init(game, KEY, batch)
  state = state if memory is None else state.replace(memory=memory)
  return state, *train.play(game, (player,), state, batch, KEY)


def moved(before, after):
  differ = lambda a, b: any(map(np.any, jax.tree.leaves(jax.tree.map(jnp.not_equal, a, b))))
  return {net for net in before if differ(before[net], after[net])}


# The same losses in float64, of {net: (slope, constant)}.


def squares(real, fake):
  return np.mean((real - 1.0) ** 2) + np.mean(fake**2)


def pairs(high, low):
  """softplus of -(high - low), place by place: the relativistic loss of both sides."""
  return np.mean(np.log1p(np.exp(low - high)))


LOSSES = {  # ours; discriminator `(real, fake)`, generator `(fake, real)` as the papers write them
  "squares": (SQUARES, squares, lambda fake, real: np.mean((fake - 1.0) ** 2)),
  "relativistic": (adversarial.relativistic(), pairs, pairs),
}


def reference(numbers, batch=BATCH):
  """Real and generated images, scores of both, and a function for each net."""
  net = {name: (lambda images, pair=pair: pair[0] * images + pair[1]) for name, pair in numbers.items()}
  x, y = (np.asarray(batch[k], np.float64) for k in "xy")
  fake_x, fake_y = net["y_to_x"](y), net["x_to_y"](x)
  scores = {k: [net[f"discriminator_{k}"](v) for v in both] for k, both in (("x", (x, fake_x)), ("y", (y, fake_y)))}
  return (x, y, fake_x, fake_y), scores, net


def generators_terms(generator_loss, numbers):
  (x, y, fake_x, fake_y), scores, net = reference(numbers)
  l1 = lambda a, b: np.mean(np.abs(a - b))
  return {
    "adversarial": sum(generator_loss(fake, real) for real, fake in scores.values()),
    "cycle": l1(net["y_to_x"](fake_y), x) + l1(net["x_to_y"](fake_x), y),
    "identity": l1(net["x_to_y"](y), y) + l1(net["y_to_x"](x), x),
  }


def gradients(value, nets):
  """Central differences of `value(numbers)` in the two numbers of each of `nets`, all other nets as they are."""
  found = {}
  for net in nets:
    for i, letter in enumerate("ab"):
      shifted = []
      for h in (1e-6, -1e-6):
        pair = list(NUMBERS[net])
        pair[i] += h
        shifted.append(value({**NUMBERS, net: tuple(pair)}))
      found[net, letter] = (shifted[0] - shifted[1]) / 2e-6
  return found


@pytest.mark.parametrize("name", LOSSES)
def test_the_generators_loss_and_joint_gradient(name):
  """Eq. 3 and section 5.2 with lambda 7 and identity weight 0.3; G and F step together by -rate x gradient."""
  ours, _, theirs = LOSSES[name]
  game = line_game(loss=ours, cycle_weight=7.0, identity_weight=0.3)
  before, after, metrics = played(game, "generators")
  terms = generators_terms(theirs, NUMBERS)
  assert set(metrics) == {"generators/loss", "generators/gradient", *(f"generators/{k}" for k in terms)}
  for k, value in terms.items():
    np.testing.assert_allclose(metrics[f"generators/{k}"], value, rtol=1e-5)

  def value(numbers):
    terms = generators_terms(theirs, numbers)
    return terms["adversarial"] + 7.0 * terms["cycle"] + 0.3 * 7.0 * terms["identity"]

  np.testing.assert_allclose(metrics["generators/loss"], value(NUMBERS), rtol=1e-5)
  for (net, letter), slope in gradients(value, GENERATORS).items():
    step = after.params[net][letter] - before.params[net][letter]
    np.testing.assert_allclose(step, -0.125 * slope, rtol=1e-4, atol=1e-6)


def test_only_the_way_back_to_x_sees_augmented_translations():
  """||F(T(G(x))) - x||_1 with T(y) = -3 y in place of ||F(G(x)) - x||_1, in value and gradient; T draws each time."""
  game = line_game(augment_y=lambda key, y: -3.0 * y)
  before, after, metrics = played(game, "generators")
  l1 = lambda a, b: np.mean(np.abs(a - b))

  def terms(numbers):
    (x, y, fake_x, fake_y), _, net = reference(numbers)
    found = generators_terms(LOSSES["squares"][2], numbers)
    return found | {"cycle": l1(net["y_to_x"](-3.0 * fake_y), x) + l1(net["x_to_y"](fake_x), y)}

  for k, value in terms(NUMBERS).items():
    np.testing.assert_allclose(metrics[f"generators/{k}"], value, rtol=1e-5)
  total = lambda numbers: float(np.dot([1.0, 10.0, 5.0], list(terms(numbers).values())))
  for (net, letter), slope in gradients(total, GENERATORS).items():
    step = after.params[net][letter] - before.params[net][letter]
    np.testing.assert_allclose(step, -0.125 * slope, rtol=1e-4, atol=1e-6)

  judged = [played(each, "discriminators")[2]["discriminators/loss"] for each in (game, line_game())]
  assert judged[0] == judged[1]

  drawn = line_game(augment_y=lambda key, y: jax.random.normal(key, y.shape))
  cycles = [
    train.play(drawn, ("generators",), before, BATCH, key)[1]["generators/cycle"] for key in jax.random.split(KEY)
  ]
  assert cycles[0] != cycles[1]


def test_the_defaults_are_the_papers():
  terms = generators_terms(LOSSES["squares"][2], NUMBERS)
  _, _, metrics = played(line_game(), "generators")
  np.testing.assert_allclose(
    metrics["generators/loss"], terms["adversarial"] + 10.0 * terms["cycle"] + 5.0 * terms["identity"], rtol=1e-5
  )
  nets = {name: line(pair) for name, pair in NUMBERS.items()}
  game = cyclegan.make(**nets, loss=SQUARES, tx=optax.sgd(0.1), data=DataSpec((4, 4, 3), 0, ("x", "y")))
  memory = game.init_memory(KEY)
  assert {k: v.images.shape for k, v in memory.items()} == {"x": (50, 4, 4, 3), "y": (50, 4, 4, 3)}
  assert game.draws == 1 and game.averaged == GENERATORS


@pytest.mark.parametrize("pool_size", [0, 5])
@pytest.mark.parametrize("name", LOSSES)
def test_the_discriminators_loss_is_halved(name, pool_size):
  """A pool of 5 that is empty returns 3 images as they are."""
  ours, theirs, _ = LOSSES[name]

  def value(numbers):
    return sum(theirs(real, fake) / 2 for real, fake in reference(numbers)[1].values())

  before, after, metrics = played(line_game(loss=ours, pool_size=pool_size), "discriminators")
  np.testing.assert_allclose(metrics["discriminators/loss"], value(NUMBERS), rtol=1e-5)
  for domain, (real, fake) in reference(NUMBERS)[1].items():
    np.testing.assert_allclose(metrics[f"discriminators/real_{domain}"], real.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics[f"discriminators/fake_{domain}"], fake.mean(), rtol=1e-5)
  assert len(metrics) == 6
  for (net, letter), slope in gradients(value, DISCRIMINATORS).items():
    step = after.params[net][letter] - before.params[net][letter]
    np.testing.assert_allclose(step, -0.125 * slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
  ("settings", "numbers", "nets"),
  [
    ({}, {}, GENERATORS),
    ({"loss": NOTHING}, {}, GENERATORS),
    ({"loss": NOTHING, "identity_weight": 0.0}, {}, GENERATORS),
    ({"loss": NOTHING, "identity_weight": 0.0}, INVERSES, ()),
    ({"loss": NOTHING}, INVERSES, GENERATORS),
    ({"loss": NOTHING}, IDENTITIES, ()),
    ({"loss": NOTHING, "cycle_weight": 0.0}, {}, ()),
    ({"cycle_weight": 0.0}, {}, GENERATORS),
    ({"cycle_weight": 0.0}, EMPTY_SCORES, ()),
    ({"cycle_weight": 0.0}, {"discriminator_y": (0.0, 0.3)}, ("y_to_x",)),
    ({"cycle_weight": 0.0}, {"discriminator_x": (0.0, 0.3)}, ("x_to_y",)),
    ({}, EMPTY_SCORES, GENERATORS),
  ],
)
def test_each_term_moves_its_generators_and_no_other_net(settings, numbers, nets):
  """Discriminators of slope 0 say nothing; exact inverses have no cycle loss, identities no identity loss either."""
  # 1/8 and its multiples, so that inverses are exact in binary.
  batch = {k: jnp.round(8.0 * v) / 8.0 for k, v in BATCH.items()}
  before, after, metrics = played(line_game(numbers, **settings), "generators", batch)
  assert moved(before.params, after.params) == set(nets)
  if numbers in (INVERSES, IDENTITIES):
    assert float(metrics["generators/cycle"]) == 0.0
    assert (float(metrics["generators/identity"]) == 0.0) == (numbers is IDENTITIES)


@pytest.mark.parametrize(
  ("loss", "nets"),
  [
    (SQUARES, DISCRIMINATORS),
    (NOTHING, ()),
    (SQUARES._replace(generator=NOTHING.generator), DISCRIMINATORS),
    (SQUARES._replace(discriminator=NOTHING.discriminator), ()),
  ],
)
def test_the_adversarial_term_alone_moves_the_discriminators(loss, nets):
  for settings in ({}, {"cycle_weight": 0.0}, {"identity_weight": 0.0}):
    before, after, _ = played(line_game(loss=loss, **settings), "discriminators")
    assert moved(before.params, after.params) == set(nets)


DISCRIMINATORS_THAT_SHOW = {"discriminator_x": (1.0, 0.0), "discriminator_y": (1.0, 0.0)}


def full_pools(size=50, marks=(1000.0, -2000.0)):
  """Pools in which every image is marked, by domain."""
  return {k: Pool(jnp.full((size, *SHAPE), v), jnp.array(size)) for k, v in zip("xy", marks)}


def test_discriminators_see_the_pools_and_generators_do_not():
  game = line_game(DISCRIMINATORS_THAT_SHOW, pool_size=50)
  batch = normal_batch(KEY, 32)
  _, unseen, without = played(game, "generators", batch)
  before, seen, with_pools = played(game, "generators", batch, full_pools())
  chex.assert_trees_all_equal((unseen.params, without), (seen.params, with_pools))
  chex.assert_trees_all_equal(before.memory, seen.memory)
  _, after, metrics = played(game, "discriminators", batch, full_pools())
  (_, _, fake_x, fake_y), _, _ = reference({**NUMBERS, **dict(DISCRIMINATORS_THAT_SHOW)}, batch)
  swapped = {}
  for domain, mark, fake in (("x", 1000.0, fake_x), ("y", -2000.0, fake_y)):
    seen_by_it, stored = 32 * float(metrics[f"discriminators/fake_{domain}"]), np.asarray(after.memory[domain].images)
    kept = np.all(stored == mark, axis=(1, 2, 3))
    # Whether seen or stored, nothing is lost: 50 marked images and 32 of the generator of this domain.
    np.testing.assert_allclose(
      seen_by_it + stored.mean((1, 2, 3)).sum(), 50 * mark + fake.mean((1, 2, 3)).sum(), rtol=1e-4
    )
    assert 4 < np.sum(~kept) < 28 and 4 < round(seen_by_it / mark) < 28
    for image in stored[~kept]:
      assert np.any(np.all(np.isclose(fake, image, rtol=1e-4, atol=1e-5), axis=(1, 2, 3)))
    swapped[domain] = kept
  assert np.any(swapped["x"] != swapped["y"])  # each pool draws its own
  # And other ones with another key.
  again, _ = train.play(game, ("discriminators",), before, batch, jax.random.key(1))
  assert any(np.any(again.memory[k].images != after.memory[k].images) for k in "xy")


def test_a_pool_takes_a_batch_in_each_move_of_the_discriminators():
  game = line_game(discriminator_steps=2, pool_size=10)
  state = train.init(game, KEY)
  counts = []
  for _ in range(2):
    state, _ = jax.jit(train.make_step(game))(state, {k: jnp.stack([v, v]) for k, v in BATCH.items()})
    counts.append([int(state.memory[k].count) for k in "xy"])
  assert counts == [[6, 6], [10, 10]]
  before, after, _ = played(game, "discriminators")
  assert [int(after.memory[k].count) for k in "xy"] == [3, 3]
  (_, _, fake_x, fake_y), _, _ = reference(NUMBERS)
  np.testing.assert_allclose(after.memory["x"].images[:3], fake_x, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(after.memory["y"].images[:3], fake_y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pool_size", [0, 4])
def test_a_run_resumed_half_way_is_the_uninterrupted_one(pool_size, tmp_path):
  """Eight rounds, and four, a checkpoint and four: parameters and pools are equal bit for bit."""
  game = line_game(pool_size=pool_size, tx=optax.adam(1e-2))
  four = jax.jit(train.make_scan(game, 4, normal_batch))
  start = train.init(game, KEY)
  whole, _ = jax.jit(train.make_scan(game, 8, normal_batch))(start)
  half, _ = four(start)
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    checkpoint.save(checkpoints, half)
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    resumed, _ = four(checkpoint.restore(checkpoints, start))
  for name in ("params", "stats", "opt", "ema", "memory"):
    chex.assert_trees_all_equal(getattr(resumed, name), getattr(whole, name))
  assert all(v.images is None for v in whole.memory.values()) == (pool_size == 0)


def test_statistics_are_the_mean_of_all_uses_and_move_with_their_owner():
  """G is used on x, on F(y) and on y, and F on y, on G(x) and on x; D_X on x and on F(y)."""
  (x, y, fake_x, fake_y), _, _ = reference(NUMBERS)
  before, after, _ = played(line_game(), "generators")
  assert moved(before.stats, after.stats) == set(GENERATORS)
  np.testing.assert_allclose(after.stats["x_to_y"]["seen"], (x.mean() + fake_x.mean() + y.mean()) / 3, rtol=1e-4)
  np.testing.assert_allclose(after.stats["y_to_x"]["seen"], (y.mean() + fake_y.mean() + x.mean()) / 3, rtol=1e-4)
  before, after, _ = played(line_game(), "discriminators")
  assert moved(before.stats, after.stats) == set(DISCRIMINATORS)
  np.testing.assert_allclose(after.stats["discriminator_x"]["seen"], (x.mean() + fake_x.mean()) / 2, rtol=1e-4)
  np.testing.assert_allclose(after.stats["discriminator_y"]["seen"], (y.mean() + fake_y.mean()) / 2, rtol=1e-4)


def test_every_use_of_a_net_has_a_key_of_its_own():
  """A round uses nets 6 times in the discriminators' move and 10 times in the generators'."""
  keys = []

  def recorded(net):
    def apply(p, s, x, key=None, train=True):
      jax.debug.callback(lambda k: keys.append(tuple(np.asarray(k))), jax.random.key_data(key), ordered=True)
      return net.apply(p, s, x, key=key, train=train)

    return net._replace(apply=apply)

  game = line_game(**{name: recorded(line(pair)) for name, pair in NUMBERS.items()})
  jax.jit(train.make_step(game))(train.init(game, KEY), {k: v[None] for k, v in BATCH.items()})
  jax.effects_barrier()
  assert len(keys) == len(set(keys)) == 16


def test_translations_are_those_outside_of_training():
  def shifted(net):
    """As it is, but off by 100 in training."""
    return net._replace(apply=lambda p, s, x, key=None, train=True: (net.apply(p, s, x)[0] + 100.0 * train, s))

  game = line_game(**{name: shifted(line(NUMBERS[name])) for name in GENERATORS})
  state = train.init(game, KEY)
  images = BATCH["x"]
  translate = lambda source, target: game.translate(state.params, state.stats, KEY, images, source, target)
  np.testing.assert_allclose(translate("x", "y"), 2.0 * images + 0.25, rtol=1e-5)
  np.testing.assert_allclose(translate("y", "x"), -0.7 * images + 0.1, rtol=1e-5)
  for wrong in (("x", "x"), ("x", "z")):
    with pytest.raises(ConfigError, match="there is no translation from 'x' to"):
      translate(*wrong)
  assert game.sample is None


def test_domains_of_other_names_are_played_the_same():
  """Batches, pools, scores and translations have the data's names; nets are those of the first and the second."""
  named = {"x": "photo", "y": "Monet"}
  game, other = line_game(), line_game(data=DataSpec(SHAPE, 0, ("photo", "Monet")))
  assert game.directions == (("x", "y"), ("y", "x")) and other.directions == (("photo", "Monet"), ("Monet", "photo"))
  assert other.nets.keys() == game.nets.keys()
  (one, rows), (same, others) = (
    jax.jit(train.make_step(g))(train.init(g, KEY), {named[k] if g is other else k: v[None] for k, v in BATCH.items()})
    for g in (game, other)
  )
  chex.assert_trees_all_equal((one.params, one.stats, one.ema), (same.params, same.stats, same.ema))
  for domain, name in named.items():
    chex.assert_trees_all_equal(one.memory[domain], same.memory[name])
    for what in ("real", "fake"):
      assert rows[f"discriminators/{what}_{domain}"] == others[f"discriminators/{what}_{name}"]
  given = same.params, same.stats, KEY, BATCH["x"]
  chex.assert_trees_all_equal(other.translate(*given, "photo", "Monet"), game.translate(*given, "x", "y"))
  chex.assert_trees_all_equal(other.translate(*given, "Monet", "photo"), game.translate(*given, "y", "x"))
  with pytest.raises(ConfigError, match="from 'x' to 'y'; the game translates photo to Monet, Monet to photo"):
    other.translate(*given, "x", "y")


def test_the_cycle_weight_may_be_a_schedule_of_the_round():
  """0 in round 0, 3 in round 1, 6 in round 2; the identity weight is a part of it."""
  weight = optax.linear_schedule(0.0, 6.0, 2)
  game = line_game(loss=NOTHING, cycle_weight=weight, identity_weight=0.5, tx=optax.sgd(0.0))
  state, found = train.init(game, KEY), []
  for _ in range(4):
    state, row = jax.jit(train.make_step(game))(state, {k: v[None] for k, v in BATCH.items()})
    found.append(float(row["generators/loss"]) / float(row["generators/cycle"] + 0.5 * row["generators/identity"]))
  np.testing.assert_allclose(found, [0.0, 3.0, 6.0, 6.0], rtol=1e-5)


def test_specs_are_images_to_images_and_patches_of_two_domains():
  image = (8, 8, 3)
  specs = cyclegan.specs(DataSpec(image, 0, ("x", "y")), cycle_weight=1.0)
  assert {specs[name] for name in GENERATORS} == {NetSpec((image,), image)}
  assert {specs[name] for name in DISCRIMINATORS} == {NetSpec((image,), None)}
  assert cyclegan.specs(DataSpec(image, 0, ("photo", "Monet"))) == specs
  for domains in (("x",), ("x", "y", "z")):
    with pytest.raises(ConfigError, match=f"translates between two domains, and the data has {', '.join(domains)};"):
      cyclegan.specs(DataSpec(image, 0, domains))


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"discriminator_steps": 0}, "discriminator_steps is 0; it has to be at least 1"),
    ({"pool_size": -1}, "pool_size is -1; it has to be at least 0"),
    ({"tx": {"generators": optax.sgd(0.1)}}, "player 'discriminators' has no optimizer"),
  ],
)
def test_refusals(settings, message):
  with pytest.raises(ValueError, match=message):
    line_game(**settings)


@pytest.mark.parametrize(
  "batch", [{"x": BATCH["x"]}, {**BATCH, "y": BATCH["y"][:, :1]}], ids=["one domain", "another shape"]
)
def test_batches_that_do_not_fit_are_noted_with_their_shapes(batch):
  with pytest.raises((KeyError, AssertionError, TypeError)) as caught:
    train.init(line_game(), KEY, batch)
  note = caught.value.__notes__[-1]
  assert "the loss of player 'discriminators'" in note and "(3, 2, 2, 1)" in note


def test_weights_are_an_axis():
  """A sweep over both weights at once is the runs by themselves, weights being Python's numbers there."""

  def params(cycle, identity):
    game = line_game(cycle_weight=cycle, identity_weight=identity, tx=optax.sgd(1e-2))
    state, _ = train.make_step(game)(train.init(game, KEY), {k: v[None] for k, v in BATCH.items()})
    return state.params

  weights = [(0.0, 0.5), (10.0, 0.0), (10.0, 0.5), (2.0, 3.0)]
  swept = jax.jit(jax.vmap(params))(*map(jnp.array, zip(*weights)))
  for i in (0, 3):
    single = jax.jit(lambda i=i: params(*weights[i]))()
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[i], swept), single, rtol=1e-4, atol=1e-5)
  assert len(np.unique(swept["x_to_y"]["a"])) == 4


def test_it_learns_to_translate_and_to_come_back():
  """X is N(0, 0.5^2), Y is N(1, 1) in each pixel, scores are quadratic: G comes to y = 1 +- 2 x, F to its inverse."""

  def quadratic() -> Net:
    init = lambda key: ({k: jnp.array(0.0) for k in "abc"}, {})
    return Net(init, lambda p, s, x, key=None, train=True: (p["a"] + p["b"] * x + p["c"] * x**2, s))

  rate = optax.linear_schedule(1e-2, 0.0, 2000)
  game = line_game(
    {"x_to_y": (1.0, 0.0), "y_to_x": (1.0, 0.0)},
    **{name: quadratic() for name in DISCRIMINATORS},
    tx=optax.adam(rate, b1=0.5),
    cycle_weight=1.0,
    identity_weight=0.0,
    pool_size=50,
  )

  def draw(key):
    x, y = (jax.random.normal(k, (32, *SHAPE)) for k in jax.random.split(key))
    return {"x": 0.5 * x, "y": 1.0 + y}

  params = jax.jit(train.make_scan(game, 2000, draw))(train.init(game, KEY))[0].params
  found = [params[net][letter] for net in GENERATORS for letter in "ab"]
  np.testing.assert_allclose(found, [2.0, 1.0, 0.5, -0.5], atol=0.15)
