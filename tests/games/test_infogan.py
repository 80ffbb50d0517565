"""InfoGAN: what each player's loss moves under both owners of Q, and the bound where it is known in closed form."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import train
from gan_jax.game import Net
from gan_jax.games import infogan
from gan_jax.games.infogan import Codes
from gan_jax.losses import adversarial, information
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.nets import mlp
from gan_jax.nets.adapt import from_linen

import toy

KEY = jax.random.key(5)
NETS = ("generator", "trunk", "discriminator", "recognition")
NOTHING = AdversarialLoss(lambda real, fake: jnp.zeros(()), lambda fake, real: jnp.zeros(()))
EVERYTHING = ("trunk", "discriminator", "recognition")
# 2 entries of noise; Q gives 5 logits, 1 mean and 1 log-variance.
SMALL = {"latent_dim": 8, "categorical": (3, 2), "continuous": 1, "learnt_variance": True}
LOGITS, NUMBERS = {0, 1, 2, 3, 4}, {5, 6}


def linear(inputs, outputs, seed, squeeze=False) -> Net:
  """x W; its statistic is the sum of the means of all inputs that it was trained on."""

  def init(key):
    return {"w": jax.random.normal(jax.random.key(seed), (inputs, outputs))}, {"seen": jnp.zeros(inputs)}

  def apply(p, s, x, key=None, train=True):
    y = x @ p["w"]
    return y[:, 0] if squeeze else y, {"seen": s["seen"] + x.mean(0)} if train else s

  return Net(init, apply)


def fixed(apply, params=()) -> Net:
  """A net of a function `(params, x) -> output`, with parameters given."""
  return Net(lambda key: (params, {}), lambda p, s, x, key=None, train=True: (apply(p, x), s))


def linear_game(**settings):
  defaults = {
    "generator": linear(8, 2, 1),
    "trunk": linear(2, 3, 2),
    "discriminator": linear(3, 1, 3, squeeze=True),
    "recognition": linear(3, 7, 4),
    "loss": adversarial.non_saturating(),
    "tx": optax.sgd(0.01),
  }
  return infogan.make(**{**defaults, **SMALL, **settings})


def normal_batch(key, n=16):
  return {"x": jax.random.normal(key, (n, 2))}


def played(game, player, **changes):
  """The state before and after one move of a player, and its metrics."""
  state = train.init(game, KEY, normal_batch(KEY))
  state = state.replace(params={**state.params, **changes})
  after, metrics = train.play(game, (player,), state, normal_batch(KEY), KEY)
  return state, after, metrics


def moved(before, after):
  differ = lambda a, b: any(map(np.any, jax.tree.leaves(jax.tree.map(jnp.not_equal, a, b))))
  return {net for net in before if differ(before[net], after[net])}


@pytest.mark.parametrize("owner", ["discriminator", "generator"])
@pytest.mark.parametrize("classes", [0.7, 0.0])
@pytest.mark.parametrize("numbers", [0.3, 0.0])
@pytest.mark.parametrize("loss", [adversarial.non_saturating(), NOTHING], ids=["adversarial", "nothing"])
def test_each_term_moves_its_nets_and_no_other(owner, classes, numbers, loss):
  """V moves trunk, D and G; lambda L_I moves G, and Q and the trunk where their owner minimises it."""
  game = linear_game(recognition_owner=owner, categorical_weight=classes, continuous_weight=numbers, loss=loss)
  informed, score = classes + numbers > 0.0, loss is not NOTHING
  columns = (LOGITS if classes else set()) | (NUMBERS if numbers else set())
  expected = {"discriminator": {"trunk", "discriminator"}, "generator": {"generator"}}
  expected = {player: nets if score else set() for player, nets in expected.items()}
  if informed:
    expected["generator"] |= {"generator"}
    expected[owner] |= {"recognition"} | ({"trunk"} if owner == "discriminator" else set())
  for player, nets in expected.items():
    before, after, _ = played(game, player)
    assert moved(before.params, after.params) == nets
    step = np.any(after.params["recognition"]["w"] != before.params["recognition"]["w"], axis=0)
    assert set(np.flatnonzero(step)) == (columns if player == owner else set())


@pytest.mark.parametrize(
  ("owner", "owned"),
  [("discriminator", (EVERYTHING, ("generator",))), ("generator", (EVERYTHING[:2], ("generator", "recognition")))],
)
def test_who_owns_what(owner, owned):
  game = linear_game(recognition_owner=owner, discriminator_steps=3)
  assert [set(game.players[name].owns) for name in ("discriminator", "generator")] == [set(nets) for nets in owned]
  assert game.draws == 3 and set(game.averaged) == {*EVERYTHING, "generator"}


def gradient(game, player, net, pick):
  """Of what `pick` takes from `(loss, metrics)`, in one net's parameters."""
  state = train.init(game, KEY)

  def value(own):
    loss, aux = game.players[player].loss({**state.params, net: own}, state, normal_batch(KEY), KEY)
    return pick(loss, aux.metrics)

  return jax.grad(value)(state.params[net])["w"]


