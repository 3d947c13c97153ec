"""An engine around another one, for those that watch what it is asked."""

from operators.models.engines.base import Completion, Engine, Request


class WrappedEngine:
    """Passes everything on; who extends it does something of its own when a request is completed."""

    def __init__(self, engine: Engine):
        self.engine = engine

    @property
    def model(self) -> str:
        return self.engine.model

    @property
    def advice(self) -> str:
        return self.engine.advice

    @property
    def seats(self) -> int:
        return self.engine.seats

    async def start(self) -> None:
        await self.engine.start()

    async def stop(self) -> None:
        await self.engine.stop()

    async def complete(self, request: Request) -> Completion:
        return await self.engine.complete(request)
