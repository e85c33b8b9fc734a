"""Say what this Python lacks for making an environment: nothing, `headers`, `venv` or both.

It ends with an error when Python itself is too old, so it is written to be read by any Python.
"""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(1)

from importlib.util import find_spec
from sysconfig import get_path

if not os.path.exists(os.path.join(get_path("include"), "Python.h")):  # noqa: PTH110, PTH118
    print("headers")
if find_spec("venv") is None or find_spec("ensurepip") is None:
    print("venv")