@pytest.mark.parametrize("code", ["categorical", "continuous"])
@pytest.mark.parametrize(
  ("player", "net"), [("generator", "generator"), ("discriminator", "recognition"), ("discriminator", "trunk")]
)
def test_the_information_term_is_lambda_times_the_gradient_of_the_bound(player, net, code):
  weights = {"categorical_weight": 0.0, "continuous_weight": 0.0}
  loss = lambda value, metrics: value
  information = lambda value, metrics: sum(v for name, v in metrics.items() if name.startswith(f"information_{code}"))
  without = linear_game(**weights)
  with_term = linear_game(**{**weights, f"{code}_weight": 0.7})
  bound = gradient(without, player, net, information)
  assert np.abs(bound).max() > 0.1
  term = gradient(with_term, player, net, loss) - gradient(without, player, net, loss)
  np.testing.assert_allclose(term, -0.7 * bound, rtol=1e-3, atol=1e-4 * np.abs(bound).max())


def test_the_trunk_is_one_array_under_both_heads():
  game = linear_game()
  base, _, before = played(game, "discriminator")
  assert set(base.params) == set(NETS) and len(jax.tree.leaves(base.params)) == 4
  scores = {"discriminator/real", "discriminator/fake"}
  information = {f"discriminator/information_{name}" for name in ("categorical_0", "categorical_1", "continuous_0")}
  for net, reached in (("trunk", scores | information), ("discriminator", scores), ("recognition", information)):
    _, _, after = played(game, "discriminator", **{net: jax.tree.map(lambda w: 1.5 * w, base.params[net])})
    changed = {name for name in before if before[name] != after[name]}
    assert changed - {"discriminator/loss", "discriminator/gradient"} == reached


def copying_game(learnt_variance=True, **settings):
  """The image is the latent, and Q reads each code where it stands: classes for sure, numbers with an error each.

  Codes of 3 and of 2 classes and two numbers, behind two entries of noise; the means are off by 0.1 and 0.4.
  """

  def read(p, x):
    numbers = x[:, 7:9] + jnp.array([[0.1, 0.4]])
    spread = [jnp.broadcast_to(jnp.array([[-20.0, -1.0]]), numbers.shape)] if learnt_variance else []
    return jnp.concatenate([50.0 * x[:, 2:7], numbers, *spread], 1)

  return infogan.make(
    generator=fixed(lambda p, z: z),
    trunk=fixed(lambda p, x: x),
    discriminator=fixed(lambda p, x: x[:, 0]),
    recognition=fixed(read),
    loss=NOTHING,
    tx=optax.sgd(0.1),
    latent_dim=9,
    categorical=(3, 2),
    continuous=2,
    learnt_variance=learnt_variance,
    **settings,
  )


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("learnt", [True, False])
def test_the_bound_in_closed_form(player, learnt):
  """H(c) of a class that is read for sure. Of a number with error d and variance v, log 2 - log(2 pi v) / 2 - d^2 / 2v.

  A learnt v is e^s + 1e-4. A fixed one is 1 in the loss, and what fits, d^2 + 1e-4, in the metric.
  """
  weights = {"categorical_weight": 0.7, "continuous_weight": 0.3}
  game = copying_game(learnt, **weights)
  state, batch = train.init(game, KEY), {"x": jnp.zeros((16, 9))}
  _, metrics = train.play(game, (player,), state, batch, KEY)
  metrics = {name.partition("_")[2]: value for name, value in metrics.items() if "information" in name} | {
    "loss": metrics[f"{player}/loss"]
  }
  square = np.array([0.1, 0.4]) ** 2
  number = lambda v: np.log(2) - np.log(2 * np.pi * v) / 2 - square / (2 * v)
  logged = number(np.exp([-20.0, -1.0]) + 1e-4 if learnt else square + 1e-4)
  np.testing.assert_allclose(metrics["categorical_0"], np.log(3), atol=1e-5)
  np.testing.assert_allclose(metrics["categorical_1"], np.log(2), atol=1e-5)
  np.testing.assert_allclose([metrics[f"continuous_{i}"] for i in (0, 1)], logged, rtol=1e-4)
  minimised = -0.7 * (np.log(3) + np.log(2)) - 0.3 * np.sum(logged if learnt else number(1.0))
  np.testing.assert_allclose(metrics["loss"], minimised, rtol=1e-4)


