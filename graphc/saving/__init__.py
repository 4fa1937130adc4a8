"""Models and weights in files: `registry` (classes by name), `models` (JSON), `weights` (arrays)."""

from graphc.saving.registry import custom_object_scope, register, register_keras_serializable

__all__ = ["custom_object_scope", "register", "register_keras_serializable"]
