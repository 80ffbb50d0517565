"""A state written down is the state read back, whatever its leaves; a broken one is named."""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
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


@pytest.mark.usefixtures("unread")
def test_a_damaged_checkpoint_is_named(tmp_path):
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    checkpoint.save(checkpoints, played(1)[1])
  for file in (tmp_path / "c" / "1").rglob("*"):
    if file.is_file() and file.stat().st_size > 100:
      file.write_bytes(file.read_bytes()[:50])
  damaged = pytest.raises(checkpoint.Damaged, match=r"c/1 cannot be read \(.+\)")
  with checkpoint.open_folder(tmp_path / "c") as checkpoints, damaged:
    checkpoint.restore(checkpoints, played(1)[1])


@pytest.mark.usefixtures("unread")
def test_one_flipped_bit_never_restores_other_numbers(tmp_path):
  """One bit of one file at a time, at 48 places spread over all files of a checkpoint by their sizes."""
  _, state = played(1)
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    checkpoint.save(checkpoints, state)
  files = sorted(file for file in (tmp_path / "c").rglob("*") if file.is_file() and file.stat().st_size)
  sizes, random, seen = np.array([file.stat().st_size for file in files]), np.random.default_rng(0), 0
  for place in random.permutation(8 * sizes.sum())[:48]:
    index = int(np.searchsorted(np.cumsum(8 * sizes), place, side="right"))
    whole = files[index].read_bytes()
    at = int(place - 8 * sizes[:index].sum())
    flipped = bytearray(whole)
    flipped[at // 8] ^= 1 << at % 8
    files[index].write_bytes(flipped)
    try:
      with checkpoint.open_folder(tmp_path / "c") as checkpoints:
        chex.assert_trees_all_equal(bits(checkpoint.restore(checkpoints, state, 1)), bits(state))
    except ConfigError as error:
      assert "c/1" in str(error)
      seen += 1
    files[index].write_bytes(whole)
  assert seen > 10
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    chex.assert_trees_all_equal(bits(checkpoint.restore(checkpoints, state)), bits(state))


def test_digests_go_with_their_checkpoints(tmp_path):
  """Those that are gone when the next one is saved: two are kept, and that of round 2 goes while round 4 is written."""
  with checkpoint.open_folder(tmp_path / "c", keep=2) as checkpoints:
    for rounds in (1, 2, 3, 4):
      checkpoint.save(checkpoints, played(rounds)[1])
      checkpoints.wait_until_finished()
    assert sorted(checkpoints.all_steps()) == [3, 4]
  assert sorted(path.name for path in (tmp_path / "c").glob("*.*")) == [f"digests_{step}.json" for step in (2, 3, 4)]


def test_a_digest_sees_every_entry_and_its_place():
  """By hand: (2 i + 1) times the bits, summed; of another order, dtype or sharding as it should be."""
  leaf = jnp.array([[3, 5], [7, 11]], jnp.uint32)
  (found,) = checkpoint.digests({"a": leaf}).values()
  assert found == 3 + 3 * 5 + 5 * 7 + 7 * 11
  assert checkpoint.digests({"a": np.asarray(leaf)}) == {"['a']": found}
  assert checkpoint.digests([leaf[::-1]]) != checkpoint.digests([leaf])
  (negative,) = checkpoint.digests([jnp.array(-0.0)]).values()
  assert negative == 1 << 31 and checkpoint.digests([jnp.array(0.0)]) == {"[0]": 0}
  assert checkpoint.digests([jnp.array([True, False, True])]) == {"[0]": 1 + 5}
  wide = jnp.full(1_000, 2**32 - 1, jnp.uint32)
  assert checkpoint.digests([wide]) == {"[0]": (2**32 - 1) * 1_000**2 % 2**64}


@pytest.mark.skipif(len(jax.devices()) < 4, reason="needs four devices")
def test_a_digest_does_not_depend_on_the_sharding():
  values = jax.random.normal(jax.random.key(0), (8, 6, 4))
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("x", "y"))
  expected = checkpoint.digests([np.asarray(values)])
  for spec in ((), ("x",), (None, "y"), ("x", "y"), (None, None, ("x", "y"))):
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*spec))
    assert checkpoint.digests([jax.device_put(values, sharding)]) == expected


def test_a_checkpoint_with_other_arrays_is_another_games(tmp_path):
  """Nets of other shapes or types, optimizers of another kind; and it is not called damaged."""
  _, state = played(1)
  name = next(iter(state.params))
  halved = state.params | {name: jax.tree.map(lambda p: p.astype(jnp.bfloat16), state.params[name])}
  wider = jax.tree.map(lambda p: jnp.zeros((*p.shape, 2)), state.params[name])
  others = {
    rf"c/1 is another game's: params/{name}/\S+ is float32 \(.*\) there and float32 \(.*2\) here": state.replace(
      params=state.params | {name: wider}
    ),
    r"opt/new is missing there and float32 \(3,\) here": state.replace(opt=state.opt | {"new": jnp.zeros(3)}),
    rf"params/{name}/\S+ is float32 .* there and bfloat16 .* here": state.replace(params=halved),
  }
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    checkpoint.save(checkpoints, state)
    checkpoints.wait_until_finished()
    for message, other in others.items():
      with pytest.raises(ConfigError, match=message) as error:
        checkpoint.restore(checkpoints, other)
      assert not isinstance(error.value, checkpoint.Damaged)


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