@pytest.mark.parametrize("owner", ["discriminator", "generator"])
def test_losses_are_v_less_the_weighted_bounds(owner):
  """Images are (2, 0) and (0.5, 0), the score their first entry; relativistic losses have both scores each."""
  softplus = lambda v: np.log1p(np.exp(v))
  values = {
    "non_saturating": (softplus(-2.0) + softplus(0.5), softplus(-0.5)),
    "relativistic": (softplus(0.5 - 2.0), softplus(2.0 - 0.5)),
  }
  for name, expected in values.items():
    game = linear_game(
      generator=fixed(lambda p, z: p + 0.0 * z[:, :2], jnp.array([[0.5, 0.0]])),
      trunk=fixed(lambda p, x: p * jnp.concatenate([x, x[:, :1]], 1), jnp.ones((1, 1))),
      discriminator=fixed(lambda p, x: p * x[:, 0], jnp.ones(1)),
      loss=getattr(adversarial, name)(),
      recognition_owner=owner,
      categorical_weight=0.7,
      continuous_weight=0.3,
    )
    state, batch = train.init(game, KEY), {"x": jnp.tile(jnp.array([[2.0, 0.0]]), (16, 1))}
    for player, v in zip(("discriminator", "generator"), expected):
      _, metrics = train.play(game, (player,), state, batch, KEY)
      logged = {k.partition("/information_")[2]: float(metric) for k, metric in metrics.items()}
      bounds = 0.7 * (logged["categorical_0"] + logged["categorical_1"]) + 0.3 * logged["continuous_0"]
      assert abs(bounds) > 0.1
      minimises = owner == "discriminator" or player == "generator"
      np.testing.assert_allclose(metrics[f"{player}/loss"], v - bounds if minimises else v, rtol=1e-4)
      if player == "discriminator":
        scores = [metrics[f"discriminator/{name}"] for name in ("real", "fake")]
        np.testing.assert_allclose(scores, [2.0, 0.5], rtol=1e-6)


@pytest.mark.parametrize("owner", ["discriminator", "generator"])
def test_the_information_of_pairs_is_of_real_data_and_its_owners_alone(owner):
  """Views are x + c with one c each; Q's logits are the trunk's features, of which 0 to 2 and 3 to 4 are codes."""
  draws, keys, x = [], [], normal_batch(KEY)["x"]

  def view(key, x):
    keys.append(tuple(jax.random.key_data(key).tolist()))
    draws.append(jax.random.normal(key, (1, 1)))
    return x + draws[-1]

  features = fixed(lambda p, x: p * jnp.tile(x, 4)[:, :7], jnp.ones((1, 1)))
  scores = fixed(lambda p, h: p * h[:, 0], jnp.ones(1))
  nets = {
    "trunk": features,
    "discriminator": scores,
    "recognition": fixed(lambda p, h: p * h, jnp.ones((1, 1))),
    "augment": view,
  }
  plain = linear_game(**nets, recognition_owner=owner)
  game = linear_game(**nets, recognition_owner=owner, paired_weight=lambda step: 0.25 * (step + 2))
  state = train.init(game, KEY)
  for player in ("discriminator", "generator"):
    draws.clear()
    keys.clear()
    loss = lambda game: game.players[player].loss(state.params, state, {"x": x}, KEY)
    (value, aux), before = loss(game), loss(plain)[0]
    if player != owner:
      assert float(value) == float(before) and "paired_categorical_0" not in aux.metrics
      continue
    logits = [jnp.tile(x + c, 4) for c in draws[2:4]]
    assert len({float(c[0, 0]) for c in draws[:4]}) == 4
    spent, parts = set(), [*jax.random.split(KEY, 9)]  # what the move draws from, split once and twice again
    for _ in range(3):
      spent |= {tuple(jax.random.key_data(part).tolist()) for part in parts}
      parts = [half for part in parts for half in jax.random.split(part)]
    assert not {*keys[2:4]} & spent
    of = lambda part: information.paired_information(*(jax.nn.log_softmax(each[:, part]) for each in logits))
    pairs = [float(of(slice(0, 3))), float(of(slice(3, 5)))]
    assert min(pairs) > 0.01
    np.testing.assert_allclose([aux.metrics[f"paired_categorical_{i}"] for i in range(2)], pairs, rtol=1e-5)
    np.testing.assert_allclose(before - value, 0.5 * sum(pairs), rtol=1e-4)


