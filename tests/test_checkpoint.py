"""A state written down is the state read back, whatever its leaves; a broken one is named."""

import re

import chex
import jax
import jax.numpy as jnp
import pytest

from gan_jax import checkpoint, train
from gan_jax.errors import ConfigError

import toy


def played(rounds: int):
  game = toy.ring_game()._replace(init_memory=lambda key: {"key": key, "pools": {0: jnp.arange(3), 7: jnp.ones(2)}})
  return game, jax.jit(train.make_scan(game, rounds, toy.ring_batch))(train.init(game, jax.random.key(5)))[0]


def bits(state):
  return jax.tree.map(
    lambda x: jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x, state
  )


def test_round_trip(tmp_path):
  """Typed random keys, integers, dictionaries with numbers for keys: all come back, from shapes alone."""
  game, state = played(3)
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    checkpoint.save(checkpoints, state)
  like = jax.eval_shape(lambda key: train.init(game, key), jax.random.key(0))
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    restored = checkpoint.restore(checkpoints, like)
  chex.assert_trees_all_equal_shapes_and_dtypes(restored, state)
  chex.assert_trees_all_equal(bits(restored), bits(state))


def test_an_empty_folder_has_no_state(tmp_path):
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    assert checkpoint.restore(checkpoints, played(1)[1]) is None


def test_the_newest_is_restored_and_few_are_kept(tmp_path):
  with checkpoint.open_folder(tmp_path / "c", keep=2) as checkpoints:
    for rounds in (1, 2, 3):
      checkpoint.save(checkpoints, played(rounds)[1])
    checkpoints.wait_until_finished()
    assert sorted(checkpoints.all_steps()) == [2, 3]
    assert int(checkpoint.restore(checkpoints, played(1)[1]).step) == 3


def test_a_damaged_checkpoint_is_named(tmp_path):
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    checkpoint.save(checkpoints, played(1)[1])
  for file in (tmp_path / "c" / "1").rglob("*"):
    if file.is_file() and file.stat().st_size > 100:
      file.write_bytes(file.read_bytes()[:50])
  message = r"c/1 cannot be read \(.+\)\. With that folder moved away, .* the one before"
  with checkpoint.open_folder(tmp_path / "c") as checkpoints, pytest.raises(ConfigError, match=message):
    checkpoint.restore(checkpoints, played(1)[1])


def test_a_state_saved_on_another_device_is_read(tmp_path):
  """The file names the devices that it was saved from; what counts is where `like` wants it, or else what is here."""
  _, state = played(1)
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    checkpoint.save(checkpoints, state)
  (sharding,) = (tmp_path / "c").rglob("_sharding")
  elsewhere = re.sub(r'(device_str\\": \\")[^\\]+', r"\1NEURON_7", sharding.read_text())
  assert "NEURON_7" in elsewhere
  sharding.write_text(elsewhere)
  shapes = jax.eval_shape(lambda: state)
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    for like in (shapes, state):
      restored = checkpoint.restore(checkpoints, like)
      chex.assert_trees_all_equal(bits(restored), bits(state))
      assert all(leaf.devices() == {jax.devices()[0]} for leaf in jax.tree.leaves(restored))


def test_shardings_of_like_are_followed(tmp_path):
  _, state = played(1)
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    checkpoint.save(checkpoints, state)
    checkpoints.wait_until_finished()
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("x",))
    wanted = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    restored = checkpoint.restore(checkpoints, jax.device_put(state, wanted))
  assert all(leaf.sharding == wanted for leaf in jax.tree.leaves(restored))


def test_a_folder_that_is_only_read_is_not_made(tmp_path):
  with checkpoint.open_folder(tmp_path / "c", create=False) as checkpoints:
    assert checkpoint.restore(checkpoints, played(1)[1]) is None
  assert not (tmp_path / "c").exists()
