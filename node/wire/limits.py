"""Every fixed bound of the wire and of the tables behind it, with its reason.

Bounds that an operator may move are settings fields; the ones here are part of the protocol or of its safety.
"""

from __future__ import annotations

from node.types import MILLISECOND, SECOND, Duration

MAGIC = 0xBEEF
VERSION = 1

HEADER_BYTES = 16
"""Clear, authenticated bytes in front of every packet."""

TAG_BYTES = 16
"""Poly1305 tag behind every encrypted packet; header and tag together are the 32-byte envelope."""

INIT_BYTES = 1200
"""Every INIT is padded to this size, so that an answer to a forged address is never larger than the question."""

BASE_MTU = INIT_BYTES
"""Datagram that every path carries: the handshake came through. The search for a larger one begins here."""

ETHERNET_MTU_IPV4 = 1472
ETHERNET_MTU_IPV6 = 1452
"""Largest UDP payload in an Ethernet frame; tried first where larger ones are allowed."""

MTU_PROBES_MAX = 3
"""Probes of one size that must be lost before the size is given up (RFC 8899 §5.1.2)."""

MTU_SEARCH_STEP = 16
"""The search ends when it could gain less than that many bytes."""

MTU_RAISE_INTERVAL: Duration = 600 * SECOND
"""Time after which a finished search begins again (RFC 8899 §5.1.1)."""

BLACK_HOLE_LOSSES = 3
"""Times in a row that packets above BASE_MTU are lost, while only smaller ones arrive, that mean a narrower path."""

BLACK_HOLE_PAUSE: Duration = 60 * SECOND
"""Time after a black hole before larger packets are tried again."""

AMPLIFICATION_MAX = 3
"""Bytes sent to an address under validation per byte that came from it (RFC 9000 §8.1)."""

PATH_CHALLENGE_BYTES = 8

MTU_MIN = BASE_MTU
MTU_MAX = 65507
"""Largest UDP payload that IPv4 can carry."""

SEGMENTS_MAX = 64
"""Packets that Linux cuts out of one call (UDP_MAX_SEGMENTS; newer kernels allow 128)."""

BUSY_POLL_MAX: Duration = 10 * MILLISECOND
"""Time that a loop may ask for packets without a sleep, at most: what takes longer than that is no matter of waking."""

MSS_MIN = 256
"""Frames of at least this many bytes must fit in a packet, so that no single small frame is ever too large."""

MESSAGE_BYTES_MAX = 1 << 20
"""Largest reliable message."""

REASSEMBLY_BYTES_MAX = 8 << 20
"""Bytes that the partially received messages of one connection may announce together.

Twice what a sender may have outstanding, so that withdrawals still under way never break the rule.
"""

REASSEMBLY_TOTAL_MAX = 32 << 20
"""The same for all connections of an endpoint, ordered messages that came early included: four that do their worst."""

STALLED_TIME: Duration = 10 * SECOND
"""Without a part for so long, a message in parts stands still: a path that loses every other packet is quicker."""

ROOM_INTERVAL: Duration = 1 * SECOND
"""Between two connections that are ended to make room."""

INITIAL_WINDOW_MAX = 64 << 20
"""Bytes that a connection's receive window may begin with."""

RECEIVE_WINDOW_MAX, CHANNEL_WINDOW_MAX = 16 << 20, 8 << 20
"""Bytes to which receive windows of connections may grow, 1 Gbit/s at a round trip of 130 ms, and those of channels."""

REASSEMBLY_MESSAGES_MAX = 4096
"""Partially received messages of one connection, and ordered ones that wait for an earlier one."""

CHANNELS_MAX = 64
"""Channels for ordered messages, per connection and direction."""

SEND_QUEUE_BYTES_MAX, SEND_QUEUE_MESSAGES_MAX = 4 << 20, 4096
"""Bytes and number of reliable messages that one connection holds for sending and until they are acknowledged."""

CONTROL_RESERVE_BYTES, CONTROL_RESERVE_MESSAGES = 256 << 10, 256
"""Room of a queue for control messages alone, bytes beyond its bound and messages within it: what keeps a link going
must not wait for what fills it."""

STARVATION_BYTES_MAX = 32 << 10
"""Bytes of more urgent messages that may go before a waiting one; then it has a turn, of one packet."""

ACK_RANGES_MAX = 64
"""Ranges in one ACK frame."""