@pytest.mark.parametrize("owner", ["discriminator", "generator"])
def test_statistics_move_with_their_owner(owner):
  """Trunk and D count real and generated data alike; Q sees generated data alone, and G its latents."""
  constant = fixed(lambda p, z: p + 0.0 * z[:, :2], jnp.array([[3.0, -1.0]]))
  game = linear_game(generator=constant, recognition_owner=owner)
  before, after, _ = played(game, "discriminator")
  w = np.asarray(before.params["trunk"]["w"])
  real, fake = np.asarray(normal_batch(KEY)["x"]).mean(0), np.array([3.0, -1.0])
  np.testing.assert_allclose(after.stats["trunk"]["seen"], (real + fake) / 2, rtol=1e-5)
  np.testing.assert_allclose(after.stats["discriminator"]["seen"], (real + fake) / 2 @ w, rtol=1e-4)
  _, generated, _ = played(game, "generator")
  owned = {"discriminator": after, "generator": generated}[owner]
  np.testing.assert_allclose(owned.stats["recognition"]["seen"], fake @ w, rtol=1e-4)
  assert moved(before.stats, after.stats) == set(game.players["discriminator"].owns)
  assert moved(before.stats, generated.stats) == set(game.players["generator"].owns) - {"generator"}
  before, after, _ = played(linear_game(recognition_owner=owner), "generator")
  assert moved(before.stats, after.stats) == set(game.players["generator"].owns)


def trunk_sees(player, step=0, **settings):
  """What the trunk is given in one move, real and generated, [4,000, 2] each."""
  seen = []

  def show(p, x):
    jax.debug.callback(lambda x: seen.append(np.asarray(x)), x, ordered=True)
    return jnp.tile(x[:, :1], 3)

  game = linear_game(trunk=fixed(show), **settings)
  train.play(game, (player,), train.init(game, KEY).replace(step=step), normal_batch(KEY, 4_000), KEY)
  jax.effects_barrier()
  return seen


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_instance_noise_is_on_all_that_the_trunk_sees(player):
  """Standard deviation 0.3 in the first round and 0 from the second on; independent between images and coordinates."""
  clean, falling = trunk_sees(player), optax.piecewise_constant_schedule(0.3, {1: 0.0})
  real, fake = (n - c for n, c in zip(trunk_sees(player, instance_noise=falling), clean, strict=True))
  noise = np.hstack([real, fake])
  np.testing.assert_allclose(noise.mean(0), 0.0, atol=0.02)
  np.testing.assert_allclose(np.cov(noise.T), 0.09 * np.eye(4), atol=0.01)
  np.testing.assert_array_equal(trunk_sees(player, step=1, instance_noise=falling), clean)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_augmentation_is_of_all_that_the_trunk_sees_before_noise_and_with_draws_of_its_own(player):
  """x -> 2 x + c with one c for real and another for generated data; noise of 0.3 comes after it and is not doubled."""
  clean, double = trunk_sees(player), lambda key, x: 2.0 * x + jax.random.normal(key, (1, 1))
  for noise, spread in ((None, 0.0), (0.3, 0.3)):
    augmented = trunk_sees(player, augment=double, instance_noise=noise)
    real, fake = (a - 2.0 * c for a, c in zip(augmented, clean, strict=True))
    np.testing.assert_allclose([real.std(), fake.std()], [spread, spread], atol=0.02)
    assert abs(real.mean() - fake.mean()) > 0.1


