"""A bare grpc.aio server that does no work: what any answer over gRPC costs at the least.

    python -m benchmarks.speed.echo --socket ./echo.s --reply reply.bin --cpu 0

It runs on asyncio's own loop, as grpc.aio does by itself; with `--loop uvloop` on that one. Every
unary method is answered with the same bytes: those of a file, so many zeros, or what was sent.
Messages are not parsed. A health check is answered with SERVING.
"""

import argparse
import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import grpc

HEALTH_CHECK = "/grpc.health.v1.Health/Check"
# HealthCheckResponse with status SERVING, serialised.
_SERVING = b"\x08\x01"
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))

Answer = Callable[[bytes, Any], Awaitable[bytes]]
Loop = Literal["asyncio", "uvloop"]


class EchoHandler(grpc.GenericRpcHandler):
    """Answers every method but health checks with one function."""

    def __init__(self, answer: Answer) -> None:
        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
            answer, None, None
        )
        self._health: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
            _serving, None, None
        )

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """Returns the handler of a method."""
        return self._health if handler_call_details.method == HEALTH_CHECK else self._handler


def answer_with(reply: bytes | None, delay: float = 0.0) -> Answer:
    """Returns what answers with fixed bytes, or with what was sent, after so many seconds."""

    async def answer(message: bytes, _: object) -> bytes:
        if delay:
            await asyncio.sleep(delay)
        return message if reply is None else reply

    return answer


async def start_echo(address: str, answer: Answer) -> grpc.aio.Server:
    """Starts a server at an address such as "unix:/path"; stop what this returns."""
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((EchoHandler(answer),))
    server.add_insecure_port(address)
    await server.start()
    return server


async def _serving(_message: bytes, _context: object) -> bytes:
    return _SERVING


async def _serve(socket: Path, answer: Answer) -> None:
    server, stop = await start_echo(f"unix:{socket}", answer), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await server.stop(grace=0)


def _factory(loop: Loop) -> Callable[[], asyncio.AbstractEventLoop]:
    if loop == "asyncio":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--socket", type=Path, required=True)
    fixed = parser.add_mutually_exclusive_group()
    fixed.add_argument("--reply", type=Path, help="a file with the bytes of every reply")
    fixed.add_argument("--reply-bytes", type=int, help="so many zeros")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each reply")
    parser.add_argument("--loop", choices=get_args(Loop), default="asyncio", help="of events")
    parser.add_argument("--cpu", type=int, help="the core to keep to")
    options = parser.parse_args(arguments)
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    reply = options.reply.read_bytes() if options.reply else None
    if options.reply_bytes is not None:
        reply = bytes(options.reply_bytes)
    with asyncio.Runner(loop_factory=_factory(options.loop)) as runner:
        runner.run(_serve(options.socket, answer_with(reply, options.delay)))


if __name__ == "__main__":
    main()
