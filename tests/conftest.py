"""Random cases: the same ones at every run, so that a failure is the change's own.

HYPOTHESIS_PROFILE=search looks for new ones; what it finds becomes a test of its own.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("same", derandomize=True, **PATIENT)
settings.register_profile("search", **PATIENT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