def test_the_codes_gradient_passes_through_the_augmentation_and_reading_them_is_without():
  """With x -> 3 x the trunk reads thrice the image, and -lambda L_I descends by that; asked later, by the image."""
  plain, game = linear_game(), linear_game(augment=lambda key, x: 3.0 * x)
  state, batch = train.init(game, KEY), normal_batch(KEY, 64)
  thrice = linear_game(
    trunk=plain.nets["trunk"]._replace(apply=lambda p, s, x, **k: plain.nets["trunk"].apply(p, s, 3.0 * x, **k))
  )
  ends = [train.play(g, ("generator",), state, batch, KEY)[0].params for g in (game, thrice)]
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), *ends)
  assert not np.allclose(*(jax.tree.leaves(p["generator"])[0] for p in (ends[0], state.params)))
  nets = state.params, state.stats
  jax.tree.map(np.testing.assert_array_equal, game.codes.read(*nets, batch["x"]), plain.codes.read(*nets, batch["x"]))


def test_every_use_of_a_net_and_every_move_draws_its_own_numbers():
  """Two moves of the discriminator and one of the generator: other noise, codes and keys each time."""
  latents, keys = [], []

  def recorded(net, name):
    def apply(p, s, x, key=None, train=True):
      jax.debug.callback(lambda k: keys.append(tuple(np.asarray(k))), jax.random.key_data(key), ordered=True)
      if name == "generator":
        jax.debug.callback(lambda x: latents.append(np.asarray(x)), x, ordered=True)
      return net.apply(p, s, x, key=key, train=train)

    return net._replace(apply=apply)

  nets = {name: recorded(net, name) for name, net in linear_game().nets.items()}
  game = linear_game(**nets, discriminator_steps=2)
  batches = {"x": jnp.zeros((2, 16, 2))}
  jax.jit(train.make_step(game))(train.init(game, KEY), batches)
  jax.effects_barrier()
  assert len(latents) == 3 and len(keys) == len(set(keys)) == 18
  for i, j in ((0, 1), (0, 2), (1, 2)):
    for part in (slice(0, 2), slice(2, 7), slice(7, 8)):  # noise, classes, number
      assert not np.array_equal(latents[i][:, part], latents[j][:, part])
    assert len(set(latents[i][:, 0])) == len(set(latents[i][:, 7])) == 16


def latent_game(**settings):
  """Images are latents, moved by 100 in training."""
  show = lambda p, s, z, key=None, train=True: (z + 100.0 if train else z, s)
  return linear_game(generator=Net(lambda key: ({}, {}), show), **settings)


def test_samples_hold_the_noise_where_codes_are_given():
  game = latent_game(prior=lambda key, shape: jax.random.uniform(key, shape, minval=2.0, maxval=3.0))
  encode = lambda a, b, v: Codes((3, 2), 1).encode([jnp.array([a]), jnp.array([b])], jnp.array([[v]]))
  first, second = encode(0, 1, 0.5), encode(2, 0, -1.0)
  nothing = {"generator": {}}
  draw = lambda seed, codes=None: game.sample(nothing, nothing, jax.random.key(seed), 1, codes=codes)
  np.testing.assert_array_equal(draw(0, first)[:, 2:], [[1, 0, 0, 0, 1, 0.5]])
  np.testing.assert_array_equal(draw(0, second)[:, 2:], [[0, 0, 1, 1, 0, -1.0]])
  np.testing.assert_array_equal(draw(0, first)[:, :2], draw(0, second)[:, :2])
  np.testing.assert_array_equal(draw(0, first)[:, :2], draw(0)[:, :2])
  assert np.all(draw(0, first)[:, :2] != draw(1, first)[:, :2]) and np.all(draw(0)[:, :2] >= 2.0)
  with pytest.raises(AssertionError):
    draw(0, first[:, 1:])


def test_codes_are_drawn_from_their_prior():
  """6,000 draws: uniform classes, uniform numbers of mean 0 and variance 1/3, all of them independent."""
  x = np.asarray(latent_game().sample({"generator": {}}, {"generator": {}}, KEY, 6000))
  for hot, classes in ((x[:, 2:5], 3), (x[:, 5:7], 2)):
    np.testing.assert_array_equal(np.sort(hot, 1)[:, -2:], np.tile([0.0, 1.0], (6000, 1)))
    np.testing.assert_allclose(hot.mean(0), 1 / classes, atol=0.025)
  number = x[:, 7]
  assert -1.0 <= number.min() < -0.99 and 0.99 < number.max() < 1.0
  np.testing.assert_allclose([number.mean(), number.var()], [0.0, 1 / 3], atol=0.02)
  independent = np.corrcoef(x[:, [0, 1, 2, 5, 7]].T) - np.eye(5)
  assert np.abs(independent).max() < 0.06


