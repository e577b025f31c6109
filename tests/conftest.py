"""For every test: random cases are the same at every run, so that a failure is the change's own.

HYPOTHESIS_PROFILE=search looks for new ones; what it finds becomes a test of its own.
"""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("same", derandomize=True, **PATIENT)
settings.register_profile("search", **PATIENT)
# A shell that starts something in the background has it ignore interrupts, and all that it starts in turn.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
