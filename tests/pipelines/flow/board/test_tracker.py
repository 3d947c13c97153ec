import asyncio

from pipelines.flow.board.tracker import SETTLED_REMEMBERED, Tracker


def test_work_that_began_and_never_ended_has_killed_its_process():
    notes = Tracker()
    assert [notes.begin("a"), notes.begin("a"), notes.begin("b")] == [0, 1, 0]
    assert notes.deaths_at("a") == 2
    notes.end("a")
    assert notes.begin("a") == 0


def test_who_asks_hears_of_each_commit_once_and_waits_for_the_next():
    async def ask() -> list:
        notes = Tracker()
        cursor, first = await notes.settled_since(None)
        notes.settle(["a", "b"])
        cursor, second = await notes.settled_since(cursor)
        waiting = asyncio.ensure_future(notes.settled_since(cursor))
        await asyncio.sleep(0)
        assert not waiting.done()
        notes.settle(["c"])
        return [first, second, (await waiting)[1]]

    assert asyncio.run(ask()) == [None, ["a", "b"], ["c"]]


def test_who_asked_other_notes_or_missed_more_than_is_remembered_is_told_that_it_is_not_known():
    async def ask() -> list:
        before, notes = Tracker(), Tracker()
        (lost, _), (late, _) = await before.settled_since(None), await notes.settled_since(None)
        notes.settle(map(str, range(SETTLED_REMEMBERED + 1)))
        return [(await notes.settled_since(cursor))[1] for cursor in (lost, late)]

    assert asyncio.run(ask()) == [None, None]


def test_a_dead_engine_is_one_whose_actor_starts_again_and_an_answer_ends_the_row():
    notes = Tracker()
    assert notes.engine_starts("a") == (0, 1, False)
    assert notes.engine_starts("b") == (0, 2, False)
    assert notes.engine_starts("a") == (1, 2, False)
    notes.engine_started()
    assert notes.engine_starts("b") == (2, 2, True)
    notes.end("request", answered=False)
    assert notes.engine_starts("b") == (3, 2, True)
    notes.end("request", answered=True)
    assert notes.engine_starts("b") == (1, 2, True)