def test_latents_that_are_given_are_decoded():
  """Noise and codes alike, as they are."""
  z = jax.random.normal(KEY, (4, 8))
  nothing = {"generator": {}}
  np.testing.assert_array_equal(latent_game().sample(nothing, nothing, KEY, 4, latents=z), z)


def test_codes_and_scores_are_read_off_data_through_the_trunk():
  """Outside of training, where each net is off by 1: Q(c | x) and D's score, by hand."""

  def shifted(net):
    def apply(p, s, x, key=None, train=True):
      y, s = net.apply(p, s, x, key=key, train=train)
      return y + 1.0 * train, s

    return net._replace(apply=apply)

  game = linear_game(**{name: shifted(net) for name, net in linear_game().nets.items()})
  state, x = train.init(game, KEY), jax.random.normal(KEY, (5, 2))
  trunk, d, q = (np.asarray(state.params[net]["w"], np.float64) for net in EVERYTHING)
  features = np.asarray(x, np.float64) @ trunk
  np.testing.assert_allclose(game.score(state.params, state.stats, x), (features @ d)[:, 0], rtol=1e-4)
  assert game.codes.codes == Codes((3, 2), 1, True)
  logits, mean, log_variance = game.codes.read(state.params, state.stats, x)
  outputs = features @ q
  np.testing.assert_allclose(logits[0], outputs[:, :3], rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(logits[1], outputs[:, 3:5], rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(mean, outputs[:, 5:6], rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(np.exp(log_variance), np.exp(outputs[:, 6:]) + 1e-4, rtol=1e-3)


def test_codes_by_hand():
  codes = Codes((2, 3), 1)
  assert (codes.size, codes.outputs, Codes((2, 3), 1, False).outputs, Codes((), 2).outputs) == (6, 7, 6, 4)
  latent = codes.encode([jnp.array([1, 0]), jnp.array([2, 1])], jnp.array([[0.5], [-0.25]]))
  np.testing.assert_array_equal(latent, [[0, 1, 0, 0, 1, 0.5], [1, 0, 0, 1, 0, -0.25]])
  outputs = jnp.arange(14.0).reshape(2, 7)
  logits, mean, log_variance = codes.read(outputs)
  np.testing.assert_array_equal(logits[0], [[0, 1], [7, 8]])
  np.testing.assert_array_equal(logits[1], [[2, 3, 4], [9, 10, 11]])
  np.testing.assert_array_equal(mean, [[5], [12]])
  np.testing.assert_allclose(log_variance, np.log(np.exp([[6.0], [13.0]]) + 1e-4), rtol=1e-6)
  np.testing.assert_allclose(codes.read(outputs - 1000.0)[2], np.log(1e-4), rtol=1e-6)
  logits, mean, log_variance = Codes((2, 3), 1, False).read(outputs[:, :6])
  assert log_variance == 0.0 and mean.shape == (2, 1) and [each.shape for each in logits] == [(2, 2), (2, 3)]
  with pytest.raises(AssertionError):
    codes.read(outputs[:, :6])


def test_games_of_one_kind_of_code_alone():
  for settings, names in (
    ({"categorical": (), "continuous": 2}, {"continuous_0", "continuous_1"}),
    ({"categorical": (4,), "continuous": 0}, {"categorical_0"}),
  ):
    game = linear_game(recognition=linear(3, 4, 4), **settings)
    move = lambda state, game=game: train.play(game, ("generator",), state, normal_batch(KEY), KEY)
    _, metrics = jax.jit(move)(train.init(game, KEY))
    assert set(metrics) == {"generator/loss", "generator/gradient"} | {
      f"generator/information_{name}" for name in names
    }
    chex.assert_tree_all_finite(metrics)


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"categorical": (), "continuous": 0}, r"categorical is \(\), continuous 0; at least one code is needed"),
    ({"categorical": (3, 1)}, r"categorical is \(3, 1\).*2 classes in each"),
    ({"continuous": -1}, "continuous -1; at least one code"),
    ({"latent_dim": 5}, "latent_dim is 5, but the codes alone take 6 entries"),
    ({"recognition_owner": "trunk"}, "recognition_owner is 'trunk'; it is 'discriminator' or 'generator'"),
    ({"discriminator_steps": 0}, "discriminator_steps is 0; it has to be at least 1"),
    ({"tx": {"discriminator": optax.sgd(0.1)}}, "player 'generator' has no optimizer"),
  ],
)
def test_refusals(settings, message):
  with pytest.raises(ValueError, match=message):
    linear_game(**settings)


