"""Where a client connects to, and what every call of it carries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, TypeAlias
from uuid import uuid4

import grpc

from pointsman.client.errors import closed_error

DEFAULT_TARGET = "127.0.0.1:50051"
REQUEST_ID_KEY = "x-request-id"

_SERVICES = ("ScoringService", "RoutingService", "AdminService")
# Those whose names may hold "://"; gRPC would look up any other as a host of that name.
_SCHEMES = ("unix:///", "dns://", "ipv4:///", "ipv6:///")
# gRPC makes no more than five attempts, whatever it is told.
_MAX_RETRIES = 4
# The most that a server takes in one message by default; above gRPC's own buffer of 256 KiB a
# request is sent once and never again.
_RETRY_BUFFER_BYTES = 8 * 1024 * 1024

ChannelOptions: TypeAlias = Sequence[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """What one call carries beside its request."""

    timeout: float | None
    request_id: str
    wait_for_ready: bool
    closed: Event
    """Set once the client is closed."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of a gRPC method beside the request."""
        return {
            "timeout": self.timeout,
            "metadata": ((REQUEST_ID_KEY, self.request_id),),
            "wait_for_ready": self.wait_for_ready,
        }


@dataclass(frozen=True, slots=True)
class Connection:
    """The settings of a client, checked."""

    target: str
    timeout: float | None
    credentials: grpc.ChannelCredentials | None
    wait_for_ready: bool
    options: tuple[tuple[str, Any], ...]
    closed: Event = field(default_factory=Event)
    """Set once the client is closed."""

    @classmethod
    def make(
        cls,
        target: str,
        *,
        timeout: float | None,
        credentials: grpc.ChannelCredentials | None,
        retries: int,
        wait_for_ready: bool,
        options: ChannelOptions,
    ) -> Connection:
        """Checks the arguments of a client.

        Raises:
            ValueError: The target has no form that gRPC understands, or there are too many
                retries.
        """
        _require_target(target)
        _require_retries(retries)
        merged = dict(_default_options(retries)) | dict(options)
        return cls(target, timeout, credentials, wait_for_ready, tuple(merged.items()))

    def call(self, timeout: float | None, request_id: str | None) -> Call:
        """Prepares a call; without a timeout of its own it has the client's."""
        return self.stream(self.timeout if timeout is None else timeout, request_id)

    def stream(self, timeout: float | None, request_id: str | None) -> Call:
        """Prepares a stream; without a timeout of its own it has none.

        Raises:
            PointsmanError: The client is closed.
            ValueError: gRPC can't carry the request id.
        """
        if request_id is None:
            request_id = uuid4().hex
        if not (request_id and request_id.isascii() and request_id.isprintable()):
            raise ValueError(f"The request id {request_id!r} must be printable ASCII.")
        if self.closed.is_set():
            raise closed_error(request_id)
        return Call(timeout, request_id, self.wait_for_ready, self.closed)


def _require_target(target: str) -> None:
    is_foreign = "://" in target and not target.startswith(_SCHEMES)
    if not target or is_foreign or target.startswith(("/", ".", "~")):
        raise ValueError(
            f"The target {target!r} must be host:port, unix:/path/to.sock for a Unix socket, or a "
            "name of gRPC, as in dns:///host:port."
        )


def _require_retries(retries: int) -> None:
    if not 0 <= retries <= _MAX_RETRIES:
        raise ValueError(f"retries must be from 0 to {_MAX_RETRIES}, not {retries}.")


def _default_options(retries: int) -> ChannelOptions:
    return (
        ("grpc.service_config", json.dumps(_service_config(retries))),
        ("grpc.per_rpc_retry_buffer_size", _RETRY_BUFFER_BYTES),
        # A sidecar restarts in seconds and is next door: look for it often.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
    )


def _service_config(retries: int) -> dict[str, Any]:
    if retries == 0:
        return {}
    every = [{"service": f"pointsman.v1.{service}"} for service in _SERVICES]
    policy = {
        "maxAttempts": retries + 1,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    # A deletion whose reply was lost would be repeated into NOT_FOUND.
    once = [{"service": "pointsman.v1.AdminService", "method": "DeletePool"}]
    return {"methodConfig": [{"name": every, "retryPolicy": policy}, {"name": once}]}
