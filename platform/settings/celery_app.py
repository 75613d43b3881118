"""The Celery application: four queues, JSON only, tasks found by name prefix."""

from __future__ import annotations

import os
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import celeryd_after_setup, worker_ready, worker_shutdown
from django.conf import settings

from . import processes

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.development")

QUEUES = ("cpu", "gpu", "sign", "verify")
ROUTES = {
    "generation.clear": "cpu",
    "generation.render": "gpu",
    "generation.prove": "cpu",
    "generation.seal": "sign",
    "generation.sweep": "cpu",
    "provenance.examine": "verify",
}

if settings.DEVELOPMENT:
    # a container of a developer or of CI is often root's; messages are JSON only, which is what the warning is about
    warnings.filterwarnings("ignore", message="(?s).*superuser privileges", category=SecurityWarning)

for _name in ("data_folder_in", "control_folder"):
    if _name in settings.CELERY_BROKER_TRANSPORT_OPTIONS:
        # the folder transport expects its folders, and any process may be the first to send
        Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS[_name]).mkdir(parents=True, exist_ok=True)

app = Celery("countersign")
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    broker_transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS,
    broker_connection_retry_on_startup=True,
    # a job's truth is its row in the database; a result store would be a second one
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_queues={name: {"exchange": name, "routing_key": name} for name in QUEUES},
    task_default_queue="cpu",
    task_create_missing_queues=False,
    task_routes={f"{prefix}*": {"queue": queue} for prefix, queue in ROUTES.items()},
    # acknowledged when done: a killed worker's task comes again, and every stage takes a second delivery as a no-op
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_pool="solo",
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    task_publish_retry_policy={"max_retries": 3, "interval_start": 0.2, "interval_step": 0.5},
    enable_utc=True,
    timezone="UTC",
    beat_schedule={
        "sweep": {
            "task": "generation.sweep",
            "schedule": float(settings.SWEEP_INTERVAL_S),
            # a sweep that waited longer than this is overtaken by the next
            "options": {"expires": settings.SWEEP_INTERVAL_S},
        },
    },
)
app.autodiscover_tasks()

PRESENCE = ExitStack()
_queues: set[str] = set()


def _remember_queues(sender: str, instance: Any, **_: object) -> None:
    _queues.update(instance.app.amqp.queues.consume_from)


def _show_presence(**_: object) -> None:
    processes.end_with_parent()
    PRESENCE.enter_context(processes.present(Path(settings.VAR_DIR), _queues))


def _end_presence(**_: object) -> None:
    PRESENCE.close()


celeryd_after_setup.connect(_remember_queues)
worker_ready.connect(_show_presence)
worker_shutdown.connect(_end_presence)
