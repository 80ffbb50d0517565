"""All measures at once: each is that of its own module, and floors are those of training images."""

import math

import numpy as np
import pytest

from gan_jax.metrics import birthday, frechet, kernel, memorisation, quality
from gan_jax.metrics.inception_score import inception_score
from gan_jax.metrics.precision_recall import PrecisionRecall, precision_recall
from gan_jax.metrics.quality import Features

RNG = np.random.RandomState(0)
draw = lambda n, shift=0.0: Features(RNG.normal(shift, 1.0, (n, 3)), RNG.normal(size=(n, 4)))
SAMPLES, HELD_OUT, TRAIN = draw(40, 0.5), draw(30), draw(100)


def test_each_is_that_of_its_module_and_real_images_get_the_floor():
  found = quality.measure(SAMPLES, HELD_OUT, TRAIN, k=4)
  spread = np.linspace(0, 99, 40).astype(int)
  real = Features(TRAIN.features[spread], TRAIN.logits[spread])
  for images, end in ((SAMPLES, ""), (real, "_floor")):
    x, y = images.features, HELD_OUT.features
    assert found["frechet" + end] == frechet.distance(frechet.moments(x), frechet.moments(y))
    assert found["frechet_infinity" + end] == frechet.infinity(x, frechet.moments(y)).distance
    assert (found["kid" + end], found["kid_error" + end]) == kernel.kid(x, y)
    assert tuple(found[name + end] for name in PrecisionRecall._fields) == precision_recall(y, x, 4)
    assert found["support" + end] == birthday.support(x, birthday.threshold(y)).size
    score = inception_score(images.logits)
    assert (found["inception_score" + end], found["class_entropy" + end]) == (score.mean, score.class_entropy)
    assert found["conditional_entropy" + end] == score.conditional_entropy
  ratio = memorisation.memorisation(SAMPLES.features, TRAIN.features, HELD_OUT.features).ratio
  assert found["memorisation"] == ratio and "memorisation_floor" not in found
  assert found["class_entropy_most"] == math.log(4) and "class_entropy_most_floor" not in found


def test_without_training_images_or_classes_there_is_less():
  found = quality.measure(SAMPLES._replace(logits=None), HELD_OUT)
  assert not [name for name in found if name.endswith("_floor") or "entropy" in name or name == "memorisation"]
  assert {"frechet", "kid", "precision", "support"} <= set(found)


def test_infinitely_many_samples_are_guessed_only_from_more_than_features():
  assert "frechet_infinity" not in quality.measure(
    Features(RNG.normal(size=(31, 4)), None), draw(30)._replace(features=RNG.normal(size=(30, 4)))
  )


def test_fewer_training_images_than_samples_are_all_compared():
  few = Features(TRAIN.features[:20], TRAIN.logits[:20])
  found = quality.measure(SAMPLES, HELD_OUT, few)
  expected = frechet.distance(frechet.moments(few.features), frechet.moments(HELD_OUT.features))
  assert found["frechet_floor"] == pytest.approx(expected, rel=1e-12)
