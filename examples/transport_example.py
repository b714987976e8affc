"""Two transports on this machine talk to each other: UDP with and without an acknowledgement, then TCP.

    python examples/transport_example.py

No node, no gossip: just encrypted messages between two addresses. Ends by itself.
"""

from __future__ import annotations

import asyncio

from node import TCPTransport, UDPTransport


async def main() -> None:
    arrived: asyncio.Queue[str] = asyncio.Queue()

    async def handler(packet, peer_addr) -> None:
        await arrived.put(f"{packet.payload.decode()!r} from {peer_addr[0]}, {packet.delivery.name.lower()}")

    udp, udp_peer = UDPTransport("127.0.0.1", 0), UDPTransport("127.0.0.1", 0)
    tcp, tcp_peer = TCPTransport("127.0.0.1", 0), TCPTransport("127.0.0.1", 0)
    for transport in (udp, udp_peer, tcp, tcp_peer):
        transport.register_handler(handler)
        await transport.start()

    # Returns once the peer has acknowledged it; raises SendTimeout or ConnectionFailed if it does not.
    await udp.send_reliable(udp_peer.local_address, b"you have this", timeout=2.0)
    print(await arrived.get())

    # One datagram, gone and forgotten: right for what will soon be out of date.
    await udp.send_unreliable(udp_peer.local_address, b"you may have this")
    print(await arrived.get())

    # In order over one connection, which is made on demand.
    for number in (1, 2, 3):
        await tcp.send(tcp_peer.local_address, f"part {number}".encode())
        print(await arrived.get())

    connection = udp.connections[udp_peer.local_address]
    print(f"udp link: {connection.state.name}, RTT {connection.srtt * 1e3:.1f} ms, RTO {connection.rto:.2f} s")

    for transport in (udp, udp_peer, tcp, tcp_peer):
        await transport.stop()


if __name__ == "__main__":
    asyncio.run(main())
