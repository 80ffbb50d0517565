"""From configs to games: settings reach their owners, specs are resolved, and what does not fit is told."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments.lab import configs, loop, members
from experiments.lab.build import build, build_game, build_nets
from gan_jax import train
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, NetSpec
from gan_jax.games import infogan


def small(name, changes=None):
  return configs.load(name, {"data.batch_size": 4} | (changes or {}))


def test_settings_reach_their_owner():
  changes = {"game.discriminator_steps": 3, "game.latent_dim": 7, "nets.generator.hidden": (5, 6)}
  game = build(small("fgan", changes | {"train.ema_decay": 0.25})).game
  assert game.moves[0].repeat == 3 and game.ema_decay == 0.25
  params = game.nets["generator"].init(jax.random.key(0))[0]
  assert [params[f"Dense_{i}"]["kernel"].shape for i in range(3)] == [(7, 5), (5, 6), (6, 784)]


def test_bfloat16_computes_in_bfloat16_and_keeps_float32():
  experiment = build(small("fgan_kl", {"dtype": "bfloat16"}))
  state = train.init(experiment.game, jax.random.key(0), jax.eval_shape(experiment.draw, jax.random.key(0)))
  assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype(jnp.float32)}
  text = jax.jit(lambda s: experiment.game.sample(s.params, s.stats, s.key, 2)).lower(state).as_text()
  assert "dot_general" in text and "bf16" in text


MISTAKES = {
  "game.prior.name is 'gaussian', which is not known": {"game.prior": {"name": "gaussian"}},
  "game.latent_dims is not a setting of fgan. Did you mean 'latent_dim'": {"game.latent_dims": 3},
  "game.latent_dim is missing: fgan has no default for it": {"game.latent_dim": None},
  "nets.generator.hiden is not a setting of mlp.generator. Did you mean 'hidden'": {"nets.generator.hiden": (3,)},
  "nets.generator: hidden is 0; it has to be at least 1": {"nets.generator.hidden": (16, 0)},
  "nets.generator: hidden is 'a'; it has to be an integer": {"nets.generator.hidden": (8, "a")},
  "nets.generator.activation.name is 'rellu', which is not known. Did you mean 'activations.relu'": {
    "nets.generator.activation": {"name": "rellu"}
  },
  "nets.discriminator: frequencies is \\('a', 2.0\\); it has to be two": {"nets.discriminator.frequencies": ("a", 2.0)},
  "nets.critic: the game fgan has none of that name": {"nets.critic": {"name": "mlp.discriminator"}},
  "optimizer.generator.lr is not a setting of optax.adam": {"optimizer.generator.lr": 0.1},
  "optimizer.generator.learning_rate is 0.0": {"optimizer.generator.learning_rate": 0.0},
  "optimizer.generator.learning_rate is nan": {"optimizer.generator.learning_rate": float("nan")},
  "optimizer.generator.learning_rate is inf": {"optimizer.generator.learning_rate": float("inf")},
  "optimizer.generator.b1 is 1.0; it has to be at least 0 and below 1": {"optimizer.generator.b1": 1.0},
  "optimizer.generator.b2 is -0.1": {"optimizer.generator.b2": -0.1},
  "train.ema_decay is 1.0; it has to be at least 0 and below 1": {"train.ema_decay": 1.0},
  "optimizer.critic: the game fgan has none": {"optimizer.critic": {"name": "sgd", "learning_rate": 0.1}},
  "data.name is 'mnist5', which is not known. Did you mean 'mnist5k'": {"data.name": "mnist5"},
  "data.batch_size is 4001, but mnist5k has 4000 training examples": {"data.batch_size": 4001},
  "data.batch_size is 0": {"data.batch_size": 0},
  "data.flip is not a setting of ring8": {"data.name": "ring8"},
  "dtype is 'float16', which is not known.* Accepted: bfloat16, float32": {"dtype": "float16"},
  "game: latent_dim is -1; it has to be at least 1": {"game.latent_dim": -1},
  "eval.evaluators is 'mods', which is not known. Did you mean 'modes'": {"eval.evaluators": ("mods",)},
  "eval.modes: it needs the modes of a mixture in the plane": {"eval.evaluators": ("modes",)},
  "eval.codes: it looks at latent codes, which this game does not have": {"eval.evaluators": ("codes",)},
  "eval.translation: it looks at translations, which this game does not make": {"eval.evaluators": ("translation",)},
  "eval.mixture_fit: it needs a mixture on the line": {"eval.evaluators": ("mixture_fit",)},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_told(message):
  config = small("fgan_kl")
  for field, value in MISTAKES[message].items():
    *path, last = field.split(".")
    owner = configs.get(config, ".".join(path)) if path else config
    with owner.ignore_type():
      if value is None:
        del owner[last]
      else:
        owner[last] = value
  with pytest.raises(ConfigError, match=message):
    build(config)


@pytest.mark.parametrize("field", ["game.name", "data.name", "eval.evaluators", "optimizer"])
def test_a_config_that_lacks_a_field_is_told(field):
  config = small("fgan_kl")
  section, _, name = field.partition(".")
  del (config[section] if name else config)[name or section]
  with pytest.raises(ConfigError, match=f"the config has no {field}"):
    build(config)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (
      {"nets.generator.name": "linear.affine"},
      r"nets.generator: linear.affine gives \[64\] of \[64\], and the game asks for \[28, 28, 1\]",
    ),
    ({"nets.generator.name": "dcgan.generator"}, r"nets.generator: DCGAN's resolution is one of .*, not 28"),
    (
      {"nets.discriminator.name": "dcgan.discriminator", "data.name": "ring8"},
      r"nets.discriminator: it works on square images .*asks for \[2\]",
    ),
    (
      {"nets.discriminator.name": "translation.patches"},
      r"nets.discriminator: translation.patches gives \[1, 1, 1\] of \[28, 28, 1\], and .* \[\]",
    ),
  ],
)
def test_nets_that_do_not_fit_are_told_with_their_shapes(changes, message):
  with pytest.raises(ConfigError, match=message):
    build(small("fgan_kl", changes))


def small_infogan(**nets):
  config = small("infogan", {"data.name": "digits", "data.resolution": 8, "nets.trunk.features": 16})
  for role, net in nets.items():
    config.nets[role] = ConfigDict(net)
  return config


def shapes(net, *inputs):
  output, _ = jax.eval_shape(lambda key, *x: net.apply(*net.init(key), *x), jax.random.key(0), *map(jnp.zeros, inputs))
  return output.shape


@pytest.mark.parametrize(("learnt", "outputs"), [(True, 3 + 2 * 4), (False, 3 + 4)])
def test_heads_stand_on_the_features_of_the_trunk(learnt, outputs):
  config = small_infogan()
  config.game.update(categorical=(3,), continuous=4, learnt_variance=learnt, latent_dim=9)
  settings = {k: v for k, v in config.game.items() if k != "name"}
  nets, _ = build_nets(config, infogan.specs(DataSpec((8, 8, 1)), **settings))
  assert shapes(nets["trunk"], (2, 8, 8, 1)) == (2, 16)
  assert shapes(nets["discriminator"], (2, 16)) == (2,)
  assert shapes(nets["recognition"], (2, 16)) == (2, outputs)
  assert shapes(nets["generator"], (2, 9)) == (2, 8, 8, 1)


def test_inputs_may_be_several_nets_and_shapes_in_any_order():
  """A net that takes another's output is made after it, whatever the order of the specs."""
  config = small_infogan(last={"name": "mlp.head", "hidden": ()}, first={"name": "mlp.head", "hidden": ()})
  specs = {
    "last": NetSpec(("first", "trunk", (3,)), (5,)),
    "first": NetSpec(("trunk",), (4,)),
    "trunk": NetSpec(((8, 8, 1),), None),
  }
  config.nets = {name: config.nets[name] for name in specs}
  nets, built = build_nets(config, specs)
  assert [built[name].inputs for name in specs] == [((4,), (16,), (3,)), ((16,),), ((8, 8, 1),)]
  params, _ = nets["last"].init(jax.random.key(0))
  assert params["Dense_0"]["kernel"].shape == (4 + 16 + 3, 5)
  with pytest.raises(ValueError, match=r"the nets \['first', 'last'\] wait for each other"):
    build_nets(config, specs | {"first": NetSpec(("last",), (4,))})


