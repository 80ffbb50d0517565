"""CycleGAN's and pix2pix's networks against their papers: counts, receptive fields, and layers by their definition."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import ConfigError
from gan_jax.game import NetSpec
from gan_jax.nets import translation
from gan_jax.nets.adapt import from_spec
from gan_jax.nets.layers import InstanceNorm
from gan_jax.nets.translation import FractionalConv, PatchDiscriminator, ResizedConv, ResnetGenerator, UnetGenerator

KEY = jax.random.key(0)


def images(*shape, seed=1):
  return jax.random.uniform(jax.random.key(seed), shape, minval=-1.0, maxval=1.0)


def shapes(net, *shape):
  """The output's shape, and the variables as shapes."""
  output, variables = jax.eval_shape(net.init_with_output, KEY, jnp.zeros(shape))
  return output.shape, variables


def count(net, *shape):
  _, variables = shapes(net, *shape)
  return sum(leaf.size for leaf in jax.tree.leaves(variables))


def normalise(x, epsilon=1e-5):
  """Instance norm in float64, also of what lies far from zero."""
  x = np.asarray(x, np.float64)
  return (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + epsilon)


class TestInstanceNorm:
  @pytest.mark.parametrize("scale,shift,tolerance", [(1.0, 0.0, 1e-5), (1e-3, 0.0, 1e-5), (0.1, 100.0, 1e-3)])
  def test_values_are_numpys(self, scale, shift, tolerance):
    """Also where epsilon counts, and where the variance is a millionth of the mean's square."""
    x = shift + scale * jax.random.normal(KEY, (3, 5, 4, 2))
    variables = InstanceNorm().init(KEY, x)
    assert variables == {}
    np.testing.assert_allclose(InstanceNorm().apply(variables, x), normalise(x), atol=tolerance)
    np.testing.assert_allclose(InstanceNorm(epsilon=0.5).apply({}, x), normalise(x, 0.5), atol=tolerance)

  def test_gradient(self):
    """(g - mean g - y mean(g y)) / sqrt(var + epsilon), means over the map."""
    x, g = jax.random.normal(KEY, (2, 3, 5, 4, 2))
    mean = lambda a: np.asarray(a, np.float64).mean((1, 2), keepdims=True)
    y = normalise(x)
    expected = (g - mean(g) - y * mean(g * y)) / np.sqrt(np.asarray(x, np.float64).var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(jax.vjp(lambda x: InstanceNorm().apply({}, x), x)[1](g)[0], expected, atol=1e-5)

  def test_flat_maps_are_zero(self):
    flat = jnp.broadcast_to(images(3, 1, 1, 2), (3, 4, 4, 2))
    for x in (flat, flat[:, :1, :1]):
      np.testing.assert_allclose(InstanceNorm().apply({}, x), jnp.zeros(x.shape), atol=1e-4)

  def test_bfloat16(self):
    """The moments are taken in float32."""
    x = (3.0 + jax.random.normal(KEY, (2, 64, 64, 2))).astype(jnp.bfloat16)
    y = InstanceNorm().apply({}, x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(jnp.float32), normalise(x.astype(jnp.float32)), rtol=0.005, atol=1e-4)


def convolve(x, kernel, strides=1, padding=(0, 0), dilation=1):
  """In float64 by the definition: zeros between the pixels, zeros around them, and a sum over each window."""
  b, h, w, c = x.shape
  spread = np.zeros((b, dilation * (h - 1) + 1, dilation * (w - 1) + 1, c))
  spread[:, ::dilation, ::dilation] = x
  padded = np.pad(spread, ((0, 0), padding, padding, (0, 0)))
  windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], (1, 2))[:, ::strides, ::strides]
  return np.einsum("bhwcij,ijco->bhwo", windows, kernel, optimize=True)


def reflect(x, by):
  return np.pad(x, ((0, 0), (by, by), (by, by), (0, 0)), mode="reflect")


def leaky(x):
  return np.where(x > 0, x, 0.2 * x)


def relu(x):
  return np.maximum(x, 0.0)


