"""A trained run written for others: as a program, as weights, as a model card. `FORMATS` has each by name."""

import contextlib
import functools
import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export
from jax import lax

from experiments.lab import card, cli, configs
from experiments.lab.parts import Part, Run, choose, draws, load
from gan_jax import report, train
from gan_jax.errors import ConfigError, nearest

PLATFORMS = ("cpu", "cuda", "tpu")
TOLERANCE = 1e-4  # of an ONNX program against the net, in units of its largest output, from 1 on
_MARK = "gan_jax_export"  # stands in every file that is written here, and says so


class Format(NamedTuple):
  """How a run is written.

  Attributes:
    file: what its file is called, {} being the name of what is written.
    choose: `(run, net) -> what`, what is written, which has a name; `net` as on the command line, or None.
    content: `(run, what) -> bytes`.
  """

  file: str
  choose: Callable[[Run, str | None], Any]
  content: Callable[[Run, Any], bytes]


class Weights(NamedTuple):
  """The nets whose weights are written, and what they are called together."""

  name: str
  nets: tuple[str, ...]


def write(
  workdir: str | None,
  form: str,
  checkpoint: str = "newest",
  net: str | None = None,
  out: str | Path | None = None,
  overwrite: bool = False,
) -> str:
  """Writes a run in one of `FORMATS`; returns a line that says what was written, and where.

  Args:
    workdir: of experiments.run.
    form: the format's name.
    checkpoint: as `trained.load` takes it.
    net: as `parts.choose` takes it; of safetensors any net of the game, or None for all that are averaged.
    out: the file; None for one in WORKDIR/export.
    overwrite: whether it may replace a file that was not written here.

  Raises:
    ConfigError: if the run, the format, the net or the file cannot be had, or a package is missing.
  """
  if workdir is None:
    raise ConfigError("which run? For example --workdir=runs/fgan_kl")
  if form not in FORMATS:
    raise ConfigError(f"--format is {form!r}, which is not known.{nearest(form, FORMATS)}")
  file, choose_what, content = FORMATS[form]
  suffix = Path(file).suffix
  if out is not None and Path(out).is_dir():
    raise ConfigError(f"{out} is a folder; give the file a name in it, such as {Path(out) / f'exported{suffix}'}")
  if out is not None and Path(out).suffix != suffix:
    raise ConfigError(f"--out is {out}; {form} is written to a file whose name ends in {suffix}")
  run = load(workdir, checkpoint)
  what = choose_what(run, net)
  out = Path(out) if out is not None else run.workdir / "export" / file.format(what.name)
  cli.check_out(out, overwrite or _made_here(out))
  written = content(run, what)
  report.write_bytes(out, written)
  return f"{form} of round {int(run.state.step):,}, {len(written):,} bytes: {out}"


def program(part: Part, params: Any, stats: Any) -> jax_export.Exported:
  """A part of a game with its weights as one program, of any batch size from 1 on, for all of `PLATFORMS`.

  It takes the part's inputs, float32 [b, ...], and where the part draws random numbers a seed after them, a uint32
  scalar: `jax.random.key(seed)` is the net's key.
  """
  random = draws(part, params, stats)

  def maps(*given):
    *inputs, seed = given if random else (*given, jnp.uint32(0))
    return part.apply(params, stats, jax.random.key(seed), *inputs)

  maps.__name__ = f"{_MARK}_{part.name}"
  (batch,) = jax_export.symbolic_shape("b")
  seed = (jax.ShapeDtypeStruct((), jnp.uint32),) if random else ()
  try:
    return jax_export.export(jax.jit(maps), platforms=PLATFORMS)(*part.examples(batch), *seed)
  except Exception as error:
    error.add_note(
      f"This was in tracing {part.name} with a symbolic batch size: a net reads x.shape[0], where len(x) fails."
    )
    raise


def _stablehlo(run: Run, part: Part) -> bytes:
  _needs("flatbuffers", "export")
  return bytes(program(part, *train.averaged(run.state)).serialize())


def _safetensors(run: Run, weights: Weights) -> bytes:
  """Parameters and statistics by paths such as params/generator/Dense_0/kernel; the config in the header."""
  _needs("safetensors", "export")
  from safetensors.numpy import save

  params, stats = train.averaged(run.state)
  kept = {kind: {name: tree[name] for name in weights.nets} for kind, tree in (("params", params), ("stats", stats))}
  path = lambda keys: jax.tree_util.keystr(keys, simple=True, separator="/")
  arrays = {path(keys): np.array(leaf, order="C") for keys, leaf in jax.tree.leaves_with_path(kept)}
  header = {
    "written_by": _MARK,
    "round": str(int(run.state.step)),
    "averaged": json.dumps([name for name in weights.nets if name in run.state.ema]),
    "config": json.dumps(configs.plain(run.config)),
  }
  return save(arrays, header)