def test_a_head_that_needs_images_is_told_what_it_gets():
  config = small_infogan(discriminator={"name": "dcgan.discriminator"})
  with pytest.raises(ConfigError, match=r"nets.discriminator: it works on square images.*asks for \[16\]"):
    build(config)


def small_cyclegan():
  config = small("cyclegan")
  for net in config.nets.values():
    net.width = 2
  return config


PAIRS = DataSpec((16, 16, 3), 0, ("x", "y"))


def test_the_shape_of_pools_is_that_of_the_data():
  config = small_cyclegan()
  config.game.pool_size = 7
  game, _ = build_game(config, PAIRS)
  memory = game.init_memory(jax.random.key(0))
  assert {k: v.images.shape for k, v in memory.items()} == {"x": (7, 16, 16, 3), "y": (7, 16, 16, 3)}
  config.game.data = (16, 16, 3)
  with pytest.raises(ConfigError, match="game.data is not a setting of cyclegan"):
    build_game(config, PAIRS)


def test_one_domain_does_not_translate():
  with pytest.raises(ConfigError, match="translates between two domains, and the data has x"):
    build_game(small_cyclegan(), DataSpec((16, 16, 3)))


def test_the_rate_of_a_longer_run_ends_at_zero_and_stays_there():
  """cyclegan's schedule counts rounds, whatever the moves in each."""
  config = small_cyclegan()
  config.game.discriminator_steps = 2
  schedule = {**config.optimizer.generators.schedule, "rounds": 4}
  for player in config.optimizer:
    config.optimizer[player] = ConfigDict({"name": "sgd", "learning_rate": 0.5, "schedule": schedule})
  game, _ = build_game(config, PAIRS)
  for player, moves in (("generators", 1), ("discriminators", 2)):
    tx, steps = game.players[player].tx, []
    state = tx.init(jnp.zeros(()))
    for _ in range(6 * moves):
      with jax.numpy_dtype_promotion("standard"):
        update, state = tx.update(jnp.ones(()), state)
      steps.append(-float(update))
    np.testing.assert_allclose(steps[::moves], [0.5, 0.5, 0.5, 0.25, 0.0, 0.0], atol=1e-7)
    np.testing.assert_array_equal(steps[::moves], steps[moves - 1 :: moves])