ACK_DELAY_MAX: Duration = 1 * SECOND
"""Longest `max_ack_delay` that either end may promise."""

UNHURRIED_ACK_DELAY: Duration = 2500 * MILLISECOND
"""Longest time for which the acknowledgement of a packet with nothing but one unreliable message waits for another
packet to ride on. Nobody repeats such a message, and two peers that exchange heartbeats acknowledge each other so."""

REPLAY_WINDOW = 2048
"""The newest packet numbers of which each can be told to be new or a replay, whatever was lost in between."""

RECEIVED_RANGES_MAX = REPLAY_WINDOW // 2 + 1
"""Ranges of received packet numbers remembered; what lies below the oldest counts as replayed. With a gap between any
two, so many reach over REPLAY_WINDOW numbers at least."""

LOST_PACKETS_MAX = 1024
"""Packets declared lost that are remembered, so that a late acknowledgement is seen to be one."""

DATAGRAM_QUEUE_MAX = 64
"""Unreliable messages waiting in one connection; the oldest is dropped for the newest."""

CONTROL_QUEUE_MAX = 8192
"""Control frames waiting in one connection; a peer that makes it longer breaks the protocol."""

MESSAGE_ID_RANGES_MAX = 4096
"""Gaps in the set of finished message ids; a peer that leaves more breaks the protocol."""

PACKET_NUMBER_MAX = 1 << 48
"""A connection ends before its keys have sealed this many packets."""

AEAD_FAILURES_MAX = 1 << 36
"""Forged packets that one connection tolerates before it ends: what RFC 9001 §6.6 allows ChaCha20-Poly1305. With fewer,
whoever can write to the path could end connections that way."""

HALF_OPEN_MAX = 256
"""Handshakes that strangers have begun and not finished; under load from half of it."""

ADMISSION_ADDRESSES_MAX = 4096
"""Addresses (IPv6: networks of 64 bits) whose rate of handshakes is remembered; the longest unheard is forgotten."""

COOKIE_SECRET_LIFETIME: Duration = 120 * SECOND
"""Time after which cookies are made with another secret; those of the one before are still good."""

COOKIES_PER_DIAL_MAX = 3
"""RETRYs that a dial obeys between two INITs that it repeats by itself: each makes it send 1200 bytes at once."""

KEY_UPDATE_PACKETS = 1 << 20
"""Packets that one key seals, far below what AES-256-GCM may (2^23 full packets, RFC 9001 §6.6)."""

KEY_UPDATE_INTERVAL: Duration = 600 * SECOND
"""Time for which one key is used: who learns a key later reads no more than that, and nothing before it."""

RESET_TOKEN_BYTES = 16
RESETS_PER_SECOND_MAX = 64
"""RESETs sent by one endpoint, so that packets of strangers cost little more than their checks."""

HANDSHAKE_PARAMETERS_BYTES_MAX = 512
"""Encoded parameters in a handshake; with them the largest handshake message still fits in the smallest MTU."""

ANSWERS_QUEUED_MAX = 512
"""Answers to strangers (RETRY, REFUSE, RESET) waiting to be sent: more than datagrams are read in one turn of the loop,
so that in a flood none of them, who may be honest, goes without. The oldest would make room."""

HANDSHAKE_TIMEOUT: Duration = 10 * SECOND
HANDSHAKE_RETRY_INITIAL: Duration = 250 * MILLISECOND
"""First handshake retransmission; doubled per try up to the maximum."""

HANDSHAKE_RETRY_MIN: Duration = 50 * MILLISECOND
"""First retransmission of a CONFIRM at least: three round trips may be less than what an event loop is late by."""

HANDSHAKE_RETRY_MAX: Duration = 1 * SECOND

CONFIRM_RETRY_MAX: Duration = 500 * MILLISECOND
"""A CONFIRM is small, and the responder waits for it for HALF_OPEN_TIMEOUT only."""

REFUSED_PATIENCE: Duration = 1 * SECOND
"""How long a dial that was refused, by whomever, still waits for a genuine answer."""

HALF_OPEN_TIMEOUT: Duration = 5 * SECOND

CLOSE_REASON_BYTES_MAX = 128
STREAM_RECORD_BYTES_MAX = 16384
"""Plaintext of one TCP record."""

STREAM_QUEUE_BYTES_MAX = 4 << 20
"""Bytes queued towards one TCP peer before sends are refused."""

STREAM_HANDLE_FIRST = 1 << 32
"""Handles of TCP connections begin here, those of UDP at 0: whoever stands above both can tell them apart."""

