"""Files of weights against torch's own writer; and files that lie or ask for more than tensors, which are refused."""

import collections
import io
import os
import pickle
import struct
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import weights
from gan_jax.errors import ConfigError

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
VALUES = np.arange(6, dtype=np.float32)
KEY = "0"


class Named:
  """Pickled as whatever global it is the name of."""

  def __init__(self, module, name):
    self.module, self.name = module, name


class Call:
  """Pickled as a call of a global, and what is set on the result."""

  def __init__(self, function, *arguments, state=None):
    self.function, self.arguments, self.state = function, arguments, state


class Entry:
  """Pickled as a dictionary of one key, or as a set of it, which need not be hashed here."""

  def __init__(self, key, before=pickle.EMPTY_DICT, after=pickle.NONE + pickle.SETITEM):
    self.key, self.before, self.after = key, before, after


class Stored:
  def __init__(self, pid):
    self.pid = pid


class Pickler(pickle._Pickler):
  """Writes what torch writes, without torch, and what it would never write."""

  dispatch = dict(pickle._Pickler.dispatch)

  def persistent_id(self, obj):
    return obj.pid if isinstance(obj, Stored) else None

  def save_named(self, obj):
    self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())

  def save_call(self, obj):
    self.save_reduce(obj.function, obj.arguments, obj.state)

  def save_reduce(self, function, arguments, state=None, *_, **__):
    self.save(function)
    self.save(arguments)
    self.write(pickle.REDUCE)
    if state is not None:
      self.save(state)
      self.write(pickle.BUILD)

  def save_entry(self, obj):
    self.write(obj.before)
    self.save(obj.key)
    self.write(obj.after)

  dispatch[Named], dispatch[Call], dispatch[Entry] = save_named, save_call, save_entry


def pickled(*objects):
  file = io.BytesIO()
  for obj in objects:
    Pickler(file, 2).dump(obj)
  return file.getvalue()


def storage(kind="FloatStorage", size=6, legacy=False, word="storage", view=None):
  pid = (word, Named("torch", kind), KEY, "cpu", size)
  return Stored((*pid, view) if legacy else pid)


def tensor(stored, offset=0, shape=(2, 3), strides=(3, 1)):
  return Call(Named("torch._utils", "_rebuild_tensor_v2"), stored, offset, shape, strides, False, Ordered())


def Ordered(state=None):
  return Call(Named("collections", "OrderedDict"), state=state)


def write(path, tree, zipped, content=VALUES.tobytes(), order=b"little", compression=zipfile.ZIP_STORED, size=6):
  """A file of either format with one storage."""
  if zipped:
    with zipfile.ZipFile(path, "w", compression) as archive:
      archive.writestr("weights/data.pkl", pickled(tree))
      archive.writestr("weights/byteorder", order)
      archive.writestr(f"weights/data/{KEY}", content)
  else:
    head = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": order == b"little"})
    path.write_bytes(pickled(*head, tree, [KEY]) + struct.pack("<q", size) + content)
  return path


@FORMATS
def test_a_state_dict_by_hand(tmp_path, zipped):
  """Rows and columns as strides have them, a part of a storage, a scalar and nothing at all."""
  stored = storage(legacy=not zipped)
  tree = {
    "whole": tensor(stored),
    "turned": tensor(stored, shape=(3, 2), strides=(1, 3)),
    "part": tensor(stored, offset=4, shape=(2,), strides=(1,)),
    "scalar": tensor(stored, offset=5, shape=(), strides=()),
    "empty": tensor(stored, offset=6, shape=(0, 3), strides=(3, 1)),
    "parameter": Call(Named("torch._utils", "_rebuild_parameter"), tensor(stored), True, Ordered()),
  }
  found = weights.read(write(tmp_path / "weights.pth", tree, zipped))
  expected = {"whole": VALUES.reshape(2, 3), "turned": VALUES.reshape(2, 3).T, "part": VALUES[4:]}
  expected |= {"scalar": VALUES[5], "empty": VALUES[:0].reshape(0, 3), "parameter": VALUES.reshape(2, 3)}
  assert set(found) == set(expected)
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value, strict=True)
  assert np.shares_memory(found["whole"], found["turned"])  # however many share a storage, they take no more memory


