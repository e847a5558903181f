"""Workers: processes that take runs from a queue in PostgreSQL and execute them for servers.

A message of the queue says no more than that a worker should take a run, and is finished once one has. From then
on, the run's lease in the journal counts: if its owner dies, it is released and put into the queue again in one
transaction. So a message that comes twice, or whose receiver died, does no harm.
"""

from __future__ import annotations

from moa_mcp.workers.queue import Queue
from moa_mcp.workers.submitting import Submitting
from moa_mcp.workers.worker import Worker

__all__ = ["Queue", "Submitting", "Worker"]