def test_a_latent_of_codes_alone():
  assert linear_game(latent_dim=6, generator=linear(6, 2, 1)).sample


@pytest.mark.parametrize("recognition", [linear(3, 6, 4), linear(2, 7, 4)], ids=["outputs", "features"])
def test_a_recognition_head_that_does_not_fit_is_noted(recognition):
  with pytest.raises((ValueError, AssertionError, TypeError)) as caught:
    train.init(linear_game(recognition=recognition), KEY, normal_batch(KEY))
  assert "the loss of player 'discriminator'" in caught.value.__notes__[-1]


def test_weights_are_an_axis():
  """A sweep over both weights at once is the runs by themselves, weights being Python's numbers there."""

  def params(classes, numbers):
    game = linear_game(categorical_weight=classes, continuous_weight=numbers)
    return train.make_step(game)(train.init(game, KEY), {"x": normal_batch(KEY)["x"][None]})[0].params

  weights = [(0.0, 0.0), (0.0, 2.0), (2.0, 0.0), (2.0, 0.5)]
  swept = jax.jit(jax.vmap(params))(*map(jnp.array, zip(*weights)))
  for i in (0, 3):
    single = jax.jit(lambda i=i: params(*weights[i]))()
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[i], swept), single, rtol=1e-4, atol=1e-5)
  assert len(np.unique(swept["generator"]["w"][:, 3, 0])) == 4


def test_weights_may_be_schedules_of_the_round():
  """A weight that rises from 0 to 2 in two rounds is 0, 1 and 2 times the bound, of the generator's loss."""
  rising = optax.linear_schedule(0.0, 2.0, 2)
  scheduled, whole = (linear_game(categorical_weight=w, continuous_weight=0.0, loss=NOTHING) for w in (rising, 1.0))
  state = train.init(scheduled, KEY)
  value = lambda game, step: game.players["generator"].loss(
    state.params, state.replace(step=step), normal_batch(KEY), KEY
  )
  for step, weight in enumerate((0.0, 1.0, 2.0, 2.0)):
    found, one = (value(game, jnp.int32(step))[0] for game in (scheduled, whole))
    np.testing.assert_allclose(found, weight * one, rtol=1e-6)
    assert float(one) != 0.0


class Trunk(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.leaky_relu(nn.Dense(16)(x), 0.2)


@pytest.mark.parametrize("owner", ["discriminator", "generator"])
def test_without_an_adversary_generator_and_recognition_come_to_an_understanding(owner):
  """The bound of a code of 4 comes to its log 4 nats, and that of a number beyond its first 0.7, for 3 seeds."""
  spec = lambda n: toy.SPEC((1, n), jnp.float32)
  game = infogan.make(
    generator=from_linen(mlp.Generator(shape=(2,), hidden=(32,)), spec(7)),
    trunk=from_linen(Trunk(), spec(2)),
    discriminator=linear(16, 1, 3, squeeze=True),
    recognition=from_linen(mlp.Head(6, hidden=(16,)), spec(16)),
    loss=NOTHING,
    tx=optax.adam(1e-2),
    latent_dim=7,
    categorical=(4,),
    continuous=1,
    learnt_variance=True,
    recognition_owner=owner,
    categorical_weight=1.0,
    continuous_weight=1.0,
  )
  run = lambda key: train.make_scan(game, 400, lambda key: normal_batch(key, 64))(train.init(game, key))[1]
  metrics = jax.jit(jax.vmap(run))(jax.random.split(KEY, 3))
  found = {code: metrics[f"generator/information_{code}_0"] for code in ("categorical", "continuous")}
  np.testing.assert_allclose(found["categorical"][:, -50:].mean(1), np.log(4), atol=0.05)
  assert np.all(found["continuous"][:, -50:].mean(1) > 0.7) and np.all(found["continuous"][:, :10].mean(1) < 0.1)