def with_variables(net, x):
  """The net's output, with kernels and biases drawn at random, and these by name."""
  _, variables = shapes(net, *x.shape)
  rng = np.random.default_rng(0)
  variables = jax.tree.map(lambda leaf: rng.normal(0.0, 0.3, leaf.shape).astype(np.float32), variables)
  return jax.jit(net.apply)(variables, x), variables["params"]


def test_the_residual_generator_is_the_papers():
  """c7s1-k, d2k, d4k, R4k, R4k, u2k, uk, c7s1-3."""
  x = images(2, 8, 12, 2)
  output, p = with_variables(ResnetGenerator(width=2, blocks=2), x)
  kernels = [p[f"Conv_{i}"]["kernel"] for i in range(8)]
  y = relu(normalise(convolve(reflect(x, 3), kernels[0])))
  for i in (1, 2):
    y = relu(normalise(convolve(y, kernels[i], 2, (1, 1))))
  assert y.shape == (2, 2, 3, 8)
  for i in (3, 5):
    inner = relu(normalise(convolve(reflect(y, 1), kernels[i])))
    y = y + normalise(convolve(reflect(inner, 1), kernels[i + 1]))
  for i in (0, 1):
    y = relu(normalise(convolve(y, p[f"FractionalConv_{i}"]["kernel"], padding=(1, 2), dilation=2)))
  y = np.tanh(convolve(reflect(y, 3), kernels[7]) + p["Conv_7"]["bias"])
  np.testing.assert_allclose(output, y, atol=1e-4)
  assert y.shape == (2, 8, 12, 3) and y.std() > 0.1


def test_the_u_net_is_the_papers():
  """Four halvings of 16x16, widths k, 2k, 4k, 8k; each map on the way up beside the one of its size on the way down."""
  x = images(2, 16, 16, 4)
  output, p = with_variables(UnetGenerator(16, width=2), x)
  down, up = ([p[f"{name}_{i}"]["kernel"] for i in range(4)] for name in ("Conv", "UpsampleConv"))
  halve = lambda x, kernel: convolve(x, kernel, 2, (1, 1))
  double = lambda x, kernel: convolve(x, kernel, padding=(2, 2), dilation=2)
  e8 = leaky(halve(x, down[0]) + p["Conv_0"]["bias"])
  e4 = leaky(normalise(halve(e8, down[1])))
  e2 = leaky(normalise(halve(e4, down[2])))
  e1 = leaky(halve(e2, down[3]) + p["Conv_3"]["bias"])
  assert [e.shape[1:] for e in (e8, e4, e2, e1)] == [(8, 8, 2), (4, 4, 4), (2, 2, 8), (1, 1, 16)]
  y = np.concatenate([relu(normalise(double(e1, up[0]))), e2], -1)
  y = np.concatenate([relu(normalise(double(y, up[1]))), e4], -1)
  y = np.concatenate([relu(normalise(double(y, up[2]))), e8], -1)
  y = np.tanh(double(y, up[3]) + p["UpsampleConv_3"]["bias"])
  np.testing.assert_allclose(output, y, atol=1e-4)
  assert y.shape == (2, 16, 16, 3) and y.std() > 0.1


def test_dropout_is_the_noise_of_the_first_three_layers_on_the_way_up():
  """Behind their norms: of 2x2, 4x4 and 8x8 maps each unit is doubled or 0, half of them; 16x16 ones stay."""
  net, x = UnetGenerator(32, width=2, channels=1, dropout=0.5), images(2, 32, 32, 1)
  _, variables = shapes(net, *x.shape)
  rng = np.random.default_rng(0)
  variables = jax.tree.map(lambda leaf: rng.normal(0.0, 0.3, leaf.shape).astype(np.float32), variables)
  watched = dict(capture_intermediates=lambda module, _: isinstance(module, InstanceNorm | nn.Dropout), mutable=True)
  run = jax.jit(lambda key: net.apply(variables, x, rngs={"dropout": key}, **watched))
  output, found = run(KEY)
  maps = {name: np.asarray(each["__call__"][0]) for name, each in found["intermediates"].items()}
  pairs = [(maps[f"InstanceNorm_{3 + i}"], maps[f"Dropout_{i}"]) for i in range(4)]  # three on the way down
  assert [before.shape[1] for before, _ in pairs] == [2, 4, 8, 16]
  shares = []
  for before, after in pairs[:3]:
    kept = after != 0.0
    np.testing.assert_allclose(after[kept], 2.0 * before[kept], rtol=1e-6)
    shares.append(kept.mean())
  np.testing.assert_allclose(shares, 0.5, atol=0.15)
  np.testing.assert_array_equal(*pairs[3])
  np.testing.assert_array_equal(output, run(KEY)[0])
  assert np.abs(output - run(jax.random.key(1))[0]).mean() > 0.01


