"""Objects that are told about the course of training: Keras's hooks, names and arguments.

`callback` has the base class, the `History`, and the `CallbackList` that the training loop talks to;
`monitor` and `checkpoint` watch a metric (early stopping, saving); `backup` goes on where training stopped;
`schedule` sets learning rates; `logs` writes a file and looks for NaN.
"""

from graphc.callbacks.backup import BackupAndRestore
from graphc.callbacks.callback import Callback, CallbackList, History, LambdaCallback
from graphc.callbacks.checkpoint import ModelCheckpoint
from graphc.callbacks.logs import CSVLogger, TerminateOnNaN
from graphc.callbacks.monitor import EarlyStopping, MonitorCallback
from graphc.callbacks.schedule import LearningRateScheduler, ReduceLROnPlateau

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
