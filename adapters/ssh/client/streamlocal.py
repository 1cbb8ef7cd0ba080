"""Channels to sockets of the host: OpenSSH's `direct-streamlocal`, which the SSH library does not offer, and TCP."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from control.errors import Forbidden, Unreachable
from control.text import clean

if TYPE_CHECKING:
    from paramiko import Channel, Transport


def open_socket(transport: Transport, path: str, timeout: float) -> Channel:
    """Open the socket `path`. Raises `Forbidden` where the server does not let us, `Unreachable` for no answer.

    It does what `Transport.open_channel` does, for a kind whose message is (path, empty string, 0).
    """
    import paramiko
    from paramiko.common import cMSG_CHANNEL_OPEN
    from paramiko.message import Message

    with transport.lock:
        number = transport._next_channel()  # type: ignore[attr-defined]
        window, packet = transport.default_window_size, transport.default_max_packet_size
        message = Message()
        message.add_byte(cMSG_CHANNEL_OPEN)
        message.add_string("direct-streamlocal@openssh.com")
        for value in (number, window, packet):
            message.add_int(value)
        message.add_string(path)
        message.add_string("")
        message.add_int(0)
        channel = paramiko.Channel(number)
        transport._channels.put(number, channel)  # type: ignore[attr-defined]
        answered = transport.channel_events[number] = threading.Event()
        transport.channels_seen[number] = True
        channel._set_transport(transport)  # type: ignore[attr-defined]
        channel._set_window(window, packet)  # type: ignore[attr-defined]
    transport._send_user_message(message)  # type: ignore[attr-defined]
    end = time.monotonic() + timeout
    while not answered.wait(0.1):
        if not transport.is_active() or time.monotonic() > end:
            raise Unreachable(f"no answer when opening the socket {clean(path)}")
    if transport._channels.get(number) is None:  # type: ignore[attr-defined]
        transport.get_exception()
        # sshd gives one and the same reason for what it forbids and for a socket that does not answer
        raise Forbidden(
            f"its SSH server does not forward to the socket {clean(path)}",
            hint="is AllowStreamLocalForwarding set, and does somebody listen there?",
        )
    return channel


def open_tcp(transport: Transport, address: tuple[str, int], timeout: float) -> Channel:
    """Open a TCP connection from the host to `place`. Raises `Forbidden` where the server does not let us or nothing
    listens there."""
    import paramiko

    try:
        return transport.open_channel("direct-tcpip", address, ("127.0.0.1", 0), timeout=timeout)
    except paramiko.ChannelException as error:
        raise Forbidden(f"the server does not connect us to {clean(address[0])}:{address[1]}") from error
