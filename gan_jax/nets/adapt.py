"""Modules of flax, old style and new, as `Net`s: pure functions of parameters and statistics."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx
from flax.errors import FlaxError

from gan_jax.errors import ConfigError, at_least_one
from gan_jax.game import Net, NetSpec, Shape


def from_linen(module: linen.Module, *example: Any) -> Net:
  """Makes a `Net` of a `flax.linen` module.

  Args:
    module: its `__call__` may take `train`, which is passed on where it does. The collection "params" becomes the
      parameters; all other collections (batch statistics, spectral norm's vectors) become the statistics.
    *example: example inputs of `__call__`, arrays or `jax.ShapeDtypeStruct`s; only their shapes and types count.

  Returns:
    The net. `apply` gives `key` to the module's random streams under the name "dropout", and leaves the statistics as
    they are when `train` is False; what flax refuses, such as inputs of another width than the parameters', is a
    ValueError. `features` is what the last layer to finish reads, a layer being a module with a parameter "kernel" that
    calls no other: all of it where the layer gives one output an example, else, of patches, its mean over places. A
    module without such a layer is a ValueError. `filters` is the kernel of the first such layer to finish that has one
    of rank 4, and likewise a ValueError where there is none.
  """
  takes_train = "train" in inspect.signature(type(module).__call__).parameters

  def mode(train: bool) -> dict[str, Any]:
    return {"train": train} if takes_train else {}

  def init(key):
    inputs = [jnp.zeros(x.shape, x.dtype) for x in example]
    rngs = {"params": key, "dropout": jax.random.fold_in(key, 1)}
    variables = dict(module.init(rngs, *inputs, **mode(True)))
    return variables.pop("params", {}), variables

  def apply(params, stats, *inputs, key=None, train=True):
    rngs = {} if key is None else {"dropout": key}
    variables = {"params": params, **stats}
    try:
      output, moved = module.apply(variables, *inputs, **mode(train), rngs=rngs, mutable=list(stats) if train else [])
    except FlaxError as error:
      raise ValueError(str(error)) from error
    return output, {**stats, **moved}

  def observed(params, stats, *inputs):
    layers = _Layers()
    with linen.intercept_methods(layers):
      apply(params, stats, *inputs, train=False)
    return layers

  def features(params, stats, *inputs):
    return observed(params, stats, *inputs).features()

  def filters(params, stats):
    return observed(params, stats, *(jnp.zeros(x.shape, x.dtype) for x in example)).filters()

  return Net(init, apply, features, filters)


class _Layers:
  """An interceptor that keeps what the last layer to finish reads, and the kernel of the first convolution."""

  def __init__(self):
    self._calls, self._read, self._first = 0, None, None

  def __call__(self, method: Callable, args: Any, kwargs: Any, context: Any) -> Any:
    if context.method_name != "__call__":
      return method(*args, **kwargs)
    self._calls += 1
    mine = self._calls
    output = method(*args, **kwargs)
    if self._calls == mine and args and context.module.has_variable("params", "kernel"):
      self._read = args[0], output
      kernel = context.module.get_variable("params", "kernel")
      if self._first is None and kernel.ndim == 4:
        self._first = kernel
    return output

  def filters(self) -> jax.Array:
    if self._first is None:
      raise ValueError('the net has no filters: no module in it has a parameter "kernel" [kh, kw, C, O]')
    return self._first

  def features(self) -> jax.Array:
    if self._read is None:
      raise ValueError('the net has no features: no module in it has a parameter "kernel"')
    x, output = self._read
    places = output.ndim == 4 and output.shape[1:3] != (1, 1)
    return x.mean((1, 2)) if places else x.reshape(x.shape[0], -1)


def from_spec(module: linen.Module, spec: NetSpec) -> Net:
  """`from_linen` with float32 examples of the shapes that `spec` has for the inputs."""
  return from_linen(module, *(jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in spec.inputs))


def only_input(spec: NetSpec) -> Shape:
  """The shape of the one input that a net takes.

  Raises:
    ConfigError: if the game gives it several.
  """
  if len(spec.inputs) != 1:
    raise ConfigError(f"it takes one input, and the game gives it {len(spec.inputs)}, {_listed(spec.inputs)}")
  return spec.inputs[0]  # pyright: ignore[reportReturnType]  # names have been resolved


def only_vector(spec: NetSpec) -> int:
  """The size of the one input that a net takes, a vector.

  Raises:
    ConfigError: if the game gives it several, or something else.
  """
  shape = only_input(spec)
  if len(shape) != 1:
    raise ConfigError(f"it takes a vector, and the game gives it {_listed([shape])}")
  return shape[0]


def only_vectors(spec: NetSpec) -> None:
  """Raises ConfigError if an input that a net takes is no vector."""
  if any(len(shape) != 1 for shape in spec.inputs):
    raise ConfigError(f"it takes vectors, and the game gives it {_listed(spec.inputs)}")


def square_image(shape: Shape | None) -> tuple[int, int]:
  """(side, channels) of images [H, H, C].

  Raises:
    ConfigError: if it is another shape.
  """
  if shape is None or len(shape) != 3 or shape[0] != shape[1]:
    raise ConfigError(f"it works on square images [H, H, C], and the game asks for {_listed([shape])}")
  return shape[0], shape[2]


def positive(**values: Any) -> None:
  """Raises ConfigError if a setting, or an entry of one, is no integer of at least 1."""
  for name, value in values.items():
    at_least_one(name, *(value if isinstance(value, tuple | list) else (value,)))


def _listed(shapes: Sequence[Any]) -> str:
  return " and ".join("any shape" if shape is None else str(list(shape)) for shape in shapes)


def from_nnx(construct: Callable[[nnx.Rngs], nnx.Module]) -> Net:
  """Makes a `Net` of a `flax.nnx` module.

  Args:
    construct: makes the module from its random streams, `lambda rngs: MyModule(64, rngs=rngs)`. It is a function, not
      a module that is already there, so that each key, and with it each member of a sweep, starts from weights of its
      own.

  Returns:
    The net. Variables of type `nnx.Param` are the parameters, all others but random state the statistics. `apply` seeds
    every random stream of the module from `key`, and calls it in the mode that `train` says.

  Raises:
    ValueError: if `construct` is a module.
  """
  if isinstance(construct, nnx.Module):
    name = type(construct).__name__
    raise ValueError(f"from_nnx takes a function of random streams, not a module: lambda rngs: {name}(..., rngs=rngs)")

  def init(key):
    _, params, _, stats = nnx.split(construct(nnx.Rngs(key)), nnx.Param, nnx.RngState, ...)
    return nnx.to_pure_dict(params), nnx.to_pure_dict(stats)

  def apply(params, stats, *inputs, key=None, train=True):
    abstract = nnx.eval_shape(lambda: construct(nnx.Rngs(0)))
    graph, param_state, rng_state, stat_state = nnx.split(abstract, nnx.Param, nnx.RngState, ...)
    nnx.replace_by_pure_dict(param_state, params)
    nnx.replace_by_pure_dict(stat_state, stats)
    module = nnx.merge(graph, param_state, _seeded(rng_state, key, train), stat_state)
    module.train() if train else module.eval()
    output = module(*inputs)
    _, _, _, moved = nnx.split(module, nnx.Param, nnx.RngState, ...)
    return output, nnx.to_pure_dict(moved) if train else stats

  return Net(init, apply)


def _seeded(rng_state: Any, key: jax.Array | None, train: bool) -> Any:
  """Random streams that begin anew: keys folded from `key`, counters at zero."""
  leaves, tree = jax.tree.flatten(rng_state)
  if leaves and train and key is None:
    raise ValueError("this module draws random numbers when it trains (dropout?): give apply a key")
  key = jax.random.key(0) if key is None else key
  fresh = [
    jax.random.fold_in(key, i) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else jnp.zeros(leaf.shape, leaf.dtype)
    for i, leaf in enumerate(leaves)
  ]
  return jax.tree.unflatten(tree, fresh)
