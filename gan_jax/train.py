"""From a game to compiled rounds: `init` a state, `play` one move, `make_step` one round, `make_scan` many.

Randomness is a function of the state alone. A round folds `state.step` into `state.key`, a move folds its position into
that, a repetition its number, a player its place: so a resumed run, a scanned run and a Python loop draw the same
numbers. What evaluates a state draws from `evaluation_key`. `carry` takes a state from one stage of a run to the next.
"""

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gan_jax.game import Batch, Game, Move, Player, TrainState

Metrics = dict[str, jax.Array]  # "player/name" -> scalar
# Folded into the key where a round folds its number, which is an int32: no round has one of these.
_BEFORE_THE_FIRST_ROUND = 2**32 - 1
_EVALUATION = 2**32 - 2


def init(game: Game, key: jax.Array, batch: Batch | None = None) -> TrainState:
  """Returns the state before the first round, having checked that the game can be played.

  Args:
    game: the game.
    key: the run's random key; it seeds the networks and every round.
    batch: an example batch, arrays or `jax.ShapeDtypeStruct`s. With it every player's loss is traced too, without being
      computed: an error of a loss, such as a wrong shape, then comes up here, with a note that names the player.

  Raises:
    ValueError: if the game is not sound; the message names the net, the player or the move.
  """
  _check(game)
  net_key, memory_key = jax.random.split(jax.random.fold_in(key, _BEFORE_THE_FIRST_ROUND))
  drawn = {name: net.init(jax.random.fold_in(net_key, i)) for i, (name, net) in enumerate(sorted(game.nets.items()))}
  params = {name: p for name, (p, _) in drawn.items()}
  stats = {name: s for name, (_, s) in drawn.items()}
  state = TrainState(
    step=jnp.zeros((), jnp.int32),
    key=key,
    params=params,
    stats=stats,
    opt={name: player.tx.init({n: params[n] for n in player.owns}) for name, player in game.players.items()},
    ema={name: jax.tree.map(jnp.copy, {"params": params[name], "stats": stats[name]}) for name in game.averaged},
    memory=game.init_memory(memory_key),
  )
  if batch is not None:
    for name in game.players:
      _check_loss(game, name, state, batch)
  return state


def play(
  game: Game,
  players: tuple[str, ...],
  state: TrainState,
  batch: Batch,
  key: jax.Array,
  shared_key: bool = False,
) -> tuple[TrainState, Metrics]:
  """One move: every one of `players` takes one optimizer step on its own loss, all from the same old state.

  Only the parameters and statistics of owned nets, the movers' optimizer states and the game's memory change. Of the
  statistics that a loss returns, those of other nets are dropped. Of each player the metrics are those of its loss, the
  "loss" itself and "gradient", the Euclidean norm of its gradient over all that it owns.

  Args:
    game: the game.
    players: who moves.
    state: before the move.
    batch: what the losses see.
    key: each player folds its place into it, or all of them 0 with `shared_key`.
    shared_key: as in `Move`.

  Raises:
    ValueError: if a player's projection returns entries of nets that the player does not own.
  """
  params, stats, opt = dict(state.params), dict(state.stats), dict(state.opt)
  memory, metrics = state.memory, {}
  for place, name in enumerate(players):
    player = game.players[name]
    player_key = jax.random.fold_in(key, 0 if shared_key else place)

    def objective(owned, player=player, player_key=player_key):
      return player.loss({**state.params, **owned}, state, batch, player_key)

    owned = {net: state.params[net] for net in player.owns}
    (value, aux), gradient = jax.value_and_grad(objective, has_aux=True)(owned)
    with jax.numpy_dtype_promotion("standard"):  # optax mixes its integer counters with floats
      updates, opt[name] = player.tx.update(gradient, state.opt[name], owned)
      norm = optax.tree.norm(gradient)
    projected = player.project(optax.apply_updates(owned, updates))  # pyright: ignore[reportArgumentType]
    _check_owned(name, player, "parameters", projected)
    params |= projected
    stats |= _owned(player, aux.stats)
    memory = memory if aux.memory is None else aux.memory
    metrics |= {f"{name}/{k}": v for k, v in {"loss": value, "gradient": norm, **aux.metrics}.items()}
  return state.replace(params=params, stats=stats, opt=opt, memory=memory), metrics