def _weights(run: Run, net: str | None) -> Weights:
  """One net, or all that are averaged, or where none is, all."""
  game = run.experiment.game
  if net is not None and net not in game.nets:
    raise ConfigError(f"--net is {net!r}, which is no net of the game.{nearest(net, game.nets)}")
  return Weights("weights", game.averaged or tuple(game.nets)) if net is None else Weights(net, (net,))


def _onnx(run: Run, part: Part) -> bytes:
  """By jax2onnx, and checked with onnxruntime."""
  _needs("jax2onnx", "onnx")
  from jax2onnx import to_onnx  # pyright: ignore[reportMissingImports]

  params, stats = train.averaged(run.state)
  if draws(part, params, stats):
    raise ConfigError(f"{part.name} draws random numbers, which ONNX does not; --format=stablehlo takes a seed")
  maps = lambda *inputs: part.apply(params, stats, jax.random.key(0), *inputs)
  given = [f"input_{i}" for i in range(len(part.inputs))]
  try:
    with _one_form():
      shapes = [("b", *shape) for shape in part.inputs]
      model = to_onnx(maps, shapes, model_name=part.name, input_names=given, output_names=["output"])
  except Exception as error:  # what it does not know comes up as errors of many kinds
    what = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    raise ConfigError(f"jax2onnx cannot convert {part.name} ({what}); --format=stablehlo can") from error
  model.producer_name = _MARK
  _check_onnx(model.SerializeToString(), part, maps)
  return model.SerializeToString()


@contextlib.contextmanager
def _one_form() -> Iterator[None]:
  """Of functions that have a form for each platform takes the one for all others: ONNX has no platforms."""
  with mock.patch.object(lax, "platform_dependent", lambda *inputs, default, **_: default(*inputs)):
    yield


def _check_onnx(content: bytes, part: Part, maps: Callable[..., jax.Array]) -> None:
  """Raises ConfigError if onnxruntime does not find what the net gives, for two batches of normal inputs."""
  import onnxruntime  # pyright: ignore[reportMissingImports]

  try:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
  except Exception as error:  # of types that onnxruntime does not name
    raise ConfigError(f"onnxruntime cannot run {part.name} ({error}); --format=stablehlo can be run") from error
  for n in (2, 5):
    keys = jax.random.split(jax.random.key(n), len(part.inputs))
    inputs = [jax.random.normal(key, (n, *shape)) for key, shape in zip(keys, part.inputs)]
    expected = np.asarray(maps(*inputs))
    (found,) = session.run(None, {each.name: np.asarray(x) for each, x in zip(session.get_inputs(), inputs)})
    error = np.abs(found - expected).max()
    if not error <= TOLERANCE * max(1.0, np.abs(expected).max()):
      raise ConfigError(
        f"jax2onnx made a program of {part.name} that is off by {error:.2g}; --format=stablehlo is exact"
      )


def _card(run: Run, part: Part) -> bytes:
  """With the mark and a digest at its end, by which a card that somebody has edited is recognised."""
  nets = train.averaged(run.state)
  output = jax.eval_shape(functools.partial(part.apply, *nets, jax.random.key(0)), *part.examples(1))
  text = card.text(run, part, tuple(output.shape[1:]), draws(part, *nets))
  return f"{text}{_signature(text)}".encode()


def _signature(text: str) -> str:
  return f"\n<!-- {_MARK} {hashlib.sha256(text.encode()).hexdigest()} -->\n"


def _made_here(path: Path) -> bool:
  """Whether a file was written here, and is no link; of a card, also that nobody has changed it since."""
  if path.is_symlink() or not path.is_file():
    return False
  content = path.read_bytes()
  if path.suffix != Path(FORMATS["card"].file).suffix:
    return _MARK.encode() in content
  text = content.decode(errors="replace").rpartition("\n<!-- ")[0]
  return content.decode(errors="replace") == text + _signature(text)


def _needs(package: str, extra: str) -> None:
  if importlib.util.find_spec(package) is None:
    raise ConfigError(f"this format takes the package {package}: pip install 'gan_jax[{extra}]'")


FORMATS = {
  "stablehlo": Format("{}.stablehlo", choose, _stablehlo),
  "safetensors": Format("{}.safetensors", _weights, _safetensors),
  "onnx": Format("{}.onnx", choose, _onnx),
  "card": Format("README.md", choose, _card),
}
