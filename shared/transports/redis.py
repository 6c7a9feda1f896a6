"""kombu's Redis transport, which loses nothing: atomic claims with leases, and the fleet's scale of priorities.

What is kombu's own: the format of messages, the lists, publishing, remote control, the poller.  What is ours: how a
message is taken (``shared.transports.claims``), kept while its holder lives (``shared.transports.leases``), settled
and given back.  A plain kombu publisher's messages are taken as promptly as our own.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import redis
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from kombu.utils.objects import cached_property

from shared.dead_letters import Reason, unreadable_letter
from shared.priorities import LEAST_URGENT, MOST_URGENT
from shared.transports.claims import ARGUMENTS_AT_ONCE, CLAIM, Claim, Claims, claim_arguments, read_claims
from shared.transports.decoding import loads
from shared.transports.leases import LEASE_SECONDS, STANDSTILL_SECONDS, LeaseKeeper
from shared.transports.once import PutOnce
from shared.transports.pushing import Pushing
from shared.transports.redis_bindings import ExpiringBindings
from shared.transports.redis_connections import BoundedPublishing
from shared.transports.redis_poller import Poller
from shared.transports.redis_qos import Message, QoS

logger = logging.getLogger(__name__)

ASK_AGAIN_SECONDS = 1.0
"""How long a connection waits for the server to tell of a message before it asks all the same."""
ANSWER_WITHIN_SECONDS = 3.0
"""A connection on which a claim is not answered in this time is broken.

