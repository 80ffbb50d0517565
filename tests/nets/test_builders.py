"""Builders: of a spec and settings, a net that fits; and what does not fit is refused by name."""

import importlib
import inspect
import pkgutil

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import nets
from gan_jax.errors import ConfigError
from gan_jax.game import Net, NetSpec
from gan_jax.nets import conditional, dcgan, linear, mlp, translation

KEY = jax.random.key(6)
IMAGE = (8, 8, 3)
CASES = {  # a spec, small settings, and the shape that the net gives
  "mlp.generator": (NetSpec(((5,),), (4, 4, 1)), {"hidden": (6,), "batch_norm": True}, (4, 4, 1)),
  "mlp.discriminator": (NetSpec(((3,), ()), ()), {"hidden": (6, 6), "fourier": 4, "powers": 2}, ()),
  "mlp.head": (NetSpec(((2, 2, 2),), (7,)), {"hidden": (6,)}, (7,)),
  "dcgan.generator": (NetSpec(((5,),), IMAGE), {"width": 4}, IMAGE),
  "dcgan.discriminator": (NetSpec(((16, 16, 1),), ()), {"width": 4}, ()),
  "dcgan.encoder": (NetSpec((IMAGE,), (6,)), {"width": 4}, (6,)),
  "dcgan.trunk": (NetSpec((IMAGE,), None), {"width": 4, "features": 6}, (6,)),
  "conditional.two_part": (NetSpec((IMAGE, (5,)), ()), {"width": 4, "features": 6}, ()),
  "conditional.plain": (NetSpec((IMAGE, (8, 8, 1)), ()), {"width": 4}, ()),
  "conditional.projection": (NetSpec((IMAGE, (5,)), ()), {"width": 4}, ()),
  "parts.first_doublings": (NetSpec(((5,),), None), {"width": 8}, (8, 8, 4)),
  "parts.last_doublings": (NetSpec(((2, 2, 8),), IMAGE), {}, IMAGE),
  "parts.first_halvings": (NetSpec((IMAGE,), None), {"width": 4}, (4, 4, 4)),
  "parts.last_halvings": (NetSpec(((8, 8, 4),), (6,)), {}, (6,)),
  "progressive.generator": (NetSpec(((5,), ()), IMAGE), {"width": 4}, IMAGE),
  "progressive.critic": (NetSpec((IMAGE, ()), ()), {"width": 4}, ()),
  "translation.resnet": (NetSpec(((8, 8, 1),), IMAGE), {"width": 4, "blocks": 1}, IMAGE),
  "translation.encoder": (NetSpec((IMAGE,), None), {"width": 4, "blocks": 1}, (2, 2, 16)),
  "translation.blocks": (NetSpec(((4, 4, 8),), None), {"blocks": 1}, (4, 4, 8)),
  "translation.decoder": (NetSpec(((2, 2, 16),), IMAGE), {"width": 4, "blocks": 1, "upsampling": "resize"}, IMAGE),
  "translation.unet": (NetSpec(((8, 8, 1),), IMAGE), {"width": 4}, IMAGE),
  "translation.patches": (NetSpec(((16, 16, 3),), None), {"width": 4, "layers": 1}, (6, 6, 1)),
  "resnet.generator": (NetSpec(((3,), (5,)), (16, 16, 1)), {"width": 4}, (16, 16, 1)),
  "resnet.discriminator": (NetSpec(((16, 16, 1),), ()), {"width": 4}, ()),
  "r3gan.generator": (NetSpec(((5,),), IMAGE), {"width": 4, "group": 8}, IMAGE),
  "r3gan.discriminator": (NetSpec((IMAGE,), ()), {"width": 4, "group": 8}, ()),
  "linear.affine": (NetSpec(((2,),), (2,)), {}, (2,)),
  "linear.point": (NetSpec(((3,),), (1,)), {"start": 2.0}, (1,)),
  "linear.slope": (NetSpec(((1,),), ()), {"start": 2.0}, ()),
  "linear.line": (NetSpec(((1,),), (2,)), {"start": 2.0}, (2,)),
}


def builders():
  """Every public function of `gan_jax.nets` that makes a net of a spec, by "file.function"."""
  for info in pkgutil.iter_modules(nets.__path__):
    module = importlib.import_module(f"{nets.__name__}.{info.name}")
    for name, function in inspect.getmembers(module, inspect.isfunction):
      first = next(iter(inspect.signature(function).parameters.values()), None)
      if function.__module__ != module.__name__ or name.startswith("_") or first is None:
        continue
      if first.annotation is NetSpec and inspect.signature(function).return_annotation is Net:
        yield f"{info.name}.{name}", function


BUILDERS = dict(builders())


def inputs_of(spec, n=3):
  """The entries of () are levels of noise."""
  keys = jax.random.split(KEY, len(spec.inputs))
  return [jax.random.uniform(key, (n, *shape)) for key, shape in zip(keys, spec.inputs)]


