"""SN-GAN's networks by their paper: blocks against plain convolutions, and the norms of the discriminator's layers."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax.errors import ConfigError
from gan_jax.game import NetSpec
from gan_jax.nets import resnet
from gan_jax.nets.layers import ConditionalBatchNorm

KEY = jax.random.key(7)
IMAGE = (16, 16, 3)


def normal(seed, shape):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def convolved(x, layer):
  """A convolution of stride 1, by its parameters, as lax has it."""
  y = lax.conv_general_dilated(x, layer["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
  return y + layer["bias"].reshape(1, 1, 1, -1)


def doubled(x):
  return np.asarray(x).repeat(2, 1).repeat(2, 2)


def pooled(x):
  return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def relu(x):
  return np.maximum(x, 0.0)


def randomised(variables, collection="params"):
  """The variables with random parameters, zeros and ones too."""
  leaves, tree = jax.tree.flatten(variables[collection])
  drawn = [0.3 * normal(i, leaf.shape) for i, leaf in enumerate(leaves)]
  return {**variables, collection: jax.tree.unflatten(tree, drawn)}


@pytest.mark.parametrize(
  ("layer", "expected"),
  [
    (resnet.UpsampledConv(5), lambda x, params: convolved(doubled(x), params)),
    (resnet.PooledConv(5), lambda x, params: pooled(convolved(x, params))),
  ],
  ids=["up", "down"],
)
def test_resampling_and_a_convolution_are_one(layer, expected):
  """To the border, with one kernel and one bias of the sizes that the plain layer has."""
  x = normal(1, (2, 6, 4, 3))
  variables = randomised(layer.init(KEY, x))
  assert {name: p.shape for name, p in variables["params"].items()} == {"kernel": (3, 3, 3, 5), "bias": (5,)}
  np.testing.assert_allclose(layer.apply(variables, x), expected(x, variables["params"]), atol=1e-5)


def test_a_generator_block_by_hand():
  block, x = resnet.GeneratorBlock(5), normal(1, (4, 4, 4, 3))
  variables = randomised(block.init(KEY, x))
  params = variables["params"]

  def norm(y, layer):
    y = (y - y.mean((0, 1, 2))) / np.sqrt(y.var((0, 1, 2)) + 1e-5)
    return relu(y * np.asarray(layer["scale"]) + np.asarray(layer["bias"]))

  y = convolved(doubled(norm(np.asarray(x), params["BatchNorm_0"])), params["UpsampledConv_0"])
  y = convolved(norm(np.asarray(y), params["BatchNorm_1"]), params["Conv_0"])
  expected = y + convolved(doubled(x), params["Conv_1"])
  np.testing.assert_allclose(block.apply(variables, x, mutable=["batch_stats"])[0], expected, atol=2e-5)


@pytest.mark.parametrize("kind", ["first", "halved", "same"])
def test_a_discriminator_block_by_hand(kind):
  """The first one takes no ReLU of the image; one that keeps the size adds its input as it is."""
  features = 3 if kind == "same" else 5
  block = resnet.DiscriminatorBlock(features, kind != "same", kind == "first", spectral_norm=False)
  x = normal(1, (2, 8, 8, 3))
  variables = randomised(block.init(KEY, x))
  params = variables["params"]
  y = relu(convolved(x if kind == "first" else relu(x), params["Conv_0"]))
  assert y.shape[-1] == (5 if kind == "first" else 3)
  if kind == "same":
    expected = x + convolved(y, params["Conv_1"])
  else:
    expected = pooled(convolved(y, params["PooledConv_0"])) + pooled(convolved(x, params["Conv_1"]))
  np.testing.assert_allclose(block.apply(variables, x), expected, atol=2e-5)


def kernels(params):
  return {
    jax.tree_util.keystr(path[:-1]): leaf
    for path, leaf in jax.tree.leaves_with_path(params)
    if path[-1].key == "kernel"
  }


def test_table_4_is_a_setting():
  """CIFAR-10: 4x4x256 and three blocks of 256 channels; two that halve the size and two that do not, of 128."""
  generator = resnet.generator(NetSpec(((128,),), (32, 32, 3)), width=256, widest=256)
  discriminator = resnet.discriminator(NetSpec(((32, 32, 3),), ()), width=128, widest=128)
  of_g, of_d = (jax.eval_shape(net.init, KEY)[0] for net in (generator, discriminator))
  block = lambda i, o: [(1, 1, i, o), (3, 3, i, o), (3, 3, o, o)]
  assert sorted(k.shape for k in kernels(of_g).values()) == sorted(
    [(128, 4 * 4 * 256), *(3 * block(256, 256)), (3, 3, 256, 3)]
  )
  same = [(3, 3, 128, 128)] * 2
  assert sorted(k.shape for k in kernels(of_d).values()) == sorted(
    [*block(3, 128), *block(128, 128), *same, *same, (128, 1)]
  )


def test_channels_double_toward_small_maps_up_to_the_widest():
  generator = resnet.generator(NetSpec(((5,),), (64, 64, 1)), width=4, widest=16)
  discriminator = resnet.discriminator(NetSpec(((64, 64, 1),), ()), width=4, widest=16)
  of_g, of_d = (jax.eval_shape(net.init, KEY)[0] for net in (generator, discriminator))
  blocks = [of_g[f"GeneratorBlock_{i}"]["UpsampledConv_0"]["kernel"].shape for i in range(4)]
  assert blocks == [(3, 3, 16, 16), (3, 3, 16, 16), (3, 3, 16, 8), (3, 3, 8, 4)]
  blocks = [of_d[f"DiscriminatorBlock_{i}"]["PooledConv_0"]["kernel"].shape for i in range(3)]
  assert blocks == [(3, 3, 4, 4), (3, 3, 4, 8), (3, 3, 8, 16)]
  assert of_d["DiscriminatorBlock_4"]["Conv_1"]["kernel"].shape == (3, 3, 16, 16)


def test_initial_weights_are_uniform_with_their_variances():
  net = resnet.generator(NetSpec(((40,),), (16, 16, 3)), width=32, widest=32)
  params, _ = jax.jit(net.init)(KEY)
  for path, kernel in kernels(params).items():
    inside = "Block" in path and kernel.shape[0] == 3
    fans = np.prod(kernel.shape[:-2]) * (kernel.shape[-2] + kernel.shape[-1])
    expected = (4.0 if inside else 2.0) / fans
    np.testing.assert_allclose(kernel.var(), expected, rtol=8 / np.sqrt(kernel.size), err_msg=path)
    np.testing.assert_allclose(np.abs(kernel).max(), np.sqrt(3.0 * expected), rtol=0.02, err_msg=path)


def test_conditional_batch_norm_in_numpy():
  """Moments of the whole batch, scale and shift of each image's class; moving averages keep 0.9."""
  x, classes = 3.0 + 2.0 * normal(1, (6, 4, 4, 5)), np.array([0, 2, 2, 1, 0, 2])
  label = jax.nn.one_hot(classes, 3)
  norm = ConditionalBatchNorm()
  first = norm.init(KEY, x, label)
  y, _ = norm.apply(first, x, label, mutable=["batch_stats"])
  np.testing.assert_allclose([y.mean((0, 1, 2)), y.var((0, 1, 2))], [[0.0] * 5, [1.0] * 5], atol=1e-4)
  variables = randomised(first)
  scale, bias = (np.asarray(variables["params"][name], np.float64) for name in ("scale", "bias"))
  assert scale.shape == bias.shape == (3, 5)
  of_class = lambda table: table[classes][:, None, None]
  given = np.asarray(x, np.float64)
  mean, var = given.mean((0, 1, 2)), given.var((0, 1, 2))
  expected = of_class(scale) * (given - mean) / np.sqrt(var + 1e-5) + of_class(bias)
  y, moved = norm.apply(variables, x, label, mutable=["batch_stats"])
  np.testing.assert_allclose(y, expected, atol=1e-4)
  moving = moved["batch_stats"]
  np.testing.assert_allclose(moving["mean"], 0.1 * mean, rtol=1e-4)
  np.testing.assert_allclose(moving["var"], 0.9 + 0.1 * var, rtol=1e-4)
  expected = of_class(scale) * (given - 0.1 * mean) / np.sqrt(0.9 + 0.1 * var + 1e-5) + of_class(bias)
  np.testing.assert_allclose(norm.apply({**variables, **moved}, x, label, train=False), expected, atol=1e-4)


