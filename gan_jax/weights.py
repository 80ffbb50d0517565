"""Weights that others have trained, read from their files without executing anything that a file says.

A file of torch is a pickle, a program that may call any function there is. The reader here knows what weights are made
of, tensors, storages and OrderedDict, and refuses all else; of tensors it keeps a record, and makes arrays once the
whole pickle has been read.
"""

import io
import math
import os
import pathlib
import pickle
import struct
import zipfile
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from gan_jax.errors import ConfigError

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of torch's first format
_DTYPES = {
  "DoubleStorage": np.float64,
  "FloatStorage": np.float32,
  "HalfStorage": np.float16,
  "BFloat16Storage": jnp.bfloat16,
  "LongStorage": np.int64,
  "IntStorage": np.int32,
  "ShortStorage": np.int16,
  "CharStorage": np.int8,
  "ByteStorage": np.uint8,
  "BoolStorage": np.bool_,
}


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """The arrays in a file of weights, by name.

  Args:
    path: a file of safetensors, or a state dict by `torch.save`, in the zip format or the older one before it.

  Returns:
    Arrays, perhaps views that cannot be written to.

  Raises:
    ConfigError: the file is of another kind, is corrupt or truncated, or asks for anything but tensors.
    OSError: it cannot be opened.
  """
  content = pathlib.Path(path).read_bytes()  # in memory a size that lies cannot ask for more than there is
  try:
    if content.startswith(b"PK\x03\x04"):
      return _of_zip(io.BytesIO(content))
    if content.startswith(b"\x80"):
      return _of_stream(io.BytesIO(content))
    if content[8:9] == b"{":
      return _of_safetensors(content)
  except (ConfigError, pickle.UnpicklingError) as error:
    raise ConfigError(f"the weights in {path} are refused: {error}") from error
  except Exception as error:  # a corrupt pickle can make a reader fail in any way
    raise ConfigError(f"the weights in {path} are corrupt or truncated ({type(error).__name__}: {error})") from error
  raise ConfigError(f"{path} is no file of weights: it is neither of safetensors nor by torch.save")


# What torch's pickles are made of; nothing here hashes, copies or prints what it was given before looking at its type.
_NAMES = (
  *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BINPERSID", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
  *("NONE", "NEWTRUE", "NEWFALSE", "BINFLOAT", "BININT", "BININT1", "BININT2", "LONG1"),
  *("BINUNICODE", "SHORT_BINSTRING", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
  *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT"),
)
_OPCODES = b"".join(getattr(pickle, name) for name in _NAMES)


class _Storage(NamedTuple):
  key: str
  kind: str
  size: int

  @property
  def dtype(self) -> np.dtype:
    return np.dtype(_DTYPES[self.kind])

  def array(self, content: bytes) -> np.ndarray:
    if len(content) != self.size * self.dtype.itemsize:
      raise pickle.UnpicklingError(f"storage {self.key} is {len(content)} bytes and says {self.size} {self.kind}")
    return np.frombuffer(content, self.dtype)


class _Tensor(NamedTuple):
  storage: _Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]

  def array(self, storage: np.ndarray) -> np.ndarray:
    """A view of `storage` [N]: copies of many tensors that share one would take any amount of memory."""
    strides = [stride * storage.itemsize for stride in self.strides]
    return np.lib.stride_tricks.as_strided(storage[self.offset :], self.shape, strides, writeable=False)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
  if not isinstance(storage, _Storage):
    raise pickle.UnpicklingError("a tensor has no storage")
  sizes = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= 32
  if not sizes or not all(isinstance(n, int) and 0 <= n < 2**62 for n in (offset, *shape, *strides)):
    raise pickle.UnpicklingError("a tensor's offset, shape and strides are not whole numbers, or not as many")
  count = math.prod(shape)
  end = offset + sum((n - 1) * stride for n, stride in zip(shape, strides)) + 1 if count else 0
  if max(end, count) > storage.size:
    raise pickle.UnpicklingError(f"a tensor of shape {shape} is larger than its storage of {storage.size}")
  return _Tensor(storage, offset, shape, strides)


def _parameter(tensor: Any, *_: Any) -> Any:
  return tensor


def _ordered() -> dict[str, Any]:
  return {}


# The one in Python: that in C makes room for as many entries of its memo as a file asks for.
_Base: Any = pickle._Unpickler  # pyright: ignore[reportAttributeAccessIssue]


