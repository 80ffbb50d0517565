"""What the compiler makes of a run's rounds: nothing slow in the scan, compiled once, no larger for being longer."""

import re
from collections import Counter
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import build, command, run
from gan_jax import train
from gan_jax.data.dataset import from_arrays, from_domains
from gan_jax.nets.adapt import from_linen

import hlo
import toy

ROOT = Path(__file__).parent.parent.parent
COMPILED = "/jax/core/compile/backend_compile_duration"
RING = jax.tree_util.Partial(toy.ring_batch)
DCGAN = {
  "generator": {"name": "dcgan_generator", "width": 4},
  "discriminator": {"name": "dcgan_discriminator", "width": 4},
}
CRITIC = {"generator": DCGAN["generator"], "critic": DCGAN["discriminator"]}
INFOGAN = DCGAN | {
  "trunk": {"name": "dcgan_trunk", "width": 4, "features": 8},
  "discriminator": {"name": "mlp_discriminator", "hidden": ()},
  "recognition": {"name": "mlp_recognition", "hidden": (8,)},
}
TRANSLATORS = {
  "resnet": {"name": "resnet_translator", "width": 4, "blocks": 1},
  "unet": {"name": "unet_translator", "width": 4},
}


def cyclegan(translator, layers):
  patches = {"name": "patch_discriminator", "width": 4, "layers": layers}
  translate = TRANSLATORS[translator]
  return {"x_to_y": translate, "y_to_x": translate, "discriminator_x": patches, "discriminator_y": patches}


# An experiment with small networks, the changes to its game, and images [side, channels]: every game on images.
GAMES = {
  "gan": ("dcgan.py", DCGAN, {}, (16, 3)),
  "gan, larger": ("dcgan.py", DCGAN, {}, (32, 1)),
  "gan, least squares": ("lsgan.py", DCGAN, {}, (16, 1)),
  "fgan": ("fgan_kl.py", DCGAN, {}, (16, 1)),
  "wgan": ("wgan.py", CRITIC, {"critic_steps": 2}, (16, 3)),
  "wgan_gp": ("wgan_gp.py", CRITIC, {"critic_steps": 2}, (16, 3)),
  "r3gan": ("ring8.py", DCGAN, {"noise_aware": False}, (16, 3)),
  "infogan": ("infogan.py", INFOGAN, {}, (16, 1)),
  "infogan, sprites": ("infogan_sprites.py", INFOGAN, {}, (16, 1)),
  "cyclegan, resnet": ("cyclegan.py", cyclegan("resnet", 2), {"pool_size": 4}, (12, 3)),  # 4x4 kernels on 3x3 maps
  "cyclegan, unet": ("cyclegan.py:unet", cyclegan("unet", 1), {"pool_size": 4}, (8, 3)),
}


def load(name):
  config = command.load_config(str(ROOT / "experiments" / name))
  config.eval.metrics, config.eval.pictures = (), ()
  config.data.batch_size = 4
  return config


def on_noise(config, side, channels):
  """The experiment, on images that mean nothing."""
  images = np.random.default_rng(0).integers(0, 256, (8, side, side, channels), np.uint8)
  if config.game.name == "cyclegan":
    return build.build(config, from_domains("noise", {"x": images}, {"y": images}, {"x": images, "y": images}))
  return build.build(config, from_arrays("noise", {"x": images}, {"x": images}))


def experiment_of(name):
  file, nets, changes, images = GAMES[name]
  config = load(file)
  config.nets = nets
  config.game.update(changes)
  return on_noise(config, *images)


def compiled(game, draw, rounds=3):
  """So many rounds as one scan."""
  state = jax.eval_shape(lambda key: train.init(game, key), jax.random.key(0))
  return jax.jit(lambda state, draw: train.make_scan(game, rounds, draw)(state)).lower(state, draw).compile()


def slow(text):
  return hlo.noncanonical_convolutions(text) + hlo.host_transfers(text) + hlo.doubles(text)


def test_every_game_and_every_convolutional_net_is_among_them():
  assert {load(file).game.name for file, *_ in GAMES.values()} == set(build.GAMES)
  used = {net["name"] for _, nets, *_ in GAMES.values() for net in nets.values()}
  points = {"affine", "line", "point", "slope", "mlp_generator"}
  assert used | points == set(build.NETS)
  for path in command.experiments_in(ROOT / "experiments"):
    convolves = any(word in path.read_text() for word in ("dcgan", "translator"))
    assert not convolves or path.name in {file.partition(":")[0] for file, *_ in GAMES.values()}


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the naive loop is the CPU's")
@pytest.mark.parametrize("name", GAMES)
def test_nothing_in_a_scanned_round_is_slow(name):
  experiment = experiment_of(name)
  text = compiled(experiment.game, experiment.draw).as_text()
  assert " while(" in text and not slow(text)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="other backends name their products otherwise")
