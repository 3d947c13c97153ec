import asyncio
import time

from operators.models.engines.openai.endpoints import Endpoint, Endpoints


def addresses(count: int = 2, per_minute: int | None = None) -> Endpoints:
    names = [Endpoint.parse(f"http://localhost:{8000 + n}/v1") for n in range(count)]
    return Endpoints(names, per_minute, backoff_s=0.01, block="engine.openai")


def turns(endpoints: Endpoints, *chains: str | None) -> list[str]:
    async def run():
        return [(await endpoints.turn(chain)).name for chain in chains]

    return asyncio.run(run())


def test_a_chain_goes_to_the_same_address_each_time_and_chains_are_spread():
    endpoints = addresses()
    endpoints.endpoints[0].in_flight = 5  # what has no chain goes elsewhere
    homes = {chain: {*turns(endpoints, *[chain] * 5)} for chain in map(str, range(50))}
    assert all(len(home) == 1 for home in homes.values())
    assert 10 < sum(home == {endpoints.endpoints[0].name} for home in homes.values()) < 40
    assert set(turns(endpoints, None, None)) == {endpoints.endpoints[1].name}


def test_a_chain_whose_address_takes_no_connections_goes_elsewhere_and_comes_back():
    endpoints = addresses()
    (home,) = turns(endpoints, "a")
    down = next(one for one in endpoints.endpoints if one.name == home)
    down.refusals = 1
    down.free_at = float("inf")
    assert turns(endpoints, "a") != [home]
    down.refusals, down.free_at = 0, 0.0
    assert turns(endpoints, "a") == [home]


def test_while_the_address_of_a_chain_pauses_it_waits_and_the_others_do_not():
    endpoints, pause = addresses(per_minute=6000), 0.5
    (home,) = turns(endpoints, "a")
    paused = next(one for one in endpoints.endpoints if one.name == home)

    async def run():
        waiting = asyncio.ensure_future(endpoints.turn("a"))
        endpoints.pause(paused, pause)
        began = time.monotonic()
        others = [(await endpoints.turn()).name for _ in range(5)]
        took = time.monotonic() - began
        return others, took, (await waiting).name, time.monotonic() - began

    others, took, name, waited = asyncio.run(run())
    assert home not in others and took < pause / 2
    assert name == home and waited >= pause * 0.9