def test_dropout_is_on_in_sampling_too():
  """Without a key there is none to draw from, outside of training either."""
  net = from_spec(UnetGenerator(8, width=2, channels=1, dropout=0.5), NetSpec(((8, 8, 1),), (8, 8, 1)))
  apply = lambda key: net.apply(*net.init(KEY), images(1, 8, 8, 1), key=key, train=False)
  assert jax.eval_shape(apply, KEY)[0].shape == (1, 8, 8, 1)
  with pytest.raises(ValueError, match="dropout"):
    jax.eval_shape(lambda: apply(None))


def test_patches_of_several_images_are_of_their_channels():
  x, c = images(2, 16, 16, 3), images(2, 16, 16, 1)
  net = PatchDiscriminator(width=2, layers=1)
  together, p = with_variables(net, jnp.concatenate([x, c], -1))
  np.testing.assert_allclose(net.apply({"params": p}, x, c), together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_the_patch_discriminator_is_the_papers(layers):
  x = images(2, 24, 28, 3)
  output, p = with_variables(PatchDiscriminator(width=2, layers=layers), x)
  last = max(layers, 1) + 1
  assert sorted(p) == [f"Conv_{i}" for i in range(last + 1)]
  pad = (1, 1) if layers else (0, 0)
  y = leaky(convolve(x, p["Conv_0"]["kernel"], 2 if layers else 1, pad) + p["Conv_0"]["bias"])
  for i in range(1, last):
    y = leaky(normalise(convolve(y, p[f"Conv_{i}"]["kernel"], 2 if i < layers else 1, pad)))
  y = convolve(y, p[f"Conv_{last}"]["kernel"], 1, pad) + p[f"Conv_{last}"]["bias"]
  np.testing.assert_allclose(output, y, atol=1e-4)
  assert y.std() > 0.1


@pytest.mark.parametrize("layers,side", [(0, 1), (1, 16), (2, 34), (3, 70)])
def test_receptive_field(layers, side):
  """Which pixels move a score in the middle: with kernels of ones and no norm, exactly those that it sees."""
  net, size = PatchDiscriminator(width=1, layers=layers), 96
  (_, rows, columns, _), variables = shapes(net, 1, size, size, 1)
  variables = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 1.0 if leaf.ndim == 4 else 0.0), variables)

  def without_norm(call, args, kwargs, context):
    return args[0] if isinstance(context.module, InstanceNorm) else call(*args, **kwargs)

  with nn.intercept_methods(without_norm):
    lines = jnp.broadcast_to(jnp.eye(size)[:, :, None, None], (size, size, size, 1))  # image i has row i
    for perturbed in (lines, lines.swapaxes(1, 2)):
      scores = jax.jit(lambda x: net.apply(variables, x))(perturbed)
      seen = np.flatnonzero(scores[:, rows // 2, columns // 2, 0])
      assert len(seen) == side and seen[-1] - seen[0] == side - 1


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (64, 64), (128, 128), (256, 256), (36, 52)])
def test_generators_restore_the_size(size):
  nets = [ResnetGenerator(width=4, blocks=1, channels=3)]
  if size[0] == size[1]:
    nets.append(UnetGenerator(size[0], width=4, channels=3))
  for net in nets:
    output, variables = shapes(net, 2, *size, 1)
    assert output == (2, *size, 3) and set(variables) == {"params"}