def make_step(game: Game) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
  """Returns `step(state, batches) -> (state, metrics)`, one round of the game.

  `batches` has a leading axis of `game.draws`: one batch for each repetition of each move that draws, in their order.
  Of a repeated move, the metrics are those of its last repetition.
  """

  def step(state: TrainState, batches: Batch) -> tuple[TrainState, Metrics]:
    round_key = jax.random.fold_in(state.key, state.step)
    used, metrics = 0, {}
    for position, move in enumerate(game.moves):
      if move.draws:
        first, used = used, used + move.repeat
        turns = jax.tree.map(functools.partial(_slice, first, used), batches)
      else:
        turns = jax.tree.map(functools.partial(_repeat, used - 1, move.repeat), batches)
      state, move_metrics = _take_turns(game, move, state, turns, jax.random.fold_in(round_key, position))
      metrics |= move_metrics
    return state.replace(step=state.step + 1, ema=_averaged(game, state)), metrics

  return step


def make_scan(game: Game, rounds: int, draw: Callable[[jax.Array], Batch] | None = None) -> Callable[..., Any]:
  """Returns `run(state[, batches]) -> (state, metrics)`, `rounds` rounds as one `jax.lax.scan`; jit it.

  Args:
    game: the game.
    rounds: how many rounds.
    draw: `key -> batch`, a pure function. Without it the caller feeds `batches`, [rounds, game.draws, batch, ...].

  Returns:
    `run`; its metrics are stacked over rounds, [rounds].
  """
  step = make_step(game)
  if draw is None:
    return lambda state, batches: jax.lax.scan(step, state, batches, length=rounds)
  return lambda state: jax.lax.scan(lambda s, _: step(s, draw_round(game, draw, s)), state, length=rounds)


def draw_round(game: Game, draw: Callable[[jax.Array], Batch], state: TrainState) -> Batch:
  """The batches of the round that `state` is about to play, [game.draws, batch, ...]: what `make_step` asks for."""
  key = jax.random.fold_in(jax.random.fold_in(state.key, state.step), len(game.moves))
  return jax.vmap(draw)(jax.random.split(key, game.draws))


def evaluation_key(key: jax.Array) -> jax.Array:
  """The key that evaluations draw from, the same after every round: apart from all of training's, and a member's own.

  Of the run's key itself they may not: `jax.random.split(key)[i]` is `fold_in(key, i)`, the key of round i.

  Args:
    key: the run's, `state.key`.
  """
  return jax.random.fold_in(key, _EVALUATION)


def averaged(state: TrainState) -> tuple[dict[str, Any], dict[str, Any]]:
  """Parameters and statistics of all nets, the moving averages in place of the raw ones where they are kept."""
  params = dict(state.params) | {name: ema["params"] for name, ema in state.ema.items()}
  stats = dict(state.stats) | {name: ema["stats"] for name, ema in state.ema.items()}
  return params, stats


def carry(old: TrainState, fresh: TrainState, optimizers: bool = True) -> TrainState:
  """The state that the next stage of a run starts from: what the last one left, as far as it fits.

  A leaf of `fresh` whose path, shape and type `old` has too takes the value that it has there; every other leaf stays
  as it was initialised. The count of rounds and the key are those of `old`. The memory is kept as a whole or not at
  all: a pool whose images have another size must not keep their count.

  Args:
    old: the state at the end of a stage.
    fresh: `init`'s of the next stage's game, from the same key.
    optimizers: whether the optimizers' state is kept where it fits; otherwise every optimizer begins anew.
  """
  kept = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(old)}

  def leaf(path, new):
    before = kept.get(jax.tree_util.keystr(path))
    fits = before is not None and (before.shape, before.dtype) == (new.shape, new.dtype)
    return before if fits else new

  carried = jax.tree.map_with_path(leaf, fresh)
  same_memory = jax.tree.map(_kind, old.memory) == jax.tree.map(_kind, fresh.memory)
  return carried.replace(
    step=old.step,
    key=old.key,
    opt=carried.opt if optimizers else fresh.opt,
    memory=old.memory if same_memory else fresh.memory,
  )


def _slice(first: int, end: int, batches: jax.Array) -> jax.Array:
  return batches[first:end]


def _repeat(index: int, times: int, batches: jax.Array) -> jax.Array:
  return jnp.broadcast_to(batches[index], (times, *batches.shape[1:]))


def _owned(player: Player, stats: Mapping[str, Any]) -> dict[str, Any]:
  return {net: value for net, value in stats.items() if net in player.owns}


