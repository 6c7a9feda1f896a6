"""Which addresses may be written to, and in which form."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from dns.resolver import Resolver
from email_validator import EmailNotValidError, caching_resolver, validate_email

from services.email_worker.errors import InvalidAddress

DNS_TIMEOUT_SECONDS = 5
"""How long one DNS question may take; a resolver that answers at all answers well within it."""

LONGEST_REASON = 300

_PLAIN_LOCAL_PART = re.compile(r"(?=.{1,64}@)[A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*@")
"""Valid at every domain, and normalised as it is (RFC 5321, sections 4.1.2 and 4.5.3.1.1)."""

LONGEST_PLAIN = 254
"""Characters of an address (RFC 5321, section 4.5.3.1.3, without the brackets)."""


def normalise(address: str, *, check_deliverability: bool = False) -> str:
    """Return an address in the one form that the relay, the log and the ledger all see.

    The domain is in lower case and in ASCII (``bücher.example`` becomes ``xn--bcher-kva.example``); the
    local part keeps its case, in Unicode's composed form.  Domains for tests and documentation
    (``.test``, ``example.org``) pass as long as DNS is not asked.

    Args:
        address: ``local@domain`` alone, without a display name.
        check_deliverability: Ask DNS whether the domain takes mail.  A DNS that gives no answer in
            time refuses nobody.

    Raises:
        InvalidAddress: With the reason, as a sentence for a person.
    """
    if not check_deliverability and (plain := _normalised_at_once(address)):
        return plain
    return _normalised(address, check_deliverability=check_deliverability)


def _normalised_at_once(address: object) -> str | None:
    """Return what :func:`_normalised` would of an address with nothing special in it, else ``None``.

    Most recipients of a campaign are at a few domains, and only those need to be looked at closely.
    """
    if not isinstance(address, str) or len(address) > LONGEST_PLAIN:
        return None
    local_part = _PLAIN_LOCAL_PART.match(address)
    if local_part is None:
        return None
    domain = _normalised_domain(address[local_part.end() :])
    plain = f"{local_part[0]}{domain}"
    return plain if domain and len(plain) <= LONGEST_PLAIN else None


@lru_cache(maxsize=4096)
def _normalised_domain(domain: str) -> str | None:
    try:
        return _normalised(f"a@{domain}", check_deliverability=False).removeprefix("a@")
    except InvalidAddress:
        return None


def _normalised(address: str, *, check_deliverability: bool) -> str:
    try:
        valid = validate_email(
            address,
            check_deliverability=check_deliverability,
            dns_resolver=_resolver() if check_deliverability else None,
            test_environment=not check_deliverability,
        )
    except TypeError:
        raise InvalidAddress("An address must be text.") from None
    except (EmailNotValidError, UnicodeError) as error:
        raise InvalidAddress(str(error)[:LONGEST_REASON]) from None
    # RFC 2047, section 5, forbids encoded words in an address, and Python's email package would decode one
    # into whatever it holds, line breaks included.
    if "=?" in valid.local_part:
        raise InvalidAddress("The part before the @-sign contains '=?', which mail programs may decode.")
    return valid.ascii_email or valid.normalized


@cache
def _resolver() -> Resolver:
    return caching_resolver(timeout=DNS_TIMEOUT_SECONDS)
