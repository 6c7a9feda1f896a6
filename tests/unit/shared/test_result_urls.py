"""Result URLs are taken as guides write them; a wrong one is refused with the right spelling, and never shown."""

from __future__ import annotations

import pytest

from shared.brokers import Broker, Brokers
from shared.celery_app import FleetCelery
from shared.errors import InvalidResultStore
from shared.queues import QueueSpec, redis_queue
from shared.results.memcached import MemcachedBackend
from shared.results.urls import understood
from shared.secret import SecretStr

POSTGRES = "db+postgresql+psycopg://me:s3cret@db:5432/results"


def fleet(**settings) -> FleetCelery:
    app = FleetCelery(
        "urls",
        brokers=Brokers([Broker("one", SecretStr("redis://127.0.0.1:1/0"))]),
        queues=[QueueSpec(queue=redis_queue("q", "e"), broker="one", service="s")],
    )
    app.conf.update(settings)
    return app


@pytest.mark.concept("configuration as guides spell it")
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("redis://:s3cret@host:6379/2", "redis://:s3cret@host:6379/2"),
        ("rediss://host:6379/2", "rediss://host:6379/2"),
        ("db+postgresql://me:s3cret@db:5432/results", POSTGRES),
        ("database+postgresql://me:s3cret@db:5432/results", POSTGRES),
        ("db+postgres://me:s3cret@db:5432/results", POSTGRES),
        ("db+postgresql+psycopg2://me:s3cret@db:5432/results", POSTGRES),
        ("db+sqlite:///results.db", "db+sqlite:///results.db"),
        ("database+sqlite:////var/results.db", "db+sqlite:////var/results.db"),
        ("db+mysql+pymysql://me@db/results", "db+mysql+pymysql://me@db/results"),
        ("cache+memcached://host:11211/", "cache+memcached://host:11211/"),
        ("cache+memcached://one:11211;two:11211/", "cache+memcached://one:11211;two:11211/"),
        ("cache+pylibmc://host:11211/", "cache+memcached://host:11211/"),
        ("mongodb://host/results", "mongodb://host/results"),
        ("disabled", "disabled"),
        ("django-db", "django-db"),
    ],
)
def test_what_guides_write_is_understood(written, meant):
    assert understood(written) == meant


@pytest.mark.concept("configuration as guides spell it")
@pytest.mark.parametrize(
    ("written", "spelt"),
    [
        ("postgresql://me:s3cret@db/results", "Write db+postgresql://user:password@host:5432/database"),
        ("postgres://me:s3cret@db/results", "Write db+postgresql://"),
        ("db://me:s3cret@db/results", "Write db+postgresql://"),
        ("sqlite:///s3cret.db", "Write db+sqlite:////absolute/path/results.db"),
        ("db+sqlite://", "need a file"),
        ("db+sqlite:///:memory:", "need a file"),
        ("memcached://s3cret:11211/", "Write cache+memcached://host:11211/"),
        ("cache://s3cret:11211/", "Write cache+memcached://"),
        ("cache+memcache_d://s3cret:11211/", "Write cache+memcached://"),
        ("cache+memcached:///", "names no server"),
        ("cache+memory://", "memory of one process"),
        ("rpc://", "over one broker"),
        ("rpc", "over one broker"),
        ("amqp://me:s3cret@host//", "none any more"),
        ("reddis://:s3cret@host/2", "Did you mean 'redis'?"),
        ("databse+postgresql://me:s3cret@db/results", "Did you mean 'database'?"),
        ("ftp://me:s3cret@host", "Write redis://"),
        ("postgresql", "needs a URL"),
    ],
)
def test_what_leads_nowhere_is_refused_with_the_right_spelling(written, spelt):
    with pytest.raises(InvalidResultStore) as raised:
        _ = fleet(result_backend=written).backend
    assert spelt in str(raised.value)
    assert "s3cret" not in f"{raised.value!r}"


def test_the_old_name_of_the_setting_means_the_same():
    app = fleet()
    app.config_from_object({"CELERY_RESULT_BACKEND": "cache+memcached://host:11211/"})
    assert isinstance(app.backend, MemcachedBackend)


def test_nothing_is_connected_and_no_password_is_shown():
    app = fleet(result_backend="db+postgresql://me:s3cret@127.0.0.1:1/results")
    assert "s3cret" not in f"{app.backend!r} {app.backend.as_uri()}"


def test_memcached_refuses_to_keep_what_it_would_drop_at_once():
    with pytest.raises(InvalidResultStore, match="30 days"):
        _ = fleet(result_backend="cache+memcached://host:11211/", result_expires=31 * 24 * 3600).backend