@FORMATS
@pytest.mark.parametrize("kind", list(weights._DTYPES))
def test_every_kind_of_number(tmp_path, zipped, kind):
  dtype = np.dtype(weights._DTYPES[kind])
  values = np.array([0, 1, 1, 0, 1, 0]).astype(dtype)
  tree = {"x": tensor(storage(kind, legacy=not zipped))}
  found = weights.read(write(tmp_path / "weights.pth", tree, zipped, values.tobytes()))["x"]
  np.testing.assert_array_equal(found, values.reshape(2, 3), strict=True)


@FORMATS
def test_what_torch_writes(tmp_path, zipped):
  """A module with statistics, and tensors that share a storage, in several types."""
  torch = pytest.importorskip("torch")
  module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
  state = module.state_dict()
  state["half"], state["bfloat16"] = torch.arange(5).half() / 3, (torch.arange(5) / 3).bfloat16()
  state["turned"], state["parameter"] = torch.arange(12.0).reshape(3, 4).T, torch.nn.Parameter(torch.arange(3.0))
  state["tail"] = state["turned"][1:, 2]
  torch.save(state, tmp_path / "weights.pth", _use_new_zipfile_serialization=zipped)
  found = weights.read(tmp_path / "weights.pth")
  assert set(found) == set(state) and found["bfloat16"].dtype == jnp.bfloat16
  for name, value in state.items():
    expected = value.detach().float().numpy()
    np.testing.assert_array_equal(found[name].astype(np.float32), expected, strict=True)
    assert found[name].dtype.name == str(value.dtype).removeprefix("torch.")


def test_safetensors(tmp_path):
  library = pytest.importorskip("safetensors.numpy")
  arrays = {"a": VALUES.reshape(2, 3), "b": np.arange(4), "c": VALUES.astype(np.float16)}
  library.save_file(arrays, tmp_path / "weights.safetensors")
  found = weights.read(tmp_path / "weights.safetensors")
  assert set(found) == set(arrays)
  for name, value in arrays.items():
    np.testing.assert_array_equal(found[name], value, strict=True)
  content = (tmp_path / "weights.safetensors").read_bytes()
  lying = content.replace(b'"shape":[2,3]', b'"shape":[9,9]')
  assert lying != content
  for refused in (content[:-3], lying, struct.pack("<q", 2**60) + content[8:]):
    (tmp_path / "bad.safetensors").write_bytes(refused)
    with pytest.raises(ConfigError, match="bad.safetensors are corrupt or truncated"):
      weights.read(tmp_path / "bad.safetensors")


ASKED = {
  "os.system": Call(Named("os", "system"), "touch {}"),
  "posix.system": Call(Named("posix", "system"), "touch {}"),
  "builtins.eval": Call(Named("builtins", "eval"), "open('{}', 'w')"),
  "builtins.getattr": Call(Named("builtins", "getattr"), Named("collections", "OrderedDict"), "__init__"),
  "torch.load": Call(Named("torch", "load"), "{}"),
  "torch.nn.modules.linear.Linear": Call(Named("torch.nn.modules.linear", "Linear"), 3, 3),
  "torch._utils._rebuild_tensor": Named("torch._utils", "_rebuild_tensor"),
  "collections.namedtuple": Named("collections", "namedtuple"),
  "os.path": Named("os", "path"),
}


@FORMATS
@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("place", ["tree", "value", "state"])
def test_other_globals_are_refused_and_nothing_is_run(tmp_path, zipped, name, place):
  mark = tmp_path / "executed"
  bad = ASKED[name]
  if isinstance(bad, Call):
    bad = Call(bad.function, *(a.format(mark) if isinstance(a, str) else a for a in bad.arguments))
  tree = {"tree": bad, "value": {"x": bad}, "state": Ordered({"_metadata": bad})}[place]
  write(tmp_path / "bad.pth", tree, zipped)
  with pytest.raises(ConfigError, match=rf"bad.pth are refused: it asks for {name}; weights are tensors, storages"):
    weights.read(tmp_path / "bad.pth")
  assert os.listdir(tmp_path) == ["bad.pth"]


def test_what_these_tests_write_does_run_elsewhere(tmp_path):
  """The files above are no straw men: pickle runs them."""
  pickle.loads(pickled(Call(Named("os", "system"), f"touch {tmp_path / 'executed'}")))
  assert os.listdir(tmp_path) == ["executed"]


