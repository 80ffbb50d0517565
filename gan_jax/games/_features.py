"""A network that knows the labels of images, which a game compares images by: trained first, then nobody moves it."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from gan_jax.errors import ConfigError
from gan_jax.forward import forward
from gan_jax.game import Aux, DataSpec, Game, Move, Net, NetSpec, Optimizers, Player, optimizer_of
from gan_jax.losses import information

CLASSIFIER = "classifier"


def specs(data: DataSpec, name: str, weight: Any, pretraining: bool) -> dict[str, NetSpec]:
  """The net `name`, x -> whatever it gives, and while it is trained a classifier on that; none without a weight.

  Raises:
    ConfigError: if it is to be trained without a weight, or without labels.
  """
  if weight is None and pretraining:
    raise ConfigError(f"pretraining is of the net {name}, which a game without a weight for it does not have")
  if weight is None:
    return {}
  if pretraining and not data.classes:
    raise ConfigError(f"pretraining is of the net {name} on labels, and the data has none")
  return {name: NetSpec((data.x,), None)} | ({CLASSIFIER: NetSpec((name,), (data.classes,))} if pretraining else {})


def beside(
  play: Callable[[Optimizers], Game],
  name: str,
  net: Net | None,
  classifier: Net | None,
  domain: str,
  pretraining: bool,
  tx: Optimizers,
) -> Game:
  """The game `play(tx)` with the net `name`, frozen; or, in `pretraining`, one in which that net alone is moved.

  There one player, of its name, owns it and the classifier and minimises the cross-entropy of the labels of `domain`.
  It logs its "accuracy" on the batch. All other nets are frozen.
  """
  game = play(optax.set_to_zero() if pretraining else tx)  # in which nobody plays yet
  if net is None:
    return game
  frozen = game._replace(nets={**game.nets, name: net}, frozen=(name,))
  if not pretraining:
    return frozen
  assert classifier is not None  # `specs` asks for it
  nets = {**frozen.nets, CLASSIFIER: classifier}
  label = "label" if domain == "x" else f"label_{domain}"

  def loss(params, state, batch, key):
    use = forward(nets, params, state, key)
    logits, labels = use(CLASSIFIER, use(name, batch[domain])), batch[label]
    accuracy = (logits.argmax(1) == labels).mean(dtype=logits.dtype)
    likelihood = information.categorical_log_likelihood(logits, labels)
    return -likelihood.mean(), Aux(use.stats, metrics={"accuracy": jax.lax.stop_gradient(accuracy)})

  return frozen._replace(
    nets=nets,
    players={name: Player((name, CLASSIFIER), loss, optimizer_of(tx, name))},
    moves=(Move((name,)),),
    frozen=tuple(game.nets),
  )