One that is half-open is so noticed within six seconds, or nine where the loop waits in vain for something else first;
a worker consumes again within ten.
"""
GIVE_UP_AFTER_SECONDS = 1.0
"""How long a connection that is closed waits for the answer to its last claim; its leases run out otherwise."""
MOST_AT_ONCE = 64
"""Messages in one claim; a loop that gets more at once leaves its other work waiting."""
NO_MESSAGE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, zlib.error)
"""What decoding raises on bytes that kombu did not write."""


class Channel(BoundedPublishing, PutOnce, Pushing, ExpiringBindings, kombu_redis.Channel):
    """Takes messages by claims, from a list for each of ten priorities, the most urgent first.

    The value itself is not turned round: message properties stay true, and priority 0 stays in the list that
    bears the plain name of the queue, so that tools which measure that list go on working.
    """

    QoS = QoS
    Message = Message
    priority_steps = tuple(range(MOST_URGENT, LEAST_URGENT - 1, -1))
    lease_seconds = LEASE_SECONDS
    from_transport_options = (*kombu_redis.Channel.from_transport_options, "lease_seconds")

    connection: Transport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._owner = f"{uuid4().hex}:"
        self._in_poll: Any = None
        self._claimed = 0
        self._asked_at: float | None = None
        self.waiting: list[Claim] = []
        """What is claimed and not yet handed over, the next one last."""
        self._ended: list[str] = []
        """Claims of work that is over, of which the server is told with the next question."""
        self._settling: list[str] = []
        """Those of which it was told with the last question."""
        self._told = True
        """Whether the server has something to say: the answer to a claim, not only that a list has changed."""
        self._sources: list[str] = []
        self._keeper: LeaseKeeper | None = None
        super().__init__(*args, **kwargs)

    @cached_property
    def claims(self) -> Claims:
        """The claims in this channel's database."""
        return Claims(self._create_client())

    def separate_clients(self) -> Callable[[], redis.Redis]:
        """Return what makes clients whose connections nothing else uses, also when this channel is closed.

        Whoever makes one closes it.
        """
        client_class, parameters = self.Client, self._connparams()
        return lambda: client_class.from_pool(redis.ConnectionPool(**parameters))

    @property
    def leases(self) -> LeaseKeeper:
        """What renews the leases of this process's claims; it outlives the channel, as late acknowledgements do."""
        if self._keeper is None:
            self._keeper = self.connection.leases_of(self)
        return self._keeper

    def priority(self, n: int) -> int:
        """Return the step of a priority: itself."""
        return max(LEAST_URGENT, min(MOST_URGENT, n))

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """Consume a queue; the first one that wants acknowledgements starts the keeping of leases."""
        if not no_ack and queue not in self._fanout_queues:
            self.leases.start()
            _ = self.claims  # a closed channel, over which work is still settled, could not connect any more
        answer = super().basic_consume(queue, no_ack, *args, **kwargs)
        self._sources = []
        if queue in self._fanout_queues:
            self._hear_from_now_on()
        return answer

    def _hear_from_now_on(self) -> None:
        """Subscribe to broadcasts; kombu does so when its loop comes by, and what is told until then would be lost."""
        if self.subclient.connection is None:
            self.subclient.connection = self.subclient.connection_pool.get_connection()
        self._subscribe()

    def _basic_cancel(self, consumer_tag: str) -> Any:
        answer = super()._basic_cancel(consumer_tag)
        self._sources = []
        return answer

    def bury(self, delivery_tag: str, letter: bytes) -> None:
        """Put a dead letter in the place of a message that is held, in one step."""
        self.qos.bury(delivery_tag, letter)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        """Take one message, if there is one."""
        if not no_ack:
            self.leases.start()
        message = super().basic_get(queue, no_ack=no_ack, **kwargs)
        if message is not None and no_ack:
            self.claims.settle(message.delivery_tag)
        return message

    def maybe_refresh_binding_expiry(self) -> None:
        """Keep the bindings of queues that expire; called every few seconds in the loop, which must not wait twice."""
        if self.connection.cycle.broken is None:
            with self.noticing():
                super().maybe_refresh_binding_expiry()

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """Have the loop connect anew after an error that its caller may swallow.

        It would not find out by itself: while it holds as much as it may, it reads nothing.
        """
        try:
            yield
        except self.connection_errors as error:
            if self.connection is not None:  # it is closed otherwise
                self.connection.cycle.broken = error
            raise

    def look_after_claim(self) -> None:
        """Ask again where the last question is stale; called at each turn of the loop.

        Raises:
            redis.ConnectionError: The server has not answered for too long; the connection is broken.
        """
        if not self._in_poll or self._asked_at is None:
            self._settle_ended()
            return
        waited = time.monotonic() - self._asked_at
        if self._told:
            if waited > ANSWER_WITHIN_SECONDS and not has_said_something(self.client.connection):
                self.client.connection.disconnect()
                raise redis.ConnectionError(f"Redis has not answered for {waited:.0f} s.")
        elif (self._ended or waited > ASK_AGAIN_SECONDS or not self._sources) and self.qos.can_consume():
            self._brpop_start()
        else:
            self._settle_ended()

    def settle_together(self, messages: Sequence[Any]) -> None:
        """Remove messages for good, whose work is over: in the same step as the next ones are claimed.

        That saves a round trip for each message, about 120 µs of CPU.  Until the server has answered, the keeper of
        leases has them, and settles them in its own time should anything go wrong here.
        """
        for message in messages:
            self.qos.end(message.delivery_tag)
            self._ended.append(message.delivery_tag)
            message._state = "ACK"  # noqa: SLF001 - as its own ``ack`` does
        if self.closed or not self.active_queues:
            self._settle_ended()
        else:
            self.use_room()

    def _settle_ended(self) -> None:
        """Tell the server of work that is over where no question goes there with which it could be told."""
        ended, self._ended = self._ended, []
        if ended:
            with self.noticing():
                self.claims.settle(*ended)
            self._let_go(ended)

    def _let_go(self, settled: Sequence[str]) -> None:
        for identity in settled:
            self.leases.let_go(identity)

    def use_room(self) -> None:
        """Ask for more at once where the loop does not come by: it sleeps, or has messages to hand over.

        Greenlets acknowledge beside their loop, which would look for room when it has slept for two seconds.  In solo
        tasks run while the loop hands over messages.
        """
        if self.closed or not (self.waiting or self.connection.cycle.waits):
            return
        if self._in_poll and (self._told or not self._ended):
            return
        try:
            if self.active_queues and self.qos.can_consume():
                if self._in_poll:
                    self._brpop_start()
                else:
                    self.connection.cycle._register_BRPOP(self)  # noqa: SLF001 - as kombu's own loop does
        except self.connection_errors as error:
            self.connection.cycle.broken = error

    def close(self) -> None:
        """Give back what is held, and close."""
        if self._in_poll and not self.closed:
            self._abandon_claim()
        self._in_poll = None
        try:
            super().close()
        finally:
            if self._keeper is not None:
                self._keeper.answered(self._owner)

    def _brpop_start(self, timeout: float | None = None) -> None:  # noqa: ARG002 - kombu's name and signature
        """Send a claim, whose answer ``_brpop_read`` reads.

        A greenlet may have closed the channel while this one connected.  Nobody would read the answer then, while the
        keeper of leases kept what it brought for as long as the process lives.
        """
        if self.closed:
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        self._sources = [self._q_for_pri(queue, step) for step in self.priority_steps for queue in queues]
        free = self.qos.can_consume_max_estimate()
        limit = MOST_AT_ONCE if free is None else max(1, min(free, MOST_AT_ONCE))
        ended, self._ended = self._ended[:ARGUMENTS_AT_ONCE], self._ended[ARGUMENTS_AT_ONCE:]
        keys, values = claim_arguments(self._sources, limit, self._owner, self._claimed, self.lease_seconds, ended)
        self.leases.ask(self._owner, range(self._claimed, self._claimed + limit))
        self._claimed += limit
        self._settling = ended
        self._in_poll = connection = self.client.connection
        self._asked_at, self._told = time.monotonic(), True
        question = ("EVALSHA", connection.claim_script, len(keys), *keys, *values)
        connection.send_command(*question, check_health=False)  # an answer that is late is noticed all the same

    def _brpop_read(self, **options: Any) -> bool:  # noqa: ARG002 - kombu's name and signature
        """Read what the server says: messages, or that a list has changed.

        Raises:
            Empty: There was no message.
        """
        if not self._told:
            self._read(push_request=True)
            self._brpop_start()
            raise kombu_redis.Empty
        claims = read_claims(self._read())
        settled, self._settling = self._settling, []
        self._let_go(settled)
        if not claims:
            self.leases.answered(self._owner)
            self._told = False  # it tells us when there is something
            if self.client.connection.can_read(timeout=0):
                # What it told came with the answer, and the poller sees no more of it.
                self._read(push_request=True)
                self._brpop_start()
            raise kombu_redis.Empty
        self._in_poll = None
        self._deliver_all(claims)
        return True

    def _read(self, **options: Any) -> Any:
        connection = self.client.connection
        try:
            return connection.read_response(disable_decoding=True, **options)
        except redis.exceptions.NoScriptError:  # somebody flushed the scripts
            connection.disconnect()
            raise redis.ConnectionError(
                "The scripts are gone; they are loaded again with the next connection."
            ) from None
        except self.connection_errors:
            connection.disconnect()
            raise

    def _deliver_all(self, claims: list[Claim]) -> None:
        for claim in claims:
            self.leases.hold(claim.id)  # the loop may do other work before it has handed over the last
        self.leases.answered(self._owner)
        self.waiting = claims[::-1]
        while self.waiting:
            claim = self.waiting.pop()
            try:
                self._deliver_one(claim)
            except BaseException:
                left, self.waiting = self.waiting, []
                self._put_back([*left, claim])
                raise

    def _put_back(self, claims: list[Claim]) -> None:
        """Give back what was not delivered, in front."""
        for claim in claims:
            self.leases.let_go(claim.id)
        self.claims.give_back([(claim.id, b"") for claim in claims], where="front")

    def _deliver_one(self, claim: Claim) -> None:
        queue = claim.source.rsplit(self.sep, 1)[0]
        self._queue_cycle.rotate(queue)
        if queue not in self.connection._callbacks:  # noqa: SLF001 - cancelled while the claim was under way
            self._put_back([claim])
            return
        message = self._message(claim, queue)
        if message is None:
            self.leases.let_go(claim.id)
            return
        self.connection._deliver(message, queue)  # noqa: SLF001 - as kombu's own channel does
        if claim.id not in self.qos._delivered:  # noqa: SLF001 - a consumer that wants no acknowledgements
            self.leases.let_go(claim.id)
            self.claims.settle(claim.id)

    def _message(self, claim: Claim, queue: str) -> dict[str, Any] | None:
        """Decode a message; one that is none goes to the dead letters."""
        try:
            message: dict[str, Any] = loads(claim.payload.decode())
            message["properties"]["delivery_tag"] = claim.id
            message["properties"]["delivery_info"]["redelivered"] = bool(
                message["properties"]["delivery_info"].get("redelivered")
            )
            virtual.Message(message, channel=self)
        except NO_MESSAGE as error:
            logger.error("Took an unreadable message out of queue %s: %s", queue, type(error).__name__)  # noqa: TRY400
            letter = unreadable_letter(claim.payload, queue=queue, reason=Reason.UNDECODABLE, detail=repr(error))
            self.claims.bury(claim.id, letter)
            return None
        return message

    def _abandon_claim(self) -> None:
        """Read the answer of a claim that is under way, and put back what it brought."""
        connection, self._in_poll = self._in_poll, None
        if not self._told:
            return
        try:
            # An argument of read_response would no longer count once something was told.
            connection.update_current_socket_timeout(GIVE_UP_AFTER_SECONDS)
            answer = connection.read_response(disable_decoding=True)
            self.claims.give_back([(claim.id, b"") for claim in reversed(read_claims(answer))], where="front")
        except (redis.RedisError, OSError):
            connection.disconnect()

    def _get(self, queue: str) -> Any:
        sources = [self._q_for_pri(queue, step) for step in self.priority_steps]
        while True:
            self._claimed += 1  # before it is asked: one that is carried out and answered too late has used its id
            claims = self.claims.claim(sources, 1, self._owner, self._claimed, self.lease_seconds)
            if not claims:
                raise kombu_redis.Empty
            message = self._message(claims[0], queue)
            if message is not None:
                return message

    def _get_pool(self, asynchronous: bool = False) -> redis.ConnectionPool:
        """Return a pool in which greenlets wait for one of its connections; kombu's own raises when all are in use."""
        pool: redis.ConnectionPool = super()._get_pool(asynchronous)
        if asynchronous:
            return pool
        return redis.BlockingConnectionPool(  # type: ignore[no-untyped-call]
            max_connections=self.max_connections,
            timeout=ANSWER_WITHIN_SECONDS,
            connection_class=pool.connection_class,
            **pool.connection_kwargs,
        )

    def _connparams(self, asynchronous: bool = False) -> Any:
        parameters = super()._connparams(asynchronous)
        if asynchronous:
            parameters["redis_connect_func"] = listen_for_changes
        return parameters