REFUSED = {
  "a list": (lambda s: [tensor(s)], "a list, and not a state dict"),
  "a number": (lambda s: {"epoch": 3}, "under 'epoch', a int"),
  "no tensor but a storage": (lambda s: {"x": s}, "under 'x', a _Storage"),
  "a name that is none": (lambda s: {1: tensor(s)}, "keys that are no names"),
  "names that are none": (lambda s: {1: tensor(s), 2: tensor(s)}, "keys that are no names"),
  "a tensor without a storage": (lambda s: {"x": tensor([1, 2])}, "no storage"),
  "too large a shape": (lambda s: {"x": tensor(s, shape=(3, 3))}, "larger than its storage"),
  "too long a stride": (lambda s: {"x": tensor(s, strides=(4, 1))}, "larger than its storage"),
  "an offset": (lambda s: {"x": tensor(s, offset=1)}, "larger than its storage"),
  "a bomb of strides 0": (lambda s: {"x": tensor(s, shape=(2**50, 2), strides=(0, 0))}, "larger than its storage"),
  "a negative offset": (lambda s: {"x": tensor(s, offset=-1)}, "offset, shape and strides"),
  "a shape that is a list": (lambda s: {"x": tensor(s, shape=[2, 3])}, "offset, shape and strides"),
  "many dimensions": (lambda s: {"x": tensor(s, shape=(1,) * 33, strides=(1,) * 33)}, "offset, shape and strides"),
  "a size beyond 64 bits": (lambda s: {"x": tensor(s, shape=(0, 2**62))}, "offset, shape and strides"),
  "a copy of a dictionary": (lambda s: Call(Named("collections", "OrderedDict"), [("x", 1)]), "corrupt"),
  "a negative stride": (lambda s: {"x": tensor(s, strides=(-3, 1))}, "offset, shape and strides"),
  "a shape of text": (lambda s: {"x": tensor(s, shape=("a", 3))}, "offset, shape and strides"),
  "too few strides": (lambda s: {"x": tensor(s, strides=(1,))}, "offset, shape and strides"),
  "a call of a type of storage": (lambda s: {"x": Call(Named("torch", "FloatStorage"), 9)}, "corrupt"),
}


@FORMATS
@pytest.mark.parametrize("name", REFUSED)
def test_trees_that_are_no_state_dicts_are_refused(tmp_path, zipped, name):
  make, message = REFUSED[name]
  write(tmp_path / "bad.pth", make(storage(legacy=not zipped)), zipped)
  with pytest.raises(ConfigError, match=message):
    weights.read(tmp_path / "bad.pth")


@FORMATS
@pytest.mark.parametrize("size", [5, 7, 2**40, 2**62, -1, "6"])
def test_sizes_that_lie_are_refused(tmp_path, zipped, size):
  tree = {"x": tensor(storage(size=size, legacy=not zipped), shape=(), strides=())}
  for stored in (6, size) if isinstance(size, int) else (6,):
    write(tmp_path / "bad.pth", tree, zipped, size=stored)
    with pytest.raises(ConfigError, match="bad.pth are"):
      weights.read(tmp_path / "bad.pth")


@FORMATS
def test_truncated_files_are_refused(tmp_path, zipped):
  whole = write(tmp_path / "weights.pth", {"x": tensor(storage(legacy=not zipped))}, zipped).read_bytes()
  bad = tmp_path / "bad.pth"
  for end in [*range(0, len(whole), 7), len(whole) - 1]:
    bad.write_bytes(whole[:end])
    with pytest.raises(ConfigError, match="bad.pth"):
      weights.read(bad)


@FORMATS
def test_other_corruptions_are_refused(tmp_path, zipped):
  stored, bad = storage(legacy=not zipped), tmp_path / "bad.pth"
  big_endian = write(bad, {"x": tensor(stored)}, zipped, order=b"big")
  with pytest.raises(ConfigError, match="big-endian"):
    weights.read(big_endian)
  two = {"x": tensor(stored), "y": tensor(storage("LongStorage", legacy=not zipped))}
  with pytest.raises(ConfigError, match="storage 0 is of two kinds or sizes"):
    weights.read(write(bad, two, zipped))
  for wrong in (storage(word="module", legacy=not zipped), storage(legacy=True, view=("1", 0, 3))):
    with pytest.raises(ConfigError, match="something that is no storage"):
      weights.read(write(bad, {"x": tensor(wrong)}, zipped))