def _take_turns(game: Game, move: Move, state: TrainState, turns: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
  """Plays `move.repeat` times, the inner scan that keeps k repetitions one traced update."""

  def turn(state, number_and_batch):
    number, batch = number_and_batch
    return play(game, move.players, state, batch, jax.random.fold_in(key, number), move.shared_key)

  if move.repeat == 1:
    return turn(state, (0, jax.tree.map(lambda b: b[0], turns)))
  state, metrics = jax.lax.scan(turn, state, (jnp.arange(move.repeat), turns))
  return state, {name: value[-1] for name, value in metrics.items()}


def _averaged(game: Game, state: TrainState) -> dict[str, Any]:
  """The moving averages after a round; early on the decay is smaller, so that the random start is soon forgotten."""
  played = state.step.astype(jnp.float32) + 1.0
  decay = jnp.minimum(game.ema_decay, (1.0 + played) / (10.0 + played))

  def average(old, new):
    if not jnp.issubdtype(new.dtype, jnp.floating):
      return new
    return old + (1.0 - decay).astype(old.dtype) * (new - old)

  now = {name: {"params": state.params[name], "stats": state.stats[name]} for name in game.averaged}
  return jax.tree.map(average, dict(state.ema), now)


def _check(game: Game) -> None:
  """Raises ValueError if names do not fit together, or two players that move at once would write the same entry."""
  nets, players = sorted(game.nets), sorted(game.players)
  for name, player in game.players.items():
    _refuse(not player.owns, f"player '{name}' owns no net, so it has nothing to move; the nets are {nets}")
    unknown = sorted(set(player.owns) - set(nets))
    _refuse(unknown, f"player '{name}' owns {unknown}, which the game does not have; its nets are {nets}")
  owners = Counter(net for player in game.players.values() for net in player.owns)
  for name, listed in (("averaged", game.averaged), ("frozen", game.frozen)):
    unknown = sorted(set(listed) - set(nets))
    _refuse(unknown, f"Game.{name} lists {unknown}, which the game does not have; its nets are {nets}")
  idle = sorted(set(nets) - set(owners) - set(game.frozen))
  _refuse(idle, f"no player owns {idle}: give each an owner, or list it in Game.frozen")
  moved = sorted(set(owners) & set(game.frozen))
  _refuse(moved, f"{moved} stand in Game.frozen, yet a player owns them")
  _refuse(not game.moves, "the game has no moves")
  for move in game.moves:
    unknown = sorted(set(move.players) - set(players))
    _refuse(unknown or not move.players, f"a move names the players {unknown}; the players are {players}")
    _refuse(move.repeat < 1, f"the move of {list(move.players)} is repeated {move.repeat} times; at least 1 is needed")
    twice = Counter(net for name in move.players for net in game.players[name].owns)
    shared = sorted(net for net, count in twice.items() if count > 1)
    _refuse(shared, f"{list(move.players)} move at once, yet more than one of them owns {shared}")
  resting = sorted(set(players) - {name for move in game.moves for name in move.players})
  _refuse(resting, f"the players {resting} never move")
  _refuse(not game.moves[0].draws, "the first move of a round has to draw: before it there is no batch to reuse")


def _check_loss(game: Game, name: str, state: TrainState, batch: Batch) -> None:
  """Traces one player's loss, and raises ValueError if what it returns cannot be a move.

  An error inside the loss comes up as it is, with a note.
  """
  player = game.players[name]
  shapes = {k: tuple(v.shape) for k, v in batch.items()}
  try:
    value, aux = jax.eval_shape(lambda s, b: player.loss(s.params, s, b, s.key), state, dict(batch))
  except Exception as error:
    error.add_note(f"This was in the loss of player '{name}', on a batch of shapes {shapes}.")
    raise
  _refuse(value.shape, f"the loss of player '{name}' has shape {value.shape}; it has to be a scalar")
  vectors = {k: v.shape for k, v in aux.metrics.items() if v.shape}
  _refuse(vectors, f"metrics of player '{name}' are not scalars: {vectors}")
  owned = _owned(player, aux.stats)
  written = {"stats": owned} | ({} if aux.memory is None else {"memory": aux.memory})
  before = {"stats": {k: state.stats[k] for k in owned}} | ({} if aux.memory is None else {"memory": state.memory})
  changed = jax.tree.map(_kind, written) != jax.tree.map(_kind, before)
  _refuse(changed, f"player '{name}' changes the structure, shape or type of statistics or memory")
  for move in game.moves:
    others = [other for other in move.players if other != name]
    if name in move.players and others and aux.memory is not None:
      theirs = [o for o in others if _writes_memory(game.players[o], state, batch)]
      _refuse(theirs, f"'{name}' and {theirs} move at once, yet each of them writes the memory")


def _check_owned(name: str, player: Player, what: str, written: Mapping[str, Any]) -> None:
  foreign = sorted(set(written) - set(player.owns))
  _refuse(foreign, f"player '{name}' returns {what} of {foreign}, which it does not own: {list(player.owns)}")


def _writes_memory(player: Player, state: TrainState, batch: Batch) -> bool:
  _, aux = jax.eval_shape(lambda s, b: player.loss(s.params, s, b, s.key), state, dict(batch))
  return aux.memory is not None


def _kind(leaf) -> tuple[tuple[int, ...], Any]:
  return tuple(leaf.shape), leaf.dtype


def _refuse(wrong, message: str) -> None:
  if wrong:
    raise ValueError(message)
