"""Models and weights in files; what is written replaces a file whole, what is read is checked first.

In: a model, or a file. `registry` knows classes by name, `models` has the architecture as JSON,
`compile_config` losses and optimizers; `layout` says where each weight lies, `weights` has the kinds of
weight files: `hdf5` (`hdf5_source`, `hdf5_types`, `hdf5_messages`, `hdf5_chunks`; `hdf5_writer`),
`safetensors`, `npz` (`zips`). `archive` joins all of it in `.keras` files; `durable` writes.
"""

from typing import Any

from graphc.saving.registry import custom_object_scope, register, register_keras_serializable

__all__ = ["custom_object_scope", "load_model", "register", "register_keras_serializable", "save_model"]


def __getattr__(name: str) -> Any:
    if name in ("load_model", "save_model"):
        from graphc.saving import archive

        return getattr(archive, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