@pytest.mark.parametrize("name, net", [("resnet", "ResnetGenerator"), ("unet", "UnetGenerator")])
def test_cyclegans_moves_share_their_translations(name, net):
  """Of G and F there are three in a round: of their own domain, of the other's fakes, and of the other domain."""
  experiment = experiment_of(f"cyclegan, {name}")
  text = compiled(experiment.game, experiment.draw).as_text()
  products = [line for line in text.splitlines() if " dot(" in line or " convolution(" in line]
  layers = Counter(found[1] for line in products if (found := re.search(rf"/jvp\({net}\)/(\w+)/", line)))
  assert len(layers) > 3 and set(layers.values()) == {6}


class FlaxDiscriminator(nn.Module):
  """With flax's own convolutions."""

  @nn.compact
  def __call__(self, x, train: bool = True):
    for width in (4, 8):
      x = nn.leaky_relu(nn.Conv(width, (4, 4), (2, 2))(x), 0.2)
    return nn.Conv(1, (4, 4), padding="VALID")(x)[:, 0, 0, 0]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the naive loop is the CPU's")
def test_the_check_sees_flaxs_convolutions():
  config = load("dcgan.py")
  config.nets = DCGAN
  nets = build.build_nets(config, (16, 16, 3))
  nets["discriminator"] = from_linen(FlaxDiscriminator(), jnp.zeros((1, 16, 16, 3)))
  game = build.build_game(config.game, nets, config.optimizer, (16, 16, 3))
  text = compiled(game, on_noise(config, 16, 3).draw).as_text()
  assert hlo.noncanonical_convolutions(text) and not hlo.host_transfers(text) + hlo.doubles(text)


@pytest.mark.parametrize("call", [lambda x: jax.debug.callback(lambda x: None, x), lambda x: jax.debug.print("{}", x)])
def test_the_check_sees_calls_of_the_host(call):
  def draw(key):
    batch = toy.ring_batch(key)
    call(batch["x"][0, 0])
    return batch

  text = compiled(toy.ring_game(), jax.tree_util.Partial(draw)).as_text()
  assert hlo.host_transfers(text) and not hlo.noncanonical_convolutions(text)


def test_the_check_sees_doubles():
  with jax.enable_x64(True):
    text = jax.jit(lambda x: 2 * x).lower(jnp.zeros(3, jnp.float64)).compile().as_text()
  assert hlo.doubles(text)


@pytest.mark.parametrize("name", ["ring", "gan"])
def test_a_longer_chunk_takes_no_more_memory_but_for_its_metrics(name):
  experiment = experiment_of("gan")
  game, draw = (toy.ring_game(), RING) if name == "ring" else (experiment.game, experiment.draw)
  short, long = (compiled(game, draw, rounds) for rounds in (10, 1_000))
  assert growth(short, long) == 990 * 4 * len(short.out_info[1])


def test_the_memory_of_stacked_states_is_seen():
  def run(rounds):
    step = train.make_step(game)

    def round_and_state(state, _):
      state, metrics = step(state, train.draw_round(game, RING, state))
      return state, (metrics, state.params)

    return jax.jit(lambda state: jax.lax.scan(round_and_state, state, length=rounds)).lower(state).compile()

  game = toy.ring_game()
  state = jax.eval_shape(lambda key: train.init(game, key), jax.random.key(0))
  numbers = sum(leaf.size for leaf in jax.tree.leaves(state.params))
  assert growth(run(10), run(1_000)) >= 990 * 4 * numbers


def growth(short, long):
  """By how many bytes one program's results and working memory are larger than the other's."""
  of = lambda program: program.memory_analysis().output_size_in_bytes + program.memory_analysis().temp_size_in_bytes
  return of(long) - of(short)


@pytest.mark.parametrize("streamed", [False, True])
def test_nothing_is_compiled_after_the_first_chunk(streamed, tmp_path, monkeypatch):
  """Its evaluation and its checkpoint included; a run that goes on is compiled once as well."""
  images = tmp_path / "images"
  images.mkdir()
  for i in range(20):
    Image.fromarray(np.full((8, 8), i, np.uint8)).save(images / f"{i}.png")
  config = command.load_config(str(ROOT / "experiments/fgan_kl.py"))
  config.data = {"name": f"folder:{images}", "memory": 0.0} if streamed else {"name": "digits"}
  config.data.update({"batch_size": 8, "resolution": 8})
  config.nets.generator.hidden = config.nets.discriminator.hidden = (16,)
  config.train.chunk = config.log.every = config.eval.every = config.checkpoint.every = 10
  seen, after, rows = [], [], run._rows
  monkeypatch.setattr(run, "_rows", lambda *arguments: after.append(len(seen)) or rows(*arguments))
  count = lambda event, *_, **__: seen.append(event) if event == COMPILED else None
  jax.monitoring.register_event_duration_secs_listener(count)
  try:
    for config.train.rounds in (30, 60):
      seen.clear(), after.clear()
      run.run(config, tmp_path / "run", "run")
      first, *others = [*after[1:], len(seen)]
      assert after[0] and others == [first] * 2
  finally:
    jax.monitoring.unregister_event_duration_listener(count)