STREAM_WRITE_BYTES = 65536
"""About what one connection writes before the next one has its turn."""

DATAGRAMS_PER_TURN_MAX = 64
"""Reads of the UDP socket per turn of the event loop, counted whether or not they were useful."""

STREAM_ACK_DELAY: Duration = 5 * MILLISECOND
"""How long an acknowledgement over TCP may wait for a message to travel with, while both ends take turns."""

STREAM_UNSENT_BYTES = 262144
"""Bytes that the kernel takes of one TCP connection before it has sent them: they cannot be withdrawn any more."""

SKIP_PERIOD_MIN, SKIP_PERIOD_MAX = 8192, 131072
"""Packets within which one packet number is left out, at first and later. To the receiver each is a gap, for which it
acknowledges more eagerly for 10 s; and who lies has to do so for megabytes to gain anything."""

KEEP_ALIVE_MIN: Duration = 10 * MILLISECOND
"""Silence after which a sign of life may be asked for, at least: a process would soon do nothing else."""

DEADLINES_MIN = 64
"""Deadlines of messages that a queue keeps before it looks which of them are still wanted."""

STREAM_READ_BYTES = 65536
"""Bytes taken from one TCP connection per turn of the event loop."""

STREAM_BUFFER_BYTES_MAX = 2 * STREAM_QUEUE_BYTES_MAX
"""Bytes waiting for the kernel per TCP connection: a full queue and everything around it. Beyond it the peer is cut."""

ACCEPTS_PER_TURN_MAX = 64
HANDLERS_MAX = 64
"""Calls of a registered handler under way at once, per transport."""

HANDLER_QUEUE_MAX = 1024
"""Messages waiting for a handler, from which the transport stops reading."""

WAITING_SENDS_MAX = 1 << 16
"""Callers waiting for room in the queues of their peers, per transport."""

NAMES_MAX = 1024
"""Host names and replaced addresses that a transport remembers."""

PAYLOAD_BYTES_MAX = 256 << 10
"""Application data of one message, packed. Small enough that a flood of them hurts nobody's memory."""

PACKED_BYTES_MAX = PAYLOAD_BYTES_MAX + 4096
"""Bytes handed to the msgpack decoder at once: a payload with everything that is wrapped around it."""

VALUE_DEPTH_MAX = 16
"""Containers within containers in a message."""

VALUE_ITEMS_MAX = 1024
"""Elements of one list. The decoder allocates a list by its announced length before it has seen the elements."""

VALUE_KEYS_MAX = 256
"""Keys of one map."""

VALUE_KEY_BYTES_MAX = 256
"""Bytes of one key."""

VALUE_CONTAINERS_MAX = 4096
"""Lists and maps in one message, counted together: an empty one is a byte on the wire and 64 in memory."""

TOPIC_BYTES_MAX = 32
"""The name of what a message is about."""

HOPS_MAX = 16
"""Links that a gossip message says it has travelled, however many it has; a mesh of thousands of nodes takes 10."""

MESSAGE_AGE_MAX: Duration = 600 * SECOND
"""Age from which a signed message is stale; sequence windows tell replays apart below it."""

CLOCK_AHEAD_MAX: Duration = 90 * SECOND
"""How far in the future a signed message may be dated: a minute of clock error and the way."""

CLOCK_SKEW_MAX: Duration = 60 * SECOND
"""By how much the two bounds above are widened at most when this node's clock differs from those of its peers."""

CLOCK_SKEW_NOTED: Duration = 10 * SECOND
"""Difference of this node's clock to the median of its peers from which it is a problem that is told."""

SKEW_SAMPLES_MAX = 8
"""Measurements of one peer's clock among which the best one counts."""

EVIDENCE_BYTES_MAX = 64 << 10
"""Bytes of two messages that are kept as evidence against their author."""

SEQUENCE_WINDOW = 4096
"""Sequence numbers below an author's highest that can still be told apart from replays; 512 bytes per author."""

ORIGINS_MAX = 4096
"""Authors whose sequence numbers are remembered; the longest unheard is forgotten first."""

EPOCHS_PER_ORIGIN = 4
"""Lives of one author whose messages are told apart; before the earliest of them everything is a replay."""

SEEN_MESSAGES_MAX = 1 << 16
"""Message ids remembered to drop copies before anything is verified; 16 bytes and about 100 of bookkeeping each."""