@pytest.mark.parametrize(
  "layers,size,scores",
  [(3, 256, 30), (3, 128, 14), (3, 64, 6), (3, 32, 2), (3, 24, 1), (2, 32, 6), (1, 32, 14), (1, 33, 14), (0, 33, 33)],
)
def test_how_many_scores(layers, size, scores):
  assert shapes(PatchDiscriminator(width=2, layers=layers), 2, size, size, 3)[0] == (2, scores, scores, 1)


def test_refusals():
  for size in [(4, 4), (30, 32), (32, 33)]:
    with pytest.raises(ValueError, match=f"multiples of 4 from 8 on, not {size[0]}x{size[1]}"):
      shapes(ResnetGenerator(), 1, *size, 3)
  for resolution in (0, 4, 33, 48):
    with pytest.raises(ValueError, match=f"power of two from 8 on, not {resolution}"):
      shapes(UnetGenerator(resolution), 1, resolution, resolution, 3)
  with pytest.raises(AssertionError):
    shapes(UnetGenerator(16), 1, 32, 32, 3)
  for layers, smallest in ((3, 24), (2, 12), (1, 6)):
    with pytest.raises(ValueError, match=f"at least {smallest}x{smallest}, not {smallest}x{smallest - 1}: .*fewer"):
      shapes(PatchDiscriminator(layers=layers), 1, smallest, smallest - 1, 3)


def test_how_many_parameters():
  """The authors' counts, 11.378M, 54.414M and 2.765M, less what a norm would take away or bring along.

  Their biases before norms: in the residual generator 64 + 128 + 256 + 18 x 256 + 128 + 64 = 5,248, in the PatchGAN
  128 + 256 + 512 = 896. Their U-Net is pix2pix's, whose batch norm has a scale and a shift of (128 + 256 + 4 x 512) +
  (4 x 512 + 256 + 128 + 64) channels; our 64 + 512 biases where no norm follows are not in it.
  """
  nine = count(ResnetGenerator(blocks=9), 1, 256, 256, 3)
  blocks = 18 * 9 * 256**2
  assert nine == 49 * 3 * 64 + 9 * 64 * 128 + 9 * 128 * 256 + blocks + 9 * 256 * 128 + 9 * 128 * 64 + 49 * 64 * 3 + 3
  assert nine + 5_248 == 11_378_179
  assert nine - count(ResnetGenerator(blocks=6), 1, 128, 128, 3) == blocks / 3
  assert count(PatchDiscriminator(), 1, 256, 256, 3) + 896 == 2_764_737
  down = 3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 4 * 512**2
  up = 512**2 + 3 * 1024 * 512 + 1024 * 256 + 512 * 128 + 256 * 64 + 128 * 3
  assert count(UnetGenerator(256), 1, 256, 256, 3) == 16 * (down + up) + 64 + 512 + 3
  assert 16 * (down + up) + 3 + 2 * (128 + 256 + 4 * 512 + 4 * 512 + 256 + 128 + 64) == 54_413_955


def test_fractional_conv_is_torch_conv_transpose():
  torch = pytest.importorskip("torch", reason="compares with PyTorch")
  x = images(2, 3, 5, 2)
  output, p = with_variables(FractionalConv(4), x)
  kernel = p["kernel"]
  assert kernel.shape == (3, 3, 2, 4)
  weight = torch.tensor(np.array(kernel[::-1, ::-1].transpose(2, 3, 0, 1)))
  pixels = torch.tensor(np.array(x.transpose(0, 3, 1, 2)))
  expected = torch.nn.functional.conv_transpose2d(pixels, weight, stride=2, padding=1, output_padding=1)
  np.testing.assert_allclose(output, expected.permute(0, 2, 3, 1).numpy(), atol=1e-5)


NETS = [ResnetGenerator(width=8, blocks=1), UnetGenerator(8, width=8), PatchDiscriminator(width=8, layers=1)]
EXAMPLE = images(2, 8, 8, 3)


@functools.cache
def initial(net):
  key = jax.random.key(0, impl="rbg")  # compiles many times faster than the default
  return jax.device_get(jax.jit(net.init)(key, EXAMPLE))


