"""Settings for all tests: one thread each, so that parallel workers do not fight over cores."""

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)

if not torch.cuda.is_available():  # before anything imports triton, or its own functions compile
    os.environ["TRITON_INTERPRET"] = "1"

# A shell that runs the tests in the background lets them ignore Ctrl-C, of which some of them are.
signal.signal(signal.SIGINT, signal.default_int_handler)
