"""How a process learns that it is one of several: from what `torchrun` puts into its environment."""

from __future__ import annotations

import os
from datetime import timedelta

from builderbrain.errors import RankError
from builderbrain.train.ranks.ranks import Ranks

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def join_ranks(*, patience: float) -> Ranks:
    """The processes of this run: one alone, or those that `torchrun` started, once all are there.

    Args:
        patience: seconds a process waits for another.

    Raises:
        RankError: not all came in time.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or any(name not in os.environ for name in _NEEDED):
        return Ranks()
    import torch
    import torch.distributed as dist

    from builderbrain.train.ranks.group import RankGroup

    timeout = timedelta(seconds=patience)
    try:
        store, rank, size = next(iter(dist.rendezvous("env://", timeout=timeout)))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        groups = dist.PrefixStore("groups", store)
        dist.init_process_group(backend, store=groups, rank=rank, world_size=size, timeout=timeout)
    except RuntimeError as error:
        raise RankError(
            f"expected {os.environ['WORLD_SIZE']} processes to join within {patience:g} seconds (rank_timeout), but not all "
            f"did; start them with torchrun, which sets {', '.join(_NEEDED)} ({str(error).splitlines()[0][:200]})",
            field="ranks",
        ) from error
    local = int(os.environ.get("LOCAL_RANK", "0"))
    return RankGroup(dist.PrefixStore("run", store), rank=rank, size=size, local_rank=local, patience=patience)