RETAINED_MESSAGES_MAX = 1 << 15
RETAINED_BYTES_MAX = 48 << 20
RETAINED_OVERHEAD_BYTES = 700
"""Messages kept for peers that were cut off, by number and bytes. Each counts with what Python spends on keeping it."""

HELD_MESSAGES_MAX = 1024
HELD_BYTES_MAX = 4 << 20
"""Messages that are held back after a restart until their author's clock is known; kept for others all the same."""

ANNOUNCED_IDS_MAX = 512
"""Message ids in one announcement or request."""

WANTED_MESSAGES_MAX = 8192
"""Announced messages that this node lacks and is waiting for."""

ANNOUNCERS_MAX = 4
"""Peers remembered per wanted message, asked one after the other."""

WANT_TIMEOUT: Duration = 1 * SECOND
"""Longest time that a peer has to send what was asked of it before the next announcer is asked."""

SERVES_MAX = 3
"""Times that one message is sent to one peer on request."""

PROMISE_TIME: Duration = 10 * SECOND
BROKEN_MIN = 3
"""Time in which a peer that has acknowledged a request must send anything, as long as it repeats a copy that is lost;
and broken promises in a row from which each counts, since cuts and slow links break one now and then."""

BODIES_PER_SECOND = 200
BODY_BYTES_PER_SECOND = 2 << 20
IDS_PER_SECOND = 256
"""Messages, their bytes, and ids told or asked for, that one peer may send per second; answers to a sync apart."""

BUDGET_BURST = 2
"""Seconds of an allowance that may be spent at once."""

BUDGET_SLACK = 1.25
"""How much more than its allowance an arriving peer is granted: the network bunches what was sent evenly."""

PROBATION: Duration = 60 * SECOND
PROBATION_SHARE = 0.25
"""A link younger than this has this share of the allowance: identities are cheap, patience is not."""

EXCESS_MAX = 256
"""Messages beyond its allowance in a row after which a peer is blamed; honest ones keep to it themselves."""

LANE_BYTES_MAX = 256 << 10
"""Copies that wait for the allowance of one peer. What finds no room is told by its id."""

OWED_IDS_MAX = 4096
"""Ids that wait to be told to one peer."""

SYNC_ROWS_MAX = 256
"""Authors in one page of a sync; the page stays below the size that travels over TCP."""

SYNC_PAGES_MAX = 16
"""Pages of one sync: with all of them every remembered author is listed."""

SYNC_ROWS_PER_SECOND, SYNC_ROWS_BURST = 2000, 4000
"""Claims that a node offers for comparison, to all peers together. In a network of a hundred nodes that is every
exchange that is ever due; among a thousand that join at once, whose digests differ all the time, it is two exchanges
per second, which are enough, since any peer's answer names what the others' would."""

SYNC_IDS_MAX = 1024
"""Ids told in answer to one page of a sync; the next sync tells more."""

GAP_RANGES_MAX = 8
"""Ranges of missing numbers per author that a sync lists as ranges; more are a bit map."""

RECEIPTS_MAX = 1024
"""Broadcasts whose spreading the application follows at once."""

SMALL_BODY_BYTES = 1200
"""Messages up to this fit into one datagram, and are pushed to the whole mesh: a hint would cost almost as much."""

LARGE_MESSAGE_BYTES = 16 << 10
"""Messages above this are announced, and pulled over TCP: of their dozen fragments one is always lost."""

PEERS_KNOWN_MAX = 4096
"""Nodes remembered, met or heard of; one that never answered, else the longest unheard, is forgotten first."""

ADDRESSES_PER_PEER_MAX = 4

HEARSAY_BUCKETS = 64
HEARSAY_PER_BUCKET = 64
HEARSAY_REACH = 24
"""Buckets of nodes that were not met, nodes in each, and buckets that the peers of one group of addresses share: 1,536
nodes of 4,096, since whoever joins learns of a whole network from one seed."""

TRIED_BUCKETS = 64
TRIED_PER_BUCKET = 64
TRIED_REACH = 8
"""Buckets of nodes that were met, nodes in each, and buckets of one group of addresses: 512 nodes of 4,096."""

MEMBERS_MAX = 4096
"""Nodes in the list of members; those that were never met are forgotten first, of them the gone."""

TRIALS_MAX = 1024
"""Members that could not be reached, each with the time for which it is passed over; the oldest is forgotten first."""

ROWS_PER_MESSAGE_MAX = 128
"""Members in one announcement."""

