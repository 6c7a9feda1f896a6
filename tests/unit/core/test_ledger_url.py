from __future__ import annotations

import pytest

from services.core.ledger.engine import open_ledger
from services.core.ledger.errors import InvalidLedgerUrl
from services.core.ledger.url import parse_url
from shared.secret import SecretStr


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_spoken_with_psycopg_however_it_is_spelled(scheme):
    assert parse_url(SecretStr(f"{scheme}://yard:pw@db/ledger")).drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url",
    [
        "nonsense s3cret",
        "mysql://yard:s3cret@db/ledger",
        "postgresql+asyncpg://yard:s3cret@db/ledger",
        "postgresql://yard:s3cret@db:port/ledger",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_another_url_is_refused_without_showing_it(url):
    with pytest.raises(InvalidLedgerUrl) as caught:
        open_ledger(SecretStr(url))
    assert "sqlite:///path/to/file.db" in str(caught.value)
    assert "s3cret" not in f"{caught.value!r}"
    assert caught.value.__cause__ is None