def test_nets_are_wrapped_before_the_game_is_made():
  seen = []
  wrap = lambda net: seen.append(net) or net._replace(init=lambda key: (SimpleNamespace(), {}))
  game = build(small("vanilla"), wrap_net=wrap).game
  assert len(seen) == 2 and isinstance(game.nets["generator"].init(None)[0], SimpleNamespace)


@pytest.mark.parametrize(
  ("changes", "seeds", "message"),
  [
    ({"game.latent_dim": 10**9}, None, r"the train state, nets and optimizers, takes [\d,.]+ GiB, and there are"),
    ({"eval.samples.n": 10**9}, None, r"the picture of samples takes [\d,.]+ GiB"),
    ({}, 10**9, r"the train state of [\d,]+ members takes [\d,.]+ GiB"),
  ],
)
def test_what_does_not_fit_into_memory_is_refused_before_it_is_made(changes, seeds, message, tmp_path):
  config = configs.load("fgan_kl", {"data.name": "digits", "data.batch_size": 8, **changes})
  with pytest.raises(ConfigError, match=message):
    if seeds is None:
      loop.run(config, tmp_path / "run", "fgan_kl")
    else:
      members.sweep(config, {}, seeds, tmp_path / "run", "fgan_kl")
  assert not (tmp_path / "run").exists()
