"""Training on several workers at once: members in the tasks of one of Spark's barrier stages.

Spark starts all of a barrier stage's tasks together, and where one is lost it starts all of them again, up to four
times in all (`spark.stage.maxConsecutiveAttempts`): they go on from the last checkpoint. The same command does so too.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from pyspark import BarrierTaskContext, Broadcast, SparkContext

from medspark.errors import InputError
from medspark.runs.progress import Progress
from medspark.task.outcome import Targets
from medspark.task.training import Training
from medspark.train.checkpoints import Checkpoint
from medspark.train.distribute.connections import Address
from medspark.train.distribute.teller import hearing
from medspark.train.fit import Learn, Material, learn_from
from medspark.train.loop import Row
from medspark.train.spark_tasks import use_cores

LOOPBACK: Final = "127.0.0.1"
WAIT_SECONDS: Final = 60.0
"""For a cluster's executors to come."""


class Meeting(NamedTuple):
    """How members find each other and the command."""

    key: bytes
    """Of this stage alone: who has it may join."""
    command: Address
    host: str | None
    """Where all members listen; None where each does at its own task's address."""


def learning_of(context: SparkContext, training: Training) -> Learn:
    """Who learns: this process, or as many workers as the task says."""
    return learn_from if training.workers == 1 else partial(learn_by_members, context)


def require_workers(context: SparkContext, workers: int) -> None:
    """There is room for so many tasks at once.

    Raises:
        InputError: there is less, or Spark may give workers back while they learn.
    """
    if workers == 1:
        return
    if context.getConf().get("spark.dynamicAllocation.enabled", "false") == "true":
        raise InputError(
            "training.workers: expected executors that stay while a network learns, received "
            "spark.dynamicAllocation.enabled=true. Set it to false, and spark.executor.instances to what is wanted"
        )
    starts_executors = str(context.master).split("[")[0] != "local"
    until = time.monotonic() + (WAIT_SECONDS if starts_executors else 0.0)
    while (slots := _slots(context)) < workers and time.monotonic() < until:
        time.sleep(0.5)
    if slots < workers:
        raise InputError(
            f"training.workers: expected room for {workers} tasks at once, received {slots} (master {context.master}). "
            "Give Spark more cores or executors, or say fewer workers"
        )


def learn_by_members(
    context: SparkContext,
    members: Any,
    material: Material,
    targets: Targets,
    training: Training,
    progress: Progress,
    checkpoint: Checkpoint | None,
    from_start: bool = False,
) -> list[Row]:
    """What `learn_from` does, by `training.workers` tasks together; the same arguments and history.

    Raises:
        InputError: there is room for fewer tasks, a layer does not learn alike by shares of a batch, workers do not
            reach each other, or a machine does not see the tensors; or as `learn_from`.
    """
    from medspark.train.distribute.member import Common, Place
    from medspark.train.distribute.rows import require_rows_alone

    require_rows_alone(members)
    require_workers(context, training.workers)
    place = checkpoint if checkpoint is None else Place(checkpoint.place, checkpoint.digest, checkpoint.every_seconds)
    state = [np.asarray(one) for one in members.variables]
    common = Common(members.get_config(), state, material, targets, training, place, from_start)
    say = print if checkpoint is None else checkpoint.say
    key, local = secrets.token_bytes(32), _on_one_machine(context)
    driver = LOOPBACK if local else str(context.getConf().get("spark.driver.host"))
    listens = driver if local else context.getConf().get("spark.driver.bindAddress", driver)
    given = context.broadcast(common)
    try:
        with hearing(str(listens), key, progress, say) as (_, port):
            do = partial(_take_part, given, Meeting(key, (driver, port), LOOPBACK if local else None))
            context.setJobDescription(f"{training.workers} workers learn together")
            tasks = context.parallelize(range(training.workers), training.workers)
            # Spark starts a barrier stage again only where its output goes on to another stage
            _, found = zip(*sorted(tasks.barrier().mapPartitions(do).repartition(1).collect()), strict=True)
    finally:
        given.destroy()
    return _ended_with(members, found, say)


def _ended_with(members: Any, found: Sequence[Any], say: Callable[[str], None]) -> list[Row]:
    """Give a network the weights that all its learners ended with; the history of the first."""
    if refused := next((one for one in found if isinstance(one, str)), None):
        raise InputError(refused)
    first, *others = found
    assert {one.digest for one in others} <= {first.digest}, "all members have the same weights"
    say(f"{len(found)} workers learned the network together, and ended with the same weights")
    for variable, array in zip(members.variables, first.variables, strict=True):
        variable.assign(array)
    return list(first.history)


def _take_part(given: Broadcast[Any], meeting: Meeting, _: Iterable[int]) -> Iterator[Any]:
    """In a barrier task: which member it is, and what it ends with, or in words why none can learn."""
    context, common = BarrierTaskContext.get(), given.value
    use_cores(context.cpus())
    import keras

    from medspark.train.distribute.member import learn_as_member, missing_files, require_files
    from medspark.train.distribute.ring import join_ring
    from medspark.train.distribute.teller import Teller

    member, members = context.partitionId(), common.training.workers
    host = meeting.host or context.getTaskInfos()[member].address.rsplit(":", 1)[0]
    try:
        ring = join_ring(member, members, host, meeting.key, partial(_meet, context))
    except InputError as error:
        yield member, str(error)
        return
    teller = Teller(meeting.command, meeting.key) if member == 0 else None
    tell, say = (teller.tell, teller.say) if teller is not None else (_nothing, _nothing)
    try:
        require_files(ring.gather(missing_files(common.material)))
        yield member, learn_as_member(common, ring, tell, say)
    except InputError as error:
        yield member, str(error)
    finally:
        ring.close()
        if teller is not None:
            teller.close()
        keras.utils.clear_session()


def _nothing(_: Any) -> None:
    return None


def _meet(context: BarrierTaskContext, mine: Address) -> list[Address]:
    """All members' addresses, by Spark."""
    found = (one.rsplit(":", 1) for one in context.allGather(f"{mine[0]}:{mine[1]}"))
    return [(host, int(port)) for host, port in found]


def _on_one_machine(context: SparkContext) -> bool:
    """Whether all of Spark is on this machine: then nobody listens to others."""
    return str(context.master).startswith("local")


def _slots(context: SparkContext) -> int:
    java: Any = context._jsc.sc()
    return int(java.maxNumConcurrentTasks(java.resourceProfileManager().defaultResourceProfile()))