def has_said_something(connection: Any) -> bool:
    """Tell whether there is something to read; then it is this process that was held up."""
    return connection._sock is not None and kombu_redis._socket_readable(connection._sock)  # noqa: SLF001 - as kombu


def listen_for_changes(connection: Any) -> None:
    """Log in, load the claim script, and have the server tell this connection of changes that it waits for."""
    connection.on_connect()
    connection.send_command("CLIENT", "TRACKING", "ON")
    connection.read_response()
    connection.send_command("SCRIPT", "LOAD", CLAIM)
    connection.claim_script = connection.read_response()


class Transport(kombu_redis.Transport):
    """Chosen by ``FleetCelery`` for every ``redis://`` broker."""

    Channel = Channel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = Poller()
        self._leases: LeaseKeeper | None = None

    def leases_of(self, channel: Any) -> LeaseKeeper:
        """Return the one keeper of leases of this connection."""
        if self._leases is None:
            self._leases = LeaseKeeper(channel.separate_clients(), channel.lease_seconds, self.turns)
        return self._leases

    @property
    def leases(self) -> LeaseKeeper | None:
        """The keeper of leases, once something consumes; a worker sets that of its last connection."""
        return self._leases

    @leases.setter
    def leases(self, keeper: LeaseKeeper) -> None:
        self._leases = keeper

    def turns(self) -> bool:
        """Tell whether the loop of this process has turned lately."""
        return time.monotonic() - self.cycle.turned < STANDSTILL_SECONDS

    def close_connection(self, connection: Any) -> None:
        """Give back what is held, and close."""
        try:
            super().close_connection(connection)
        finally:  # what could not be given back is given away when its lease runs out
            if self._leases is not None and not self._leases.outlives_connections:
                self._leases.end()
