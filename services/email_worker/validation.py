"""Which addresses may be written to, and in which form."""

from __future__ import annotations

from functools import cache

from dns.resolver import Resolver
from email_validator import EmailNotValidError, caching_resolver, validate_email

from services.email_worker.errors import InvalidAddress

DNS_TIMEOUT_SECONDS = 5
"""How long one DNS question may take; a resolver that answers at all answers well within it."""

LONGEST_REASON = 300


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
