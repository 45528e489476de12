"""Durable runs: a refinement that survives whoever started it. `run` does the work; everything else looks at files."""

from pipeline.jobs.config import RunConfig as RunConfig
from pipeline.jobs.folder import RunFolder as RunFolder
from pipeline.jobs.folder import new_id as new_id
from pipeline.jobs.state import RunState as RunState
from pipeline.jobs.worker import is_running as is_running
from pipeline.jobs.worker import start_worker as start_worker
from pipeline.jobs.worker import stop_worker as stop_worker