def test_the_label_decides_the_scales_alone_and_the_norm_before_the_image_has_none():
  net = resnet.generator(NetSpec(((3,), (5,)), IMAGE), width=4, widest=8)
  params, stats = jax.jit(net.init)(KEY)
  sample = jax.jit(lambda params, *inputs: net.apply(params, stats, *inputs, train=False)[0])
  for i in range(2):
    assert {"ConditionalBatchNorm_0", "ConditionalBatchNorm_1"} < set(params[f"GeneratorBlock_{i}"])
  assert params["BatchNorm_0"]["scale"].shape == (4,)
  z, labels = normal(2, (3, 5)), jnp.eye(3)
  images = sample(params, labels, z[:1].repeat(3, 0))
  np.testing.assert_array_equal(images[0], images[1])  # ones and zeros for every class at first
  table = params["GeneratorBlock_0"]["ConditionalBatchNorm_0"]
  table["bias"] = table["bias"].at[1].add(1.0)
  images = sample(params, labels, z[:1].repeat(3, 0))
  np.testing.assert_array_equal(images[0], images[2])
  assert np.abs(images[0] - images[1]).max() > 1e-3


def test_every_layer_of_the_discriminator_has_norm_one():
  """As matrices [kh * kw * C, O], against the singular values, after training's power iterations; biases stay."""
  net = resnet.discriminator(NetSpec((IMAGE,), ()), width=4, widest=8)
  params, stats = jax.jit(net.init)(KEY)
  params = randomised({"params": params})["params"]
  x = normal(3, (2, *IMAGE))
  iterate = lambda _, s: net.apply(params, s, x)[1]
  stats = jax.jit(lambda stats: lax.fori_loop(0, 200, iterate, stats))(stats)
  layers, vectors = kernels(params), jax.tree.leaves(stats["spectral"])
  assert len(layers) == len(vectors) == 3 + 2 + 2 + 1
  divided, expected = dict(params), {}
  for path, kernel in layers.items():
    matrix = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])
    norm = np.linalg.svd(matrix, compute_uv=False)[0]
    assert abs(norm - 1.0) > 0.05
    expected[path] = kernel / norm
  divided = jax.tree.map_with_path(
    lambda path, leaf: expected.get(jax.tree_util.keystr(path[:-1]), leaf) if path[-1].key == "kernel" else leaf, params
  )
  plain = resnet.discriminator(NetSpec((IMAGE,), ()), width=4, widest=8, spectral_norm=False)
  chex.assert_trees_all_equal_shapes(jax.eval_shape(plain.init, KEY)[0], params)
  scores = jax.jit(lambda x: net.apply(params, stats, x, train=False)[0])(x)
  np.testing.assert_allclose(scores, plain.apply(divided, {}, x)[0], rtol=1e-3, atol=1e-5)


