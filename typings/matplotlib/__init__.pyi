from collections.abc import Mapping
from contextlib import AbstractContextManager

rcParamsDefault: Mapping[str, object]

def rc_context(rc: Mapping[str, object]) -> AbstractContextManager[None]: ...
