"""What to say about settings that Celery has and djtasks has not."""

from __future__ import annotations

from typing import Final

__all__ = ["advice_for"]

_DROP: Final = "It has no meaning here and may be dropped: "

#: By name.
_ADVICE: Final[dict[str, str]] = {
    "INCLUDE": "Write it 'IMPORTS'.",
    "WORKER_POOL_START_METHOD": "Write it 'WORKER_START_METHOD'.",
    "WORKER_PREFETCH_MULTIPLIER": (
        f"{_DROP}a worker holds about 20 ms of work for each child. 'WORKER_PREFETCH' sets a fixed "
        "number instead."
    ),
    "WORKER_DISABLE_PREFETCH": "Write 'WORKER_PREFETCH': 1.",
    "ENABLE_UTC": f"{_DROP}times are always stored with their time zone.",
    "RESULT_EXTENDED": f"{_DROP}name, arguments, worker, retries and queue are always stored.",
    "RESULT_BACKEND": f"{_DROP}results are rows of the database that DATABASE names.",
    "BROKER_URL": f"{_DROP}messages are rows of the database that DATABASE names.",
    "WORKER_STATE_DB": f"{_DROP}a cancelled task is marked in its row.",
    "WORKER_DEDUPLICATE_SUCCESSFUL_TASKS": f"{_DROP}a finished task's message is gone with it.",
    "WORKER_SEND_TASK_EVENTS": f"{_DROP}every task is a row, seen in the admin from its call on.",
    "TASK_SEND_SENT_EVENT": f"{_DROP}every task is a row, seen in the admin from its call on.",
    "BEAT_SCHEDULER": f"{_DROP}schedules are rows, and every worker sends what is due.",
    "BEAT_SCHEDULE_FILENAME": f"{_DROP}schedules are rows, and every worker sends what is due.",
    "BEAT_SYNC_EVERY": f"{_DROP}schedules are rows, and every worker sends what is due.",
    "BEAT_MAX_LOOP_INTERVAL": f"{_DROP}schedules are rows, and every worker sends what is due.",
}
_JSON: Final = f"{_DROP}what is stored is always typed JSON."
_POLLING: Final = f"{_DROP}nothing polls for the results of a chord."
_PUBLISHING: Final = f"{_DROP}a call is one INSERT into the database."
_AMQP: Final = f"{_DROP}it belongs to a message broker, and here is none."
_BACKEND: Final = f"{_DROP}it belongs to another result backend, and here is only the database."
_INSIDE: Final = f"{_DROP}it tunes a part of Celery's worker that does not exist here."

#: By the beginning of the name; the first that fits.
_ADVICE_BY_PREFIX: Final[dict[str, str]] = {
    "ACCEPT_CONTENT": _JSON,
    "RESULT_ACCEPT_CONTENT": _JSON,
    "TASK_SERIALIZER": _JSON,
    "RESULT_SERIALIZER": _JSON,
    "TASK_COMPRESSION": _JSON,
    "RESULT_COMPRESSION": _JSON,
    "RESULT_CHORD_": _POLLING,
    "TASK_PUBLISH_RETRY": _PUBLISHING,
    "TASK_PROTOCOL": _AMQP,
    "TASK_DEFAULT_EXCHANGE": _AMQP,
    "TASK_DEFAULT_ROUTING_KEY": _AMQP,
    "TASK_DEFAULT_DELIVERY_MODE": _AMQP,
    "TASK_DEFAULT_QUEUE_TYPE": _AMQP,
    "TASK_CREATE_MISSING_QUEUE_": _AMQP,
    "TASK_QUEUE_MAX_PRIORITY": _AMQP,
    "BROKER_": _AMQP,
    "EVENT_": _AMQP,
    "CONTROL_": _AMQP,
    "RESULT_BACKEND": _BACKEND,
    "RESULT_CACHE_MAX": _BACKEND,
    "RESULT_EXCHANGE": _BACKEND,
    "RESULT_PERSISTENT": _BACKEND,
    "ARANGODB_": _BACKEND,
    "AZUREBLOCKBLOB_": _BACKEND,
    "CACHE_": _BACKEND,
    "CASSANDRA_": _BACKEND,
    "COSMOSDBSQL_": _BACKEND,
    "COUCHBASE_": _BACKEND,
    "COUCHDB_": _BACKEND,
    "DATABASE_": _BACKEND,
    "DYNAMODB_": _BACKEND,
    "ELASTICSEARCH_": _BACKEND,
    "GCS_": _BACKEND,
    "MONGODB_": _BACKEND,
    "REDIS_": _BACKEND,
    "S3_": _BACKEND,
    "WORKER_AGENT": _INSIDE,
    "WORKER_AUTOSCALER": _INSIDE,
    "WORKER_CANCEL_LONG_RUNNING": _INSIDE,
    "WORKER_CONSUMER": _INSIDE,
    "WORKER_DETECT_QUORUM_QUEUES": _INSIDE,
    "WORKER_DIRECT": _INSIDE,
    "WORKER_ENABLE_PREFETCH_COUNT_REDUCTION": _INSIDE,
    "WORKER_ETA_TASK_LIMIT": _INSIDE,
    "WORKER_LOST_WAIT": _INSIDE,
    "WORKER_POOL_PUTLOCKS": _INSIDE,
    "WORKER_POOL_RESTARTS": _INSIDE,
    "WORKER_PROC_ALIVE_TIMEOUT": _INSIDE,
    "WORKER_TIMER": _INSIDE,
    "SECURITY_": _JSON,
}


def advice_for(name: str) -> str | None:
    """Return what to do about a setting of Celery that djtasks has not, or None if it is unknown.

    Args:
        name: in upper case, without ``CELERY_``.
    """
    if name in _ADVICE:
        return _ADVICE[name]
    for prefix, advice in _ADVICE_BY_PREFIX.items():
        if name.startswith(prefix):
            return advice
    return None
