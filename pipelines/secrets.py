"""What may open a door is struck out of all that is kept or shown."""

import re
from typing import Any

SECRET = re.compile(
    r"^(token|key)$|(hf|api|auth|access|bearer|session|refresh|private)[_-]?(token|key)s?$|secret|passwo?r?d|"
    r"authorization$|cookie$|credentials?$",
    re.I,
)

STRUCK_OUT = "***"


def without_secrets(value: Any) -> Any:
    """Strike out what may open a door: values under a name as `hf_token`, passwords and queries in web addresses."""
    if isinstance(value, dict):
        return {key: STRUCK_OUT if _hides(key, item) else without_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    if isinstance(value, str):
        value = re.sub(r"(?<=://)[^/\s]*@", f"{STRUCK_OUT}@", value)
        return re.sub(r"^(https?://[^\s?]*\?)\S*$", rf"\1{STRUCK_OUT}", value)
    return value


def _hides(key: Any, value: Any) -> bool:
    return bool(SECRET.search(str(key))) and value is not None
