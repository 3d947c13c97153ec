import asyncio

from pipelines.flow.engines.admission import Gate, Uncommitted


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_orders_wait_for_commits_in_the_order_in_which_they_came():
    async def admit() -> list[str]:
        bound, entered = Uncommitted(10), []

        async def come(key: str, requests: int) -> None:
            await bound.admit(key, requests)
            entered.append(key)

        tasks = [asyncio.ensure_future(come(*order)) for order in (("a", 6), ("b", 4), ("c", 8), ("d", 1))]
        await settle()
        assert entered == ["a", "b"]
        bound.settle(["b", "unknown"])
        await settle()
        assert entered == ["a", "b"]  # c does not fit yet, and d is not let past it
        bound.settle(["a"])
        await asyncio.gather(*tasks)
        return entered

    assert asyncio.run(admit()) == ["a", "b", "c", "d"]


def test_an_order_above_the_bound_enters_when_nothing_is_out_and_one_done_again_counts_once():
    async def admit() -> dict[str, int]:
        bound = Uncommitted(10)
        await bound.admit("huge", 50)
        bound.settle(["huge"])
        await bound.admit("a", 8)
        await bound.admit("a", 8)
        return bound.held

    assert asyncio.run(asyncio.wait_for(admit(), 5)) == {"a": 8}


def test_who_does_not_know_what_is_committed_holds_nothing_back():
    async def admit() -> dict[str, int]:
        bound = Uncommitted(10)
        await bound.admit("a", 8)
        waiting = asyncio.ensure_future(bound.admit("b", 8))
        await settle()
        bound.settle(None)
        await waiting
        return bound.held

    assert asyncio.run(asyncio.wait_for(admit(), 5)) == {"b": 8}


def test_one_alone_waits_for_those_inside_and_holds_up_those_who_come_later():
    async def walk() -> list[str]:
        gate, leave, said = Gate(), asyncio.Event(), []

        async def early() -> None:
            async with gate.company():
                said.append("early in")
                await leave.wait()
            said.append("early out")

        async def alone() -> None:
            async with gate.alone():
                said.append("alone in")
                await settle()
                said.append("alone out")

        async def late() -> None:
            async with gate.company():
                said.append("late in")

        tasks = [asyncio.ensure_future(walker()) for walker in (early, early, alone, late)]
        await settle()
        assert said == ["early in", "early in"]
        leave.set()
        await asyncio.gather(*tasks)
        return said[2:]

    assert asyncio.run(walk()) == ["early out", "early out", "alone in", "alone out", "late in"]
