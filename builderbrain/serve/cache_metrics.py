"""What `/metrics` says of every cache of a server: one set of figures, told apart by the label `cache`.

`grammars` compiled constraints, `masks` of tokens at a place of one, `jump` forced texts in tokens, `conditions` of plans,
`prefix` tokens of prompts over pages of states, `tool_results` by domain (see `agent_routes`). Tables that are computed once
and hold all there is (directions of tokens, masks of lexical states) are no caches and are not here.
"""

from __future__ import annotations

from builderbrain.decode.pages import PagePool
from builderbrain.grammar.cache import lru_use
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.jump import JumpForward
from builderbrain.plan.condition import parse_condition
from builderbrain.serve.telemetry import Telemetry


def watch_caches(telemetry: Telemetry, masks: GrammarEngine, *, jump: JumpForward | None, pool: PagePool | None) -> None:
    """Have the caches of the model's side read at every scrape.

    Args:
        jump: None where nothing is jumped.
        pool: the pages of a prefix cache; None without one.
    """
    telemetry.watch_caches("grammars", lambda: {"": masks.cache.use()})
    telemetry.watch_caches("masks", lambda: {"": masks.masks.use()})
    telemetry.watch_caches("conditions", lambda: {"": lru_use(parse_condition.cache_info())})
    if jump is not None:
        telemetry.watch_caches("jump", lambda: {"": jump.use()})
    if pool is not None:
        telemetry.watch_caches("prefix", lambda: {"": telemetry.prefix_use(pool.num_named, pool.evictions)})
