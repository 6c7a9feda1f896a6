"""How a connection to the relay is opened: encrypted and logged in as the settings say."""

from __future__ import annotations

import smtplib
import socket
import ssl
from ipaddress import ip_address

from services.email_worker.errors import RelayUnavailable
from shared.errors import InvalidSettings
from shared.settings import FleetSettings

LONGEST_ANSWER = 300
"""Characters of a relay's answer that are kept; the useful part comes first."""


def refuse_unusable(settings: FleetSettings) -> None:
    """Refuse settings of which no safe connection can come.

    Raises:
        InvalidSettings: The file of certificates is missing; the password would leave the machine without
            encryption; a user name comes without a password or the other way round, or is not ASCII.
    """
    if settings.smtp_ca_file is not None and not settings.smtp_ca_file.is_file():
        raise InvalidSettings("YARD_SMTP_CA_FILE: there is no such file.")
    username, password = settings.smtp_username, settings.smtp_password
    if (username is None) != (password is None):
        raise InvalidSettings("YARD_SMTP_USERNAME and YARD_SMTP_PASSWORD: set both or neither.")
    if username is None or password is None:
        return
    if not (username.isascii() and password.get_secret_value().isascii()):
        raise InvalidSettings("YARD_SMTP_USERNAME and YARD_SMTP_PASSWORD: only ASCII can be sent.")
    if settings.smtp_security == "none" and not _is_loopback(settings.smtp_host):
        raise InvalidSettings(
            "YARD_SMTP_SECURITY: a password goes over an encrypted connection only; set 'starttls' or 'tls'."
        )


def connect(settings: FleetSettings) -> smtplib.SMTP:
    """Open a connection that is ready for a mail.

    Whatever goes wrong here is about the relay and not about a mail, so that even a 5xx is worth another
    try after somebody has put it right; Postfix defers in the same way (``smtp_skip_5xx_greeting``,
    ``smtp_sasl_auth_soft_bounce``).

    Raises:
        RelayUnavailable: The relay was out of reach, did not want us, showed a certificate that does not
            hold, or refused the password.  Nothing was sent.
    """
    try:
        smtp = _open(settings)
    except (smtplib.SMTPException, OSError) as error:
        raise RelayUnavailable(f"{_relay(settings)} does not answer: {described(error)}") from error
    try:
        # What is written must not wait until the relay has confirmed what was written before (RFC 2920, section 3.1).
        if smtp.sock is not None:
            smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        smtp.ehlo_or_helo_if_needed()
        if settings.smtp_security == "starttls":
            smtp.starttls(context=_tls(settings))
            smtp.ehlo_or_helo_if_needed()
        _log_in(smtp, settings)
    except (smtplib.SMTPException, OSError) as error:
        smtp.close()
        raise RelayUnavailable(f"{_relay(settings)} cannot be used: {described(error)}") from error
    except BaseException:
        smtp.close()
        raise
    return smtp


def described(error: Exception) -> str:
    """Put an error of the connection into one line of bounded length."""
    if isinstance(error, smtplib.SMTPResponseException):
        return answer_text(error.smtp_code, error.smtp_error)
    return " ".join(str(error).split())[:LONGEST_ANSWER] or type(error).__name__


def answer_text(code: int, text: bytes | str) -> str:
    """Put a relay's answer into one line of bounded length: the code and what the relay said."""
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    printable = "".join(character if character.isprintable() else " " for character in said)
    return f"{code} {' '.join(printable.split())}"[:LONGEST_ANSWER].rstrip()


def _open(settings: FleetSettings) -> smtplib.SMTP:
    # Without a name of our own smtplib asks DNS for one, which can take seconds.
    name, timeout = settings.mail_domain, settings.smtp_timeout_seconds
    if settings.smtp_security == "tls":
        return smtplib.SMTP_SSL(settings.smtp_host, settings.smtp_port, name, timeout=timeout, context=_tls(settings))
    return smtplib.SMTP(settings.smtp_host, settings.smtp_port, name, timeout=timeout)


def _tls(settings: FleetSettings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.smtp_ca_file)


def _log_in(smtp: smtplib.SMTP, settings: FleetSettings) -> None:
    if settings.smtp_username is None or settings.smtp_password is None:
        return
    try:
        smtp.login(settings.smtp_username, settings.smtp_password.get_secret_value())
    except smtplib.SMTPResponseException as error:
        # Some relays repeat the line that they refuse, so their text may hold the password.
        raise smtplib.SMTPException(
            f"{error.smtp_code}, the answer to YARD_SMTP_USERNAME and YARD_SMTP_PASSWORD"
        ) from None


def _relay(settings: FleetSettings) -> str:
    return f"The relay {settings.smtp_host}:{settings.smtp_port}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