def test_memos_and_strings_that_ask_for_memory_are_refused(tmp_path):
  """An index of the memo of 4 billion, a string of 2^62 bytes, a frame of as many."""
  head = pickled(0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
  string, frame = b"\x8d" + struct.pack("<Q", 2**62), b"\x95" + struct.pack("<Q", 2**62)
  for program in (b"\x80\x02}r\xff\xff\xff\xff.", b"\x80\x04" + string + b"a.", b"\x80\x04" + frame + b"}."):
    (tmp_path / "bad.pth").write_bytes(head + program)
    with pytest.raises(ConfigError, match="bad.pth are"):
      weights.read(tmp_path / "bad.pth")


@FORMATS
@pytest.mark.parametrize("place", ["key", "set", "kind", "storage", "size", "view", "shape", "tree"])
def test_values_of_exponential_size_are_refused_at_once(tmp_path, zipped, place):
  """A tuple of itself twice, 60 deep: a few hundred bytes, and 2^60 parts for whoever hashes, copies or prints it."""
  deep = ()
  for _ in range(60):
    deep = (deep, deep)
  pid = {"word": "storage", "kind": Named("torch", "FloatStorage"), "storage": KEY, "device": "cpu", "size": 6}
  pid |= {"view": None} if place == "view" or not zipped else {}
  stored = Stored(tuple((pid | {place: deep} if place in pid else pid).values()))
  tree = {"x": tensor(stored, shape=(deep, 3) if place == "shape" else (2, 3))}
  tree |= {"tree": deep} if place == "tree" else {}
  tree = {"key": Entry(deep), "set": Entry(deep, pickle.EMPTY_SET + pickle.MARK, pickle.ADDITEMS)}.get(place, tree)
  with pytest.raises(ConfigError, match="bad.pth are"):
    weights.read(write(tmp_path / "bad.pth", tree, zipped))


def test_what_a_pickle_sets_on_objects_is_dropped(tmp_path):
  """torch hangs versions on a state dict, and someone else might hang something on a function."""
  rebuild = Named("torch._utils", "_rebuild_tensor_v2")
  before = dict(vars(weights._tensor))

  class Built:
    pass

  def save_built(pickler, obj):
    pickler.save(rebuild)
    pickler.save({"own": 1})
    pickler.write(pickle.BUILD)

  Pickler.dispatch[Built] = save_built
  with pytest.raises(ConfigError, match="a function, and not a state dict"):
    weights.read(write(tmp_path / "bad.pth", Built(), True))
  assert vars(weights._tensor) == before


def test_compressed_entries_and_other_archives_are_refused(tmp_path):
  bomb = write(tmp_path / "bad.pth", {"x": tensor(storage())}, True, compression=zipfile.ZIP_DEFLATED)
  with pytest.raises(ConfigError, match="compressed, which torch does to none of its entries"):
    weights.read(bomb)
  write(bomb, {"x": tensor(storage())}, True, bytes(10**5), compression=zipfile.ZIP_DEFLATED)
  with pytest.raises(ConfigError, match="its entries overlap, or are compressed"):
    weights.read(bomb)
  with zipfile.ZipFile(bomb, "w") as archive:
    archive.writestr("readme", "nothing")
  with pytest.raises(ConfigError, match="not by torch.save"):
    weights.read(bomb)
  bomb.write_bytes(pickled({"x": 1}, 1001))
  with pytest.raises(ConfigError, match="it is a pickle, and not by torch.save"):
    weights.read(bomb)
  bomb.write_bytes(b"GIF89a")
  with pytest.raises(ConfigError, match="no file of weights"):
    weights.read(bomb)
  with pytest.raises(FileNotFoundError):
    weights.read(tmp_path / "nowhere.pth")


def test_an_ordered_dict_is_what_it_is():
  assert weights._Unpickler(io.BytesIO(pickled(Ordered({"_metadata": 1})))).load() == collections.OrderedDict()
