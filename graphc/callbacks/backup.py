"""Going on with training that was interrupted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from graphc import randomness, seeds
from graphc.callbacks.callback import Callback, Logs
from graphc.ir.errors import ArgumentError, FileFormatError
from graphc.variable import Variable

FILE = "training.h5"


class BackupAndRestore(Callback):
    """Keeps all that is needed to go on with training, and goes on if it finds that as training begins.

    The same program, started again after it was interrupted, gives the same bits as if it had not been:
    weights, the optimizer's state, the order of samples, the random numbers of dropout and the metrics of
    the epoch are restored. Counters of other callbacks (patience) start anew, and so does `History`.
    A generator given as `x` is read again from its beginning, up to where training was.

    Args:
        backup_dir: the folder to keep the file in; it is made if it is not there.
        save_freq: "epoch", or a number of batches.
        delete_checkpoint: remove the file when training has ended.

    Raises:
        ArgumentError: `save_freq` is neither; as training begins, the file is of another model.
        FileFormatError: as training begins, the file is damaged.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ArgumentError(f"save_freq should be 'epoch' or a number of batches, not {save_freq!r}")
        self.backup_dir, self.save_freq = os.fspath(backup_dir), save_freq
        self.delete_checkpoint = delete_checkpoint
        self._epoch = self._batches = 0
        self._start: Any = None
        if save_freq != "epoch":
            # A hook of this object only, so that saving by epoch costs nothing per batch.
            vars(self)["on_train_batch_end"] = self._after_batch

    @property
    def path(self) -> Path:
        """The file in which the state is kept."""
        return Path(self.backup_dir) / FILE

    def on_train_begin(self, logs: Logs = None) -> None:
        if self.path.exists():
            self._restore()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch, self._start = epoch, self.model.training_data.position()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._save(epoch + 1, 0, self.model.training_data.position())

    def _after_batch(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if self._batches >= int(self.save_freq):
            self._batches = 0
            self._save(self._epoch, batch + 1, self._start)

    def on_train_end(self, logs: Logs = None) -> None:
        if self.delete_checkpoint:
            self.path.unlink(missing_ok=True)
            if self.path.parent.is_dir() and not any(self.path.parent.iterdir()):
                self.path.parent.rmdir()

    # -- the file -----------------------------------------------------------------------------------------
    def _save(self, epoch: int, batch: int, position: Any) -> None:
        from graphc.saving import hdf5_writer
        from graphc.saving.durable import write_whole
        from graphc.saving.layout import optimizer_places, weight_places

        state = {"epoch": epoch, "batch": batch, "position": position, "seeds": seeds.state()}
        places = weight_places(self.model) + optimizer_places(self.model)
        arrays = {f"model/{place.path}": place.variable.array for place in places}
        arrays |= {f"random/{i}": v.array for i, v in enumerate(_random_variables(self.model))}
        if batch:
            arrays |= {f"metrics/{i}": v.array for i, v in enumerate(self.model.objective.variables())}
        arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)

        def write(file: BinaryIO) -> None:
            file.writelines(hdf5_writer.pieces(arrays))  # type: ignore[arg-type]

        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, write)

    def _restore(self) -> None:
        from graphc.saving import hdf5, weights
        from graphc.saving.contents import read_bytes

        model = self.model
        found = hdf5.read(read_bytes(self.path))
        own = {k.removeprefix("model/"): v for k, v in found.items() if k.startswith("model/")}
        plan = weights.fitting(model, own, weights.HDF5, str(self.path))
        plan += weights.fitting_optimizer(model, own, weights.HDF5, must=True)
        random = list(_random_variables(model))
        try:
            plan += [(v, found[f"random/{i}"]) for i, v in enumerate(random)]
            state = json.loads(found["state"].read().tobytes())
            epoch, batch = int(state["epoch"]), int(state["batch"])
            count = sum(k.startswith("metrics/") for k in found)
            sums = [found[f"metrics/{i}"].read() for i in range(count)]
        except (KeyError, ValueError, TypeError) as e:
            raise FileFormatError(f"{self.path} is damaged, or of another model: it lacks {e}.") from e
        weights.take(plan)
        model.training_data.go_to(state["position"])
        seeds.restore(state["seeds"])
        if batch:
            model.objective.restore(sums)
        model.resume_at = epoch, batch


def _random_variables(model: Any) -> Iterator[Variable]:
    """The state of every stream of random numbers that the model may draw from."""
    found = [randomness.shared_generator()]
    for layer in model._flatten_layers():
        found += [v for v in vars(layer).values() if isinstance(v, randomness.Generator)]
    for generator in {id(g): g for g in found}.values():
        yield from (generator.seed, generator.step)