class _Unpickler(_Base):
  dispatch = {opcode: _Base.dispatch[opcode] for opcode in _OPCODES}

  def __init__(self, file: io.BytesIO):
    super().__init__(file)
    self.storages: dict[str, _Storage] = {}

  def find_class(self, module: str, name: str) -> Any:
    if module == "torch" and name in _DTYPES:
      return name
    known = {
      ("collections", "OrderedDict"): _ordered,
      ("torch._utils", "_rebuild_tensor_v2"): _tensor,
      ("torch._utils", "_rebuild_parameter"): _parameter,
    }
    if (module, name) not in known:
      raise pickle.UnpicklingError(f"it asks for {module}.{name}; weights are tensors, storages and OrderedDict alone")
    return known[module, name]

  def persistent_load(self, pid: Any) -> _Storage:
    word, kind, key, _, size, *view = pid
    known = _are(str, word, kind, key) and word == "storage" and kind in _DTYPES
    if not known or not isinstance(size, int) or not 0 <= size < 2**62 or any(part is not None for part in view):
      raise pickle.UnpicklingError("it asks for something that is no storage, or a part of one")
    storage = _Storage(key, kind, size)
    if self.storages.setdefault(key, storage) != storage:
      raise pickle.UnpicklingError(f"storage {key} is of two kinds or sizes")
    return storage

  def load_setitems(self) -> None:
    self._set(self.pop_mark())

  def load_setitem(self) -> None:
    value, key = self.stack.pop(), self.stack.pop()
    self._set([key, value])

  def _set(self, items: list[Any]) -> None:
    if not _are(str, *items[::2]):
      raise pickle.UnpicklingError("a dictionary in it has keys that are no names")
    self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

  def load_build(self) -> None:
    self.stack.pop()  # what it would set on an object: the versions of modules

  dispatch |= {pickle.SETITEM[0]: load_setitem, pickle.SETITEMS[0]: load_setitems, pickle.BUILD[0]: load_build}


def _are(kind: type, *values: Any) -> bool:
  return all(isinstance(value, kind) for value in values)


def _of_zip(file: io.BytesIO) -> dict[str, np.ndarray]:
  with zipfile.ZipFile(file) as archive:
    if sum(info.file_size for info in archive.infolist()) > len(file.getbuffer()):
      raise pickle.UnpicklingError("its entries overlap, or are compressed, which torch does to none")

    def entry(name: str) -> bytes:
      if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise pickle.UnpicklingError(f"{name} is compressed, which torch does to none of its entries")
      return archive.read(name)

    roots = [name.removesuffix("data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(roots) != 1:
      raise pickle.UnpicklingError("the zip archive is not by torch.save: it has no data.pkl")
    order = f"{roots[0]}byteorder"
    if order in archive.namelist() and entry(order) != b"little":
      raise pickle.UnpicklingError("its numbers are big-endian")
    unpickler = _Unpickler(io.BytesIO(entry(f"{roots[0]}data.pkl")))
    tensors = _state_dict(unpickler.load())
    storages = {k: s.array(entry(f"{roots[0]}data/{k}")) for k, s in unpickler.storages.items()}
    return {name: tensor.array(storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _of_stream(file: io.BytesIO) -> dict[str, np.ndarray]:
  if (_Unpickler(file).load(), _Unpickler(file).load()) != (_MAGIC, _PROTOCOL):
    raise pickle.UnpicklingError("it is a pickle, and not by torch.save")
  if not _Unpickler(file).load()["little_endian"]:
    raise pickle.UnpicklingError("its numbers are big-endian")
  unpickler = _Unpickler(file)
  tensors, storages = _state_dict(unpickler.load()), {}
  keys = _Unpickler(file).load()
  if not isinstance(keys, list) or not _are(str, *keys):
    raise pickle.UnpicklingError("it does not list its storages")
  for key in keys:
    storage = unpickler.storages[key]
    (size,) = struct.unpack("<q", file.read(8))
    if size != storage.size:
      raise pickle.UnpicklingError(f"storage {key} is said to have {storage.size} entries, and {size}")
    storages[key] = storage.array(file.read(size * storage.dtype.itemsize))
  if file.read(1):
    raise pickle.UnpicklingError("it goes on after its last storage")
  return {name: tensor.array(storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _state_dict(tree: Any) -> dict[str, _Tensor]:
  if not isinstance(tree, dict):
    raise pickle.UnpicklingError(f"it holds a {type(tree).__name__}, and not a state dict")
  for name, tensor in tree.items():
    if not isinstance(tensor, _Tensor):
      kind = type(tensor).__name__
      raise pickle.UnpicklingError(f"it holds, under {name!r}, a {kind}: a state dict has tensors alone")
  return tree


def _of_safetensors(content: bytes) -> dict[str, np.ndarray]:
  try:
    from safetensors.numpy import load
  except ModuleNotFoundError as error:
    raise ConfigError("reading it takes the package safetensors: pip install 'gan_jax[features]'") from error
  return load(content)