def played(net, spec):
  params, stats = jax.jit(net.init)(KEY)
  output, moved = jax.jit(lambda *x: net.apply(params, stats, *x, key=KEY))(*inputs_of(spec))
  return params, output, moved


def test_every_builder_is_tried():
  assert set(BUILDERS) == set(CASES)
  for builder in BUILDERS.values():
    spec, *settings = inspect.signature(builder).parameters.values()
    assert spec.kind is inspect.Parameter.POSITIONAL_ONLY
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY and p.default is not p.empty for p in settings)


@pytest.mark.parametrize("name", CASES)
def test_it_gives_what_the_spec_says(name):
  spec, settings, shape = CASES[name]
  params, output, moved = played(BUILDERS[name](spec, **settings), spec)
  chex.assert_shape(output, (3, *shape))
  chex.assert_tree_all_finite((params, output, moved))
  assert {leaf.dtype for leaf in jax.tree.leaves((params, output, moved))} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("linear.")])
def test_bfloat16_computes_and_keeps_float32(name):
  """Parameters, statistics and outputs are float32; what is computed is near, and not the same."""
  spec, settings, _ = CASES[name]
  exact, coarse = (played(BUILDERS[name](spec, **settings, dtype=dtype), spec) for dtype in (jnp.float32, jnp.bfloat16))
  assert {leaf.dtype for leaf in jax.tree.leaves(coarse)} == {jnp.dtype(jnp.float32)}
  chex.assert_trees_all_equal(coarse[0], exact[0])
  error = np.sqrt(np.mean(np.square(coarse[1] - exact[1])))
  assert 0.0 < error < 0.1 * np.sqrt(np.mean(np.square(exact[1])))


def test_images_are_bounded_and_points_are_not():
  for shape, bound in (((2, 2, 1), 1.0), ((4,), None)):
    spec = NetSpec(((5,),), shape)
    net = mlp.generator(spec, hidden=())
    params, stats = net.init(KEY)
    output, _ = net.apply(jax.tree.map(lambda p: 100.0 * p, params), stats, *inputs_of(spec))
    assert np.abs(output).max() <= bound if bound else np.abs(output).max() > 10.0


@pytest.mark.parametrize(
  "make",
  [
    lambda inputs: mlp.generator(NetSpec(inputs, (4,)), hidden=()),
    lambda inputs: mlp.discriminator(NetSpec(inputs, ()), hidden=()),
    lambda inputs: mlp.head(NetSpec(inputs, (4,)), hidden=()),
  ],
  ids=["generator", "discriminator", "head"],
)
def test_several_inputs_stand_side_by_side(make):
  """An image and a one-hot label are one vector, in the order of the inputs, and the layer is x W + b."""
  inputs = ((2, 2, 1), (3,))
  net = make(inputs)
  params, stats = net.init(KEY)
  layer = {**params["Dense_0"], "bias": jnp.ones_like(params["Dense_0"]["bias"])}
  image, label = inputs_of(NetSpec(inputs, None))
  output, _ = net.apply({"Dense_0": layer}, stats, image, label)
  x = np.concatenate([np.asarray(image, np.float64).reshape(3, 4), np.asarray(label, np.float64)], 1)
  expected = x @ np.asarray(layer["kernel"], np.float64) + 1.0
  np.testing.assert_allclose(output.reshape(3, -1), expected, rtol=1e-5)


@pytest.mark.parametrize(
  ("builder", "settings", "message"),
  [
    (mlp.generator, {"hidden": (3, 0)}, "hidden is 0; it has to be at least 1"),
    (mlp.generator, {"hidden": ("a",)}, "hidden is 'a'; it has to be an integer"),
    (mlp.head, {"hidden": 5}, "hidden is 5; it has to list the units"),
    (mlp.discriminator, {"hidden": (2.5,)}, "hidden is 2.5; it has to be an integer"),
    (mlp.discriminator, {"powers": 0}, "powers is 0; it has to be at least 1"),
    (mlp.discriminator, {"fourier": -1}, "fourier is -1; it has to be an integer of at least 0"),
    (mlp.discriminator, {"frequencies": 3.0}, "frequencies is 3.0; it has to be two numbers"),
    (mlp.discriminator, {"frequencies": (1.0,)}, r"frequencies is \(1.0,\); it has to be two numbers"),
    (mlp.discriminator, {"frequencies": ("a", 2.0)}, r"frequencies is \('a', 2.0\); it has to be two numbers"),
    (mlp.discriminator, {"frequencies": (0.0, 1.0)}, r"frequencies is \(0.0, 1.0\); they have to be above 0"),
    (mlp.discriminator, {"frequencies": (2.0, 1.0)}, r"frequencies is \(2.0, 1.0\); .* the lower one first"),
    (mlp.discriminator, {"frequencies": (float("nan"), 1.0)}, "frequencies is"),
    (dcgan.generator, {"width": 0}, "width is 0; it has to be at least 1"),
    (dcgan.generator, {"width": 2.5}, "width is 2.5; it has to be an integer"),
    (dcgan.discriminator, {"width": True}, "width is True; it has to be an integer"),
    (dcgan.trunk, {"features": 0}, "features is 0; it has to be at least 1"),
    (conditional.two_part, {"features": 0}, "features is 0; it has to be at least 1"),
    (conditional.plain, {"width": 0}, "width is 0; it has to be at least 1"),
    (conditional.projection, {"width": 2.5}, "width is 2.5; it has to be an integer"),
    (translation.resnet, {"width": -1}, "width is -1; it has to be at least 1"),
    (translation.resnet, {"blocks": 0}, "blocks is 0; it has to be at least 1"),
    (translation.unet, {"width": 0}, "width is 0; it has to be at least 1"),
    (translation.unet, {"dropout": 1.0}, "dropout is 1.0; it has to be at least 0 and below 1"),
    (translation.unet, {"dropout": "a"}, "dropout is 'a'; it has to be at least 0 and below 1"),
    (translation.patches, {"width": 0}, "width is 0; it has to be at least 1"),
    (translation.patches, {"layers": 8}, "layers is 8; it has to be an integer from 0 to 7"),
    (translation.patches, {"layers": "a"}, "layers is 'a'; it has to be an integer from 0 to 7"),
  ],
)
def test_settings_that_are_wrong_are_refused_by_name(builder, settings, message):
  spec, *_ = next(CASES[name] for name, each in BUILDERS.items() if each is builder)
  with pytest.raises(ConfigError, match=message):
    builder(spec, **settings)


