"""What the compiler makes of a run's rounds: what is shared is there once, all is compiled once, and takes no more
memory for being longer; and what is slow in a scan would be seen."""

import functools
import re
from collections import Counter
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny
from PIL import Image

from experiments.lab import configs, loop
from gan_jax import train
from gan_jax.games import gan
from gan_jax.losses import adversarial
from gan_jax.nets.adapt import from_linen

import hlo
import toy

pytestmark = pytest.mark.xdist_group("compiled")  # which look at the same programs
ROOT = Path(__file__).parent.parent.parent
COMPILED = "/jax/core/compile/backend_compile_duration"
RING = jax.tree_util.Partial(toy.ring_batch)


@functools.cache
def experiment_of(name):
  return tiny.experiment_of(name)[0]


def compiled(game, draw, rounds=3):
  """So many rounds as one scan."""
  state = jax.eval_shape(lambda key: train.init(game, key), jax.random.key(0))
  return jax.jit(lambda state, draw: train.make_scan(game, rounds, draw)(state)).lower(state, draw).compile()


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="other backends name their products otherwise")
@pytest.mark.parametrize("name, net", [("cyclegan:resnet", "ResnetGenerator"), ("cyclegan:unet", "UnetGenerator")])
def test_cyclegans_moves_share_their_translations(name, net):
  """Of G and F there are three in a round: of their own domain, of the other's fakes, and of the other domain."""
  experiment = experiment_of(name)
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
  ours = experiment_of("dcgan")
  flax = from_linen(FlaxDiscriminator(), jnp.zeros((1, 16, 16, 1)))
  game = gan.make(
    generator=ours.game.nets["generator"],
    discriminator=flax,
    loss=adversarial.non_saturating(),
    tx=optax.sgd(0.1),
    latent_dim=tiny.config_of("dcgan").game.latent_dim,
  )
  text = compiled(game, ours.draw).as_text()
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
  experiment = experiment_of("dcgan")
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
  """Its evaluation and its checkpoint included; a resumed run is compiled once as well."""
  images = tmp_path / "images"
  images.mkdir()
  for i in range(20):
    Image.fromarray(np.full((8, 8), i, np.uint8)).save(images / f"{i}.png")
  data = {"data.name": f"folder:{images}", "data.memory": 0.0} if streamed else {"data.name": "digits"}
  config = configs.load("fgan_kl", data | {"data.batch_size": 8, "data.resolution": 8})
  config.nets.generator.hidden = config.nets.discriminator.hidden = (16,)
  config.train.chunk = config.log.every = config.eval.every = config.checkpoint.every = 10
  config.eval.evaluators = ("samples",)
  seen, after, rows = [], [], loop._rows
  monkeypatch.setattr(loop, "_rows", lambda *arguments: after.append(len(seen)) or rows(*arguments))
  count = lambda event, *_, **__: seen.append(event) if event == COMPILED else None
  jax.monitoring.register_event_duration_secs_listener(count)
  try:
    for config.train.rounds in (30, 60):
      seen.clear(), after.clear()
      loop.run(config, tmp_path / "run", "run")
      first, *others = [*after[1:], len(seen)]
      assert after[0] and others == [first] * 2
  finally:
    jax.monitoring.unregister_event_duration_listener(count)
