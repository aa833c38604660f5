"""Replication of attention pooling for speech emotion recognition (Li et al., Interspeech 2018)."""

import os
from getpass import getuser

__version__ = "0.2.0"

# A container or batch system may run a process as a user without a name, or without a home folder.
# Torch's compiler, which every optimiser imports, names its cache after the user; Jupyter and
# matplotlib stop where a home folder cannot even be named. This one is what Docker gives.
try:
    getuser()
except (ImportError, KeyError, OSError):  # the first on Windows, which has no user numbers
    os.environ["LOGNAME"] = str(getattr(os, "getuid", int)())
if os.path.expanduser("~") == "~":
    os.environ["HOME"] = "/"