TWO_INPUTS = NetSpec((IMAGE, (5,)), IMAGE)
POINTS = r"square images \[H, H, C\], and the game asks for \[2\]"


@pytest.mark.parametrize(
  ("builder", "spec", "message"),
  [
    *((builder, NetSpec(((2,),), None), POINTS) for builder in (dcgan.discriminator, dcgan.trunk, translation.patches)),
    *((builder, NetSpec(((2,),), (2,)), POINTS) for builder in (dcgan.generator, translation.resnet, translation.unet)),
    (dcgan.discriminator, NetSpec(((8, 6, 3),), ()), r"square images .*asks for \[8, 6, 3\]"),
    (translation.resnet, NetSpec((IMAGE,), None), "square images .*asks for any shape"),
    (dcgan.generator, NetSpec((IMAGE,), IMAGE), r"it takes vectors, and the game gives it \[8, 8, 3\]"),
    (dcgan.generator, TWO_INPUTS, r"it takes vectors, and the game gives it \[8, 8, 3\] and \[5\]"),
    (translation.patches, NetSpec((IMAGE, (16, 16, 1)), None), "images of one size, and the game gives it 8 and 16"),
    (translation.patches, TWO_INPUTS, r"square images .*asks for \[5\]"),
    (linear.affine, NetSpec((IMAGE,), IMAGE), r"it takes a vector, and the game gives it \[8, 8, 3\]"),
    (linear.slope, NetSpec(((2,),), ()), "it takes one number, and the game gives it 2"),
    (linear.line, NetSpec(((2,),), (2,)), "it takes one number, and the game gives it 2"),
    *(
      (builder, TWO_INPUTS, r"it takes one input, and the game gives it 2, \[8, 8, 3\] and \[5\]")
      for name, builder in BUILDERS.items()
      if not name.startswith(("mlp.", "conditional.", "progressive."))
      and name not in ("dcgan.generator", "parts.first_doublings", "resnet.generator", "translation.patches")
    ),
    (mlp.generator, NetSpec(((2,),), None), "the shape of its output, which this game leaves open"),
    (mlp.head, NetSpec(((2,),), None), "the shape of its output, which this game leaves open"),
    (mlp.head, NetSpec(((2,),), ()), r"it gives a vector, and the game asks for \[\]"),
    (mlp.discriminator, NetSpec(((2,), (), ()), ()), "it takes one level of noise, and the game gives it 2"),
    (mlp.discriminator, NetSpec(((2,), ()), ()), "fourier is 0; the level of noise"),
  ],
)
def test_specs_that_do_not_fit_are_refused_with_their_shapes(builder, spec, message):
  with pytest.raises(ConfigError, match=message):
    builder(spec)


def test_sizes_that_the_layers_cannot_halve_are_refused_when_the_net_is_made():
  for net, message in (
    (dcgan.generator(NetSpec(((5,),), (28, 28, 1))), "DCGAN's resolution is one of 8, 16, 32, 64, 128, not 28"),
    (translation.unet(NetSpec(((12, 12, 1),), (12, 12, 1))), "a power of two from 8 on, not 12"),
    (translation.resnet(NetSpec(((6, 6, 1),), (6, 6, 1))), "multiples of 4 from 8 on, not 6x6"),
    (translation.patches(NetSpec((IMAGE,), None)), "scores images of at least 24x24, not 8x8"),
  ):
    with pytest.raises(ConfigError, match=message):
      jax.eval_shape(net.init, KEY)
