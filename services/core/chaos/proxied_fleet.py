"""A fleet on one machine whose processes reach its brokers through proxies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from services.core.chaos.course import RABBITMQ, REDIS
from services.core.chaos.faults import Tell
from services.core.chaos.proxy import Proxy
from services.core.chaos.pulse import Looker, look_at
from services.core.local.fleet import LocalFleet
from services.core.local.specs import Planner
from services.core.local.state import Phase, read_state


@contextmanager
def proxied_fleet(home: Path, plan: Planner, tell: Tell) -> Iterator[tuple[LocalFleet, Mapping[str, Proxy]]]:
    """Start a fleet whose processes reach its brokers through proxies, for the length of a ``with`` block.

    Raises:
        LocalFleetError: The fleet can't be started; nothing of it is left.
    """
    proxies: dict[int, Proxy] = {}
    with ExitStack() as stack:

        def through(port: int) -> int:
            if port not in proxies:
                proxies[port] = Proxy(port)
                stack.callback(proxies[port].end)
            return proxies[port].port

        def told(name: str, phase: Phase) -> None:
            if phase is Phase.FAILED:
                tell(f"{name} ended too often, and is not started again")

        fleet = stack.enter_context(LocalFleet(home, plan, progress=told, through=through))
        yield fleet, {REDIS: proxies[fleet.redis.port], RABBITMQ: proxies[fleet.rabbitmq.port]}


def lookers(fleet: LocalFleet, names: Sequence[str]) -> dict[str, Looker]:
    """Say how to look at each of some workers that has metrics."""
    ports = {name: fleet.process(name).metrics_port for name in names}
    host = fleet.settings.metrics_host
    return {name: partial(look_at, f"http://{host}:{port}/metrics") for name, port in ports.items() if port}


def gave_up(fleet: LocalFleet) -> list[str]:
    """Name what ended so often that it was not started again."""
    state = read_state(fleet.home)
    services = state.services.values() if state else ()
    return [service.name for service in services if service.phase is Phase.FAILED]