PROBES_MAX = 1024
"""Questions to silent peers that are open at once, those asked for others included."""

ACCUSED_PER_MESSAGE_MAX = 32
"""Nodes in one accusation."""

LINKS_ALL_MAX = 24
"""Other nodes up to which everybody is linked with everybody; beyond that links are chosen."""

LINKS_RANDOM = 6
"""Links to nodes picked at random, beside the neighbours on the rings: nobody can place itself at their ends."""

BOOTSTRAP_MAX = 64
"""Bootstrap addresses."""

DIALS_MAX = 16
"""Dials under way at once."""

ANCHORS_MAX = 3
"""Peers that are dialled before all others after a restart."""

ANCHORS_ALONE: Duration = 1 * SECOND
"""How long after a restart only anchors and bootstrap addresses are dialled."""

DEAD_MEMORY: Duration = 24 * 3600 * SECOND
GONE_KEPT = 64
"""How long the gone are remembered, across restarts too, and how many of the met for longer: one heals a cut."""

DIAL_RETRY_INITIAL: Duration = 1 * SECOND
DIAL_RETRY_MAX: Duration = 8 * SECOND
"""Time between the end of a failed dial and the next; doubled per failure, then shortened at random by up to half."""

DIALS_OF_STRANGER_MAX = 6
"""Failed dials in a row after which a node that was never met is forgotten."""

HELLO_TIMEOUT: Duration = 10 * SECOND
"""Time in which a connected node must introduce itself."""

VIOLATIONS_MAX = 32
"""Invalid messages that one peer may pass on per connection before it is disconnected."""

PROBLEM_REPEAT: Duration = 60 * SECOND
"""Time in which the same problem is reported once."""

PENDING_SENDS_MAX = 1024
PENDING_SENDS_BYTES_MAX = 4 << 20
"""Direct messages waiting for a connection or an acknowledgement."""

TCP_BLOCKED_TIME: Duration = 60 * SECOND
"""How long a peer is sent everything over UDP after a TCP connection to it failed."""

PROBLEMS_MAX = 64
"""Problems remembered so that each is reported once in a while only."""

SUCCESSOR_TIME: Duration = 2 * SECOND
"""How long a peer that replaced a connection has until the one that takes its place is established here too."""

USURPATIONS_MAX = 3
USURPATION_TIME: Duration = 60 * SECOND
"""Connections replaced by nothing that this node ever saw, within that time, that mean another process has its key."""

TRUST_HALF_LIFE: Duration = 600 * SECOND
"""Time in which evidence about a peer loses half of its weight: long enough to matter, short enough to forgive."""

BAN_TIME: Duration = 3600 * SECOND
"""How long this node keeps away from a peer that broke the rules; the evidence has decayed to 1/64 by then."""

EVIDENCE_RECORDS_MAX = 4096
"""Nodes of which this node has evidence of its own; those that say least go first. About 600 bytes each."""

PROOFS_MAX = 16
"""Pairs of messages kept as proofs against their authors, EVIDENCE_BYTES_MAX each at most."""

CREDIT_INTERVAL: Duration = 1 * SECOND
"""Time between two first deliveries that count for the peer that brought them, so that no flood buys trust."""

STATEMENT_LIFE: Duration = 3600 * SECOND
"""Time after which what a node said about another one no longer counts."""

STATEMENT_INTERVAL: Duration = 60 * SECOND
"""Time between two statements of one issuer about one subject."""

STATEMENT_BYTES_MAX = 512
"""The signed body of one statement, which has about 160 bytes; room for what later versions append."""

STATEMENTS_MAX = 4096
"""Statements remembered, about 1 KiB each; the oldest of the peer that brought most of them goes first."""

STATEMENTS_PER_ISSUER_MAX = 1024
"""Statements remembered of one issuer."""

STATEMENTS_PER_MESSAGE_MAX = 64
"""Statements in one page of a list of trusted peers; about 16 KiB."""

STATEMENTS_PER_TICK_MAX = 256
"""Statements that this node makes per minute, so that what waits for one peer stays far below its queue."""

STATEMENT_PAGES_MAX = 128
"""Pages that one question may lead to; twice what the largest table needs."""

STATEMENTS_BURST_MAX = 1024
"""Statements that one peer may send at once; each costs a signature check."""

STATEMENTS_PER_SECOND_MAX = 16
"""Statements that one peer may send in the long run."""
