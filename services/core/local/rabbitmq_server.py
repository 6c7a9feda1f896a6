"""A RabbitMQ server of our own, with an Erlang port mapper of its own."""

from __future__ import annotations

import base64
import http.client
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import kombu

from services.core.local.errors import NotInstalled
from services.core.local.ports import LOOPBACK, free_ports, listens
from services.core.local.private_files import kept_secret, private_folder, write_private
from services.core.local.processes import ChildProcess
from services.core.local.rabbitmq_installation import find_erlang_program, find_rabbitmq, link_lean_tree
from services.core.local.service import Service
from services.core.local.waiting import wait_until
from shared.settings import child_environment

NODE = "switchyard@localhost"
"""Names are unique per port mapper, and each node has one of its own."""
USER = "switchyard"
PLUGINS = ("rabbitmq_management",)

CONFIGURATION = """\
listeners.tcp.local = {host}:{port}
management.tcp.ip = {host}
management.tcp.port = {management_port}
default_user = {user}
default_pass = {password}
collect_statistics_interval = 1000
"""
"""The default user is made in an empty database, in the place of ``guest``.

Statistics every second, so that unacknowledged depths are at most that old (default: five).
"""

ERLANG_FLAGS = (
    "+sbwt none +sbwtdcpu none +sbwtdio none "  # an idle node leaves the processor to the others
    "-kernel inet_dist_use_interface {127,0,0,1}"  # only this machine can talk to the node
)

WITHOUT_STATISTICS = "gen_event delete_handler [rabbit_event, rabbit_mgmt_db_handler, []]"
"""What a node is told before it ends.

Up to RabbitMQ 3 this handler, when the node ends, asks Erlang's application controller for something; that one is
waiting for RabbitMQ to end, and both wait for 5 seconds.
"""


class LocalRabbitMQ(Service):
    """A RabbitMQ node with its data below ``folder``, on free ports of the loopback interface.

    Its ports and password stay the same over ``restart``; its password and data also from one object to the next.
    There is one user, an administrator, and no ``guest``.  A RabbitMQ that the system runs is neither read nor touched.

    Args:
        folder: Made when missing; nobody but its owner can enter it.
        logs: Folder for ``rabbitmq.log`` and ``epmd.log``; ``folder`` when ``None``.

    Raises:
        NotInstalled: RabbitMQ or Erlang is missing.
    """

    name = "rabbitmq"

    def __init__(self, folder: Path, *, logs: Path | None = None) -> None:
        self._tree, epmd = find_rabbitmq(), find_erlang_program("epmd")
        self._folder = private_folder(folder.resolve())
        self._password = kept_secret(self._folder / "password")
        self.port, self.management_port, self._distribution_port, self._epmd_port = free_ports(4)
        logs = logs or self._folder
        self._environment = self._make_environment()
        self._epmd = ChildProcess(
            "epmd",
            [str(epmd), "-port", str(self._epmd_port), "-address", LOOPBACK],
            log=logs / "epmd.log",
            environment=self._environment,
            folder=self._folder,
        )
        self._node = ChildProcess(
            self.name,
            [str(self._tree / "sbin" / "rabbitmq-server"), "-noinput"],
            log=logs / "rabbitmq.log",
            environment=self._environment,
            folder=self._folder,
        )

    @property
    def processes(self) -> Sequence[ChildProcess]:
        """The port mapper, then the node."""
        return (self._epmd, self._node)

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports of the node and of the port mapper."""
        return {
            "amqp": self.port,
            "management": self.management_port,
            "distribution": self._distribution_port,
            "epmd": self._epmd_port,
        }

    @property
    def url(self) -> str:
        """The URL of the virtual host ``/``, with user and password."""
        return f"amqp://{USER}:{self._password}@{LOOPBACK}:{self.port}//"

    @property
    def management_url(self) -> str:
        """The URL of the management API, with user and password."""
        return f"http://{USER}:{self._password}@{LOOPBACK}:{self.management_port}"

    def launch(self) -> None:
        """Write the configuration, then start the port mapper, and the node once it listens."""
        self._write_files()
        self._epmd.start()
        wait_until(lambda: listens(self._epmd_port) or not self._epmd.alive, self.start_seconds)
        super().launch()

    def is_ready(self) -> bool:
        """Tell whether AMQP and the management API take the password."""
        return listens(self.port) and self._accepts_login() and self._manages()

    def terminate(self) -> None:
        """Ask the node to end; it still needs the port mapper meanwhile."""
        if self._node.alive and not self._node.asked_to_end:
            self._drop_statistics()
            self._node.terminate()

    def stop(self, grace: float | None = None) -> None:
        """End the node, then the port mapper."""
        self.terminate()
        self._node.stop(self.grace if grace is None else grace)
        self._epmd.stop(1)

    def _accepts_login(self) -> bool:
        connection = kombu.Connection(self.url, connect_timeout=2)
        try:
            connection.connect()
        except connection.connection_errors:
            return False
        finally:
            connection.release()
        return True

    def _manages(self) -> bool:
        client = http.client.HTTPConnection(LOOPBACK, self.management_port, timeout=2)
        credentials = base64.b64encode(f"{USER}:{self._password}".encode()).decode()
        try:
            client.request("GET", "/api/overview", headers={"Authorization": f"Basic {credentials}"})
            return client.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            client.close()

    def _drop_statistics(self) -> None:
        with suppress(NotInstalled, subprocess.TimeoutExpired):  # then it takes 5 seconds longer
            subprocess.run(  # noqa: S603
                [find_erlang_program("erl_call"), "-n", NODE, "-a", WITHOUT_STATISTICS],
                env=self._environment,
                timeout=2,
                check=False,
                capture_output=True,
            )

    def _write_files(self) -> None:
        for name in ("data", "log", "conf.d"):
            private_folder(self._folder / name)
        kept_secret(self._folder / ".erlang.cookie")
        write_private(self._folder / "enabled_plugins", f"[{','.join(PLUGINS)}].\n")
        write_private(
            self._folder / "rabbitmq.conf",
            CONFIGURATION.format(
                host=LOOPBACK,
                port=self.port,
                management_port=self.management_port,
                user=USER,
                password=self._password,
            ),
        )

    def _make_environment(self) -> Mapping[str, str]:
        folder = self._folder
        scripts = link_lean_tree(self._tree, folder / "rabbitmq", PLUGINS) / "sbin"
        ours = {
            "HOME": folder,  # of the cookie
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_EPMD_PORT": self._epmd_port,
            "ERL_FLAGS": "-start_epmd false",  # it would outlive us
            "ERL_CRASH_DUMP_SECONDS": 0,  # a dump would hold the password
            "RABBITMQ_SCRIPTS_DIR": scripts,
            "RABBITMQ_ALLOW_INPUT": 1,  # become Erlang instead of a shell that waits for it
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_DIST_PORT": self._distribution_port,
            "RABBITMQ_MNESIA_BASE": folder / "data",
            "RABBITMQ_LOG_BASE": folder / "log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SCHEMA_DIR": folder / "schema",
            "RABBITMQ_GENERATED_CONFIG_DIR": folder / "generated",
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
            "RABBITMQ_CONFIG_FILES": folder / "conf.d",
            "RABBITMQ_ADVANCED_CONFIG_FILE": folder / "advanced.config",
            "RABBITMQ_CONF_ENV_FILE": folder / "rabbitmq-env.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "enabled_plugins",
            "RABBITMQ_PID_FILE": folder / "pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG_FLAGS,
        }
        return child_environment(
            {name: str(value) for name, value in ours.items()}, without=("RABBITMQ_", "ERL_", "NOTIFY_SOCKET")
        )