@pytest.mark.parametrize("net", NETS)
def test_initial_weights(net):
  for path, leaf in jax.tree.leaves_with_path(initial(net)["params"]):
    deviation = {"kernel": 0.02, "bias": 0.0}[path[-1].key]
    np.testing.assert_allclose([leaf.mean(), leaf.std() - deviation], 0.0, atol=5 * deviation / np.sqrt(leaf.size))


@pytest.mark.parametrize("net", NETS)
def test_bfloat16(net):
  """Parameters, gradients and outputs are float32, images in [-1, 1], and what is computed is close to float32's."""

  def outputs(variables, x):
    return [net.clone(dtype=dtype).apply(variables, x) for dtype in (jnp.bfloat16, jnp.float32)]

  # A narrow net's first images are near grey.
  variables = jax.tree.map(lambda leaf: np.float32(10.0) * leaf, initial(net))
  gradient = jax.grad(lambda *args: jnp.sum(outputs(*args)[0] ** 2))
  (y, exact), gradients = jax.device_get(jax.jit(lambda *args: (outputs(*args), gradient(*args)))(variables, EXAMPLE))
  assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves((variables, gradients, y)))
  assert 0.0 < np.sqrt(np.mean((y - exact) ** 2)) < 0.05 * exact.std()
  if net is not NETS[2]:
    assert np.abs(y).max() <= 1.0 and y.min() < -0.9 and y.max() > 0.9


def test_resizing_is_a_convolution_of_the_doubled_map():
  """By NumPy; and what is constant stays so but for the border, where fractional strides make a checkerboard."""
  x = images(2, 4, 6, 3)
  output, p = with_variables(ResizedConv(5), x)
  doubled = np.repeat(np.repeat(x, 2, 1), 2, 2)
  np.testing.assert_allclose(output, convolve(doubled, p["kernel"], padding=(1, 1)), atol=1e-5)
  flat = np.ones((1, 6, 6, 1), np.float32)
  inner = {layer: with_variables(layer(1), flat)[0][0, 2:-2, 2:-2, 0] for layer in (ResizedConv, FractionalConv)}
  assert np.ptp(inner[ResizedConv]) < 1e-6 < 0.1 < np.ptp(inner[FractionalConv])


def test_the_parts_make_the_whole():
  """An encoder of two blocks, a block, and a decoder of none are a generator of three, with the same kernels."""
  x = images(2, 8, 8, 3)
  whole, p = with_variables(ResnetGenerator(width=2, blocks=3, upsampling="resize"), x)
  convolutions = iter([p[f"Conv_{i}"] for i in range(10)])
  take = lambda n: {f"Conv_{i}": next(convolutions) for i in range(n)}
  first, middle = take(3 + 4), take(2)
  last = {"Conv_0": next(convolutions)} | {f"ResizedConv_{i}": p[f"ResizedConv_{i}"] for i in (0, 1)}
  maps = translation.Encoder(width=2, blocks=2).apply({"params": first}, x)
  assert maps.shape == (2, 2, 2, 8)
  maps = translation.Blocks(width=2, blocks=1).apply({"params": middle}, maps)
  found = translation.Decoder(width=2, blocks=0, channels=3, upsampling="resize").apply({"params": last}, maps)
  np.testing.assert_allclose(found, whole, atol=1e-5)


def test_what_the_parts_refuse():
  image, maps = NetSpec(((32, 32, 3),), (32, 32, 3)), (8, 8, 64)
  with pytest.raises(ConfigError, match="upsampling is 'nearest'"):
    translation.resnet(image, upsampling="nearest")
  with pytest.raises(ConfigError, match="makes images of 32x32 of these maps, and the game asks for 64"):
    translation.decoder(NetSpec((maps,), (64, 64, 3)))
  with pytest.raises(ConfigError, match="blocks is -1"):
    translation.encoder(NetSpec(((32, 32, 3),), None), blocks=-1)
  with pytest.raises(ConfigError, match="blocks is 0"):
    translation.blocks(NetSpec((maps,), None), blocks=0)