def test_a_discriminator_is_blocks_a_sum_and_a_linear_function():
  net = resnet.discriminator(NetSpec((IMAGE,), ()), width=4, spectral_norm=False)
  params, stats = jax.jit(net.init)(KEY)
  params, x = randomised({"params": params})["params"], normal(3, (2, *IMAGE))
  y = x
  for i in range(3):
    block = resnet.DiscriminatorBlock(4, i == 0, i == 0, spectral_norm=False)
    y = block.apply({"params": params[f"DiscriminatorBlock_{i}"]}, y)
  assert y.shape == (2, 8, 8, 4)
  features = relu(np.asarray(y)).sum((1, 2))
  last = jax.tree.map(np.asarray, params["Dense_0"])
  np.testing.assert_allclose(
    net.apply(params, stats, x)[0], (features @ last["kernel"] + last["bias"])[:, 0], rtol=1e-4
  )
  assert net.features is not None
  np.testing.assert_allclose(net.features(params, stats, x), features, rtol=1e-5)


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (lambda: resnet.generator(NetSpec(((5,),), (28, 28, 1))), "a power of two from 16 on, not 28"),
    (lambda: resnet.discriminator(NetSpec(((8, 8, 1),), ())), "a power of two from 16 on, not 8"),
    (lambda: resnet.generator(NetSpec(((5,),), IMAGE), width=0), "width is 0"),
    (lambda: resnet.generator(NetSpec((IMAGE, (5,)), IMAGE)), r"gives it \[16, 16, 3\] and \[5\]"),
    (lambda: resnet.generator(NetSpec(((5,), (5,), (5,)), IMAGE)), "a condition and a latent, all vectors"),
  ],
)
def test_refusals(make, message):
  with pytest.raises(ConfigError, match=message):
    make()
