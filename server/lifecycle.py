"""The life of the process: load, warm up, serve, drain, and die loudly where a part fails."""

import asyncio
import gc
import os
import signal
import sys
import time

import grpc.aio
import structlog

from server.call_log import CallLog
from server.engine import Engine, open_engine
from server.health import Health
from server.listen import bind
from server.metrics import open_metrics
from server.parts import Parts
from server.settings import Settings
from server.wire import make_server

_log = structlog.get_logger(__name__)

GARBAGE_THRESHOLDS = (5_000, 10, 10)
"""A request leaves hundreds of objects, and hardly ever a cycle."""
SWITCH_SECONDS = 0.0005
"""A thread that comes back from the encoder waits no longer than this for the interpreter."""
_FAILED_EXIT = 1
_LAST_REPLIES_SECONDS = 0.5


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    Raises:
        ExceptionGroup: Of a StartError, where it can't start; else a part died while serving,
            and the log says which, and where.
    """
    began = time.perf_counter()
    stop, draining = _stop_on_signals(), asyncio.Event()
    health = Health()
    await health.starting()
    async with asyncio.TaskGroup() as group:
        parts = Parts(group)
        async with (
            open_engine(settings, parts) as engine,
            open_metrics(
                settings.metrics,
                engine.memory,
                engine.calibrations,
                engine.encoders.recent,
                engine,
            ) as metrics,
        ):
            parts.start("memory", engine.watch_memory)
            call_log = CallLog(metrics.observe, log_requests=settings.log.requests)
            server = None
            try:
                await _warm_up(engine)
                if not stop.is_set():
                    parts.start("watch", engine.routers.watch)
                    parts.start("calibrations", engine.calibrations.watch)
                    server = make_server(settings, engine, health, call_log, draining)
                    addresses = bind(server, settings)
                    await server.start()
                    await health.serving()
                    seconds = round(time.perf_counter() - began, 3)
                    _log.info("serving", addresses=addresses, seconds=seconds)
                    await stop.wait()
            finally:
                if server is not None:
                    # A part that died answers nobody any more, so nobody is waited for.
                    grace = settings.shutdown_grace if stop.is_set() else 0.0
                    await _announce(health, settings.shutdown_wait if grace else 0.0)
                    draining.set()
                    await _drain(server, engine, grace)
                call_log.write()
                # Asked before the batchers are stopped, in whatever they are doing.
                stuck = engine.encoders.stuck
                parts.stop()
    # Those that the end of the parts has ended.
    call_log.write()
    _log.info("stopped", refused=engine.admission.refused, dropped=engine.encoders.dropped)
    if stuck:
        # Its threads are daemons, but the process must not end as if all were well.
        _log.error("encoder_stuck")
        os._exit(_FAILED_EXIT)


async def _warm_up(engine: Engine) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    await engine.warm_up()
    # What is there now stays: a full collection of it would hold up every call for 0.1 s.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


async def _announce(health: Health, wait: float) -> None:
    await health.stopping()
    await asyncio.sleep(wait)


async def _drain(server: grpc.aio.Server, engine: Engine, grace: float) -> None:
    """Waits for what is in work, not for every open call: a health watch never ends."""
    _log.info("draining", in_flight=engine.admission.in_flight)
    engine.admission.close()
    try:
        async with asyncio.timeout(grace):
            await engine.admission.idle()
            await engine.encoders.idle()
    except TimeoutError:
        _log.warning("grace_over", in_flight=engine.admission.in_flight)
    await server.stop(min(grace, _LAST_REPLIES_SECONDS))


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    return stop
